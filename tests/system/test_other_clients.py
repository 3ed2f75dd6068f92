"""skopeo and podman against both services: each signs in, pushes an image and gets it back."""

import asyncio
import json
import os
import subprocess

import pytest

from tests.kit.console import browser_page
from tests.kit.images import write_layout
from tests.kit.services import ADMIN_PASSWORD, running_services
from tests.kit.skopeo import copy, sign_in, skopeo
from tests.kit.walk import PASSWORD, WRITER

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """The address of a registry with one user who may write."""
    folder = tmp_path_factory.mktemp("pair")
    with running_services(folder) as pair:
        asyncio.run(create_user(pair, folder))
        yield pair.registry


async def create_user(pair, folder):
    async with browser_page(pair.console_url, folder) as console:
        await console.sign_in("admin", ADMIN_PASSWORD)
        await console.create_user(WRITER, PASSWORD, roles=["write-all"])


def test_skopeo(registry, tmp_path):
    layout = write_layout(tmp_path / "layout")
    repository = f"docker://{registry}/from/skopeo"
    assert "Login Succeeded" in sign_in(tmp_path, registry, WRITER, PASSWORD)
    copy(tmp_path, f"oci:{layout}:latest", f"{repository}:latest")
    copy(tmp_path, f"{repository}:latest", f"oci:{tmp_path}/back:latest")
    pushed, pulled = (json.loads((folder / "index.json").read_text()) for folder in (layout, tmp_path / "back"))
    assert pulled["manifests"][0]["digest"] == pushed["manifests"][0]["digest"]
    assert json.loads(skopeo(tmp_path, "list-tags", "--tls-verify=false", repository))["Tags"] == ["latest"]


def test_podman(registry, tmp_path):
    environ = os.environ | {"REGISTRY_AUTH_FILE": f"{tmp_path}/auth.json"}

    def podman(*arguments, stdin=""):
        command = ("podman", "--root", f"{tmp_path}/root", "--runroot", f"{tmp_path}/run", "--storage-driver", "vfs")
        ran = subprocess.run(
            [*command, *arguments], input=stdin, env=environ, capture_output=True, text=True, timeout=60, check=False
        )
        assert ran.returncode == 0, f"podman {arguments}\n{ran.stdout}{ran.stderr}"
        return ran.stdout

    image = f"{registry}/from/podman:latest"
    login = ("login", "--tls-verify=false", "-u", WRITER, "--password-stdin", registry)
    assert "Login Succeeded" in podman(*login, stdin=PASSWORD)
    identity = podman("pull", "--quiet", f"oci:{write_layout(tmp_path / 'layout')}:latest").strip()
    podman("push", "--tls-verify=false", identity, image)
    podman("rmi", identity)
    podman("pull", "--tls-verify=false", image)
    assert podman("images", "--format", "{{.Repository}}:{{.Tag}}").split() == [image]
