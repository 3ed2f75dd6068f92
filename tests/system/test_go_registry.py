"""The tree on disk is the Go registry's: either program serves what the other wrote."""

import hashlib
import json
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from tests.kit.content import blob, image, image_config
from tests.kit.http import get, request
from tests.kit.services import free_port, running_service

pytestmark = pytest.mark.system

CONFIG = """
version: 0.1
storage:
  filesystem:
    rootdirectory: {folder}
  delete:
    enabled: true
http:
  addr: 127.0.0.1:{port}
"""
NAME = "team/app"


@contextmanager
def serving(program, folder, tmp_path):
    """Serve the tree in `folder` with one of the two programs; yields its URL."""
    port = free_port()
    config = tmp_path / f"{port}.yml"
    config.write_text(CONFIG.format(folder=folder, port=port))
    url = f"http://127.0.0.1:{port}"
    if program == "ours":
        command = [sys.executable, "-m", "registry_service", "serve", str(config)]
        with running_service(command, {}, tmp_path / f"{port}.log"):
            yield url
        return
    with (tmp_path / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=log)
    try:
        wait_for(url)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def wait_for(url):
    """Wait until the Go registry, which does not say when it is ready, answers."""
    for _ in range(100):
        try:
            get(f"{url}/v2/")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the Go registry does not answer")


def push(url, tag):
    """Push an image of one layer and return it."""
    layer, config = blob(1000), image_config()
    for content in (layer, config):
        opened = request("POST", f"{url}/v2/{NAME}/blobs/uploads/")
        location = opened.headers["Location"]
        location = location if location.startswith("http") else url + location
        joint = "&" if "?" in location else "?"
        headers = {"Content-Type": "application/octet-stream"}
        answer = request("PUT", f"{location}{joint}digest={content.digest}", body=content.body, headers=headers)
        assert answer.status == 201, answer.body
    manifest = image([layer], config)
    headers = {"Content-Type": manifest.media_type}
    answer = request("PUT", f"{url}/v2/{NAME}/manifests/{tag}", body=manifest.body, headers=headers)
    assert answer.status == 201, answer.body
    return manifest


def assert_served(url, tag, manifest):
    answer = get(f"{url}/v2/{NAME}/manifests/{tag}", accept=manifest.media_type)
    assert (answer.status, answer.body) == (200, manifest.body)
    for layer in json.loads(manifest.body)["layers"]:
        body = get(f"{url}/v2/{NAME}/blobs/{layer['digest']}").body
        assert "sha256:" + hashlib.sha256(body).hexdigest() == layer["digest"]


@pytest.mark.parametrize(("writer", "reader"), [("ours", "go"), ("go", "ours")])
def test_what_one_writes_the_other_serves_moves_and_deletes(tmp_path, writer, reader):
    folder = tmp_path / "tree"
    with serving(writer, folder, tmp_path) as url:
        first, second = push(url, "first"), push(url, "second")
    with serving(reader, folder, tmp_path) as url:
        assert_served(url, "first", first)
        assert_served(url, "second", second)
        assert get(f"{url}/v2/_catalog").json == {"repositories": [NAME]}
        moved = push(url, "first")
        assert request("DELETE", f"{url}/v2/{NAME}/manifests/{second.digest}").status == 202
    with serving(writer, folder, tmp_path) as url:
        assert_served(url, "first", moved)
        assert get(f"{url}/v2/{NAME}/manifests/{second.digest}", accept=second.media_type).status == 404


def test_garbage_collection_of_the_go_registry_leaves_our_images_whole(tmp_path):
    folder = tmp_path / "tree"
    with serving("ours", folder, tmp_path) as url:
        kept, deleted = push(url, "kept"), push(url, "deleted")
        assert request("DELETE", f"{url}/v2/{NAME}/manifests/{deleted.digest}").status == 202
    config = tmp_path / "collect.yml"
    config.write_text(CONFIG.format(folder=folder, port=0))
    subprocess.run(["docker-registry", "garbage-collect", config], check=True, capture_output=True)
    with serving("ours", folder, tmp_path) as url:
        assert_served(url, "kept", kept)
        assert get(f"{url}/v2/{NAME}/manifests/{deleted.digest}").status == 404
    blobs = sorted((folder / "docker/registry/v2/blobs/sha256").glob("*/*/data"))
    assert len(blobs) == 3
