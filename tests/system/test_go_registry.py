"""The tree on disk is the Go registry's: either program serves what the other wrote."""

import hashlib
import json

import pytest

from tests.kit.content import blob, image, image_config, index
from tests.kit.go_registry import collect_garbage, serving
from tests.kit.http import get, request

pytestmark = pytest.mark.system

NAME = "team/app"


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


def put(url, name, manifest):
    """Push a manifest by its digest, and return it."""
    headers = {"Content-Type": manifest.media_type}
    answer = request("PUT", f"{url}/v2/{name}/manifests/{manifest.digest}", body=manifest.body, headers=headers)
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
        referrer = put(url, NAME, image([], image_config(), subject=kept.descriptor))
        alone = put(url, "an/index", index([]))
    collect_garbage(folder, tmp_path)
    with serving("ours", folder, tmp_path) as url:
        assert_served(url, "kept", kept)
        assert get(f"{url}/v2/{NAME}/manifests/{deleted.digest}").status == 404
        (listed,) = get(f"{url}/v2/{NAME}/referrers/{kept.digest}").json["manifests"]
        assert listed["digest"] == referrer.digest
        assert get(f"{url}/v2/an/index/manifests/{alone.digest}", accept=alone.media_type).body == alone.body
    blobs = sorted((folder / "docker/registry/v2/blobs/sha256").glob("*/*/data"))
    assert len(blobs) == 5
