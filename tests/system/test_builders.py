"""Every client that builds images builds on an image of the registry, and pushes what it has built."""

import json

import pytest

from tests.kit.clients import Buildah, Docker, Podman, Skopeo
from tests.kit.layouts import write_layout
from tests.kit.walk import PASSWORD, WRITER

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


@pytest.fixture
def client(request, shared_pair, short_path):
    daemon = request.getfixturevalue("engine") if request.param is Docker else ""
    client = request.param(shared_pair.registry, short_path, WRITER, PASSWORD, daemon)
    client.login()
    return client


@pytest.mark.parametrize("client", [Docker, Podman, Buildah], ids=lambda kind: kind.__name__.lower(), indirect=True)
def test_image_is_built_on_one_of_the_registry(client, tmp_path):
    skopeo = Skopeo(client.registry, tmp_path, WRITER, PASSWORD)
    skopeo.login()
    base = write_layout(tmp_path / "layout")
    repository = f"builders/{type(client).__name__.lower()}"
    skopeo.push(base, f"{repository}/base:v1")
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text(f"FROM {client.registry}/{repository}/base:v1\nCOPY new /new\n")
    (folder / "new").write_text("new")

    client.build(folder, f"{repository}/built:v1")

    built = json.loads(
        skopeo("inspect", "--tls-verify=false", "--config", f"docker://{client.registry}/{repository}/built:v1")
    )
    assert built["rootfs"]["diff_ids"][:-1] == [layer.digest for layer in base.image.layers]
    assert len(built["rootfs"]["diff_ids"]) == 3
