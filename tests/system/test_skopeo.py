"""What skopeo can do beyond a push and a pull: list, inspect, delete, sync, and copy from registry to registry."""

import json

import pytest

from tests.kit.clients import Skopeo
from tests.kit.commands import CommandFailed
from tests.kit.layouts import PLATFORMS, write_layout, write_two_platforms
from tests.kit.walk import PASSWORD, READER, WRITER

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

FROM, TO = "--src-tls-verify=false", "--dest-tls-verify=false"
PLAIN = "--tls-verify=false"


@pytest.fixture
def skopeo(shared_pair, tmp_path):
    skopeo = Skopeo(shared_pair.registry, tmp_path, WRITER, PASSWORD)
    skopeo.login()
    return skopeo


@pytest.fixture
def repository(request):
    return f"skopeo/{request.node.originalname.removeprefix('test_')}"


@pytest.fixture
def place(skopeo, repository):
    """The repository as skopeo names it."""
    return f"docker://{skopeo.registry}/{repository}"


def tags(skopeo, place):
    return json.loads(skopeo("list-tags", PLAIN, place))["Tags"]


def digest(skopeo, image):
    return skopeo("inspect", PLAIN, "--format", "{{.Digest}}", image).strip()


def test_tags_are_listed(skopeo, repository, place, tmp_path):
    layout = write_layout(tmp_path / "layout")
    for tag in ("v2", "latest", "v1"):
        skopeo.push(layout, f"{repository}:{tag}")
    assert tags(skopeo, place) == ["latest", "v1", "v2"]


def test_tags_of_an_unknown_repository_are_refused(skopeo, place):
    with pytest.raises(CommandFailed, match="404 \\(Not Found\\)"):
        skopeo("list-tags", PLAIN, place)


def test_image_is_inspected(skopeo, repository, place, tmp_path):
    layout = write_layout(tmp_path / "layout")
    skopeo.push(layout, f"{repository}:v1")
    told = json.loads(skopeo("inspect", PLAIN, f"{place}:v1"))
    assert told["Name"] == f"{skopeo.registry}/{repository}"
    assert told["Digest"] == layout.top.digest
    assert told["RepoTags"] == ["v1"]
    assert told["Architecture"] == layout.image.architecture
    assert told["Layers"] == [layer.digest for layer in layout.image.layers]
    assert json.loads(skopeo("inspect", PLAIN, "--config", "--raw", f"{place}:v1")) == json.loads(
        layout.image.config.body
    )


def test_index_is_inspected_byte_for_byte(skopeo, repository, place, tmp_path):
    layout = write_two_platforms(tmp_path / "layout")
    skopeo.push(layout, f"{repository}:v1")
    assert skopeo("inspect", PLAIN, "--raw", f"{place}:v1").encode() == layout.top.body
    for architecture in PLATFORMS:
        told = json.loads(skopeo("--override-arch", architecture, "inspect", PLAIN, f"{place}:v1"))
        assert told["Architecture"] == architecture


def test_deletion_takes_the_manifest_with_all_its_tags(skopeo, repository, place, tmp_path):
    doomed, kept = write_layout(tmp_path / "doomed"), write_layout(tmp_path / "kept")
    for tag in ("v1", "v1.0"):
        skopeo.push(doomed, f"{repository}:{tag}")
    skopeo.push(kept, f"{repository}:v2")
    skopeo("delete", PLAIN, f"{place}:v1")
    assert tags(skopeo, place) == ["v2"]
    with pytest.raises(CommandFailed, match="manifest unknown"):
        skopeo.pull(f"{repository}:v1.0")
    assert skopeo.pull(f"{repository}:v2") == {kept.image.id}
    skopeo.push(doomed, f"{repository}:v1")
    assert skopeo.pull(f"{repository}:v1") == {doomed.image.id}


def test_who_may_only_read_deletes_nothing(skopeo, repository, place, tmp_path):
    layout = write_layout(tmp_path / "layout")
    skopeo.push(layout, f"{repository}:v1")
    (tmp_path / "reader").mkdir()
    reader = Skopeo(skopeo.registry, tmp_path / "reader", READER, PASSWORD)
    reader.login()
    with pytest.raises(CommandFailed, match="UNAUTHORIZED"):
        reader("delete", PLAIN, f"{place}:v1")
    assert skopeo.pull(f"{repository}:v1") == {layout.image.id}


def test_repository_is_synced_to_a_folder_and_from_there_to_another_place(skopeo, repository, place, tmp_path):
    layouts = {"v1": write_layout(tmp_path / "v1"), "v2": write_two_platforms(tmp_path / "v2")}
    for tag, layout in layouts.items():
        skopeo.push(layout, f"{repository}:{tag}")
    name = f"{skopeo.registry}/{repository}"
    (tmp_path / "folder").mkdir()
    skopeo("sync", "--all", FROM, "--src", "docker", "--dest", "dir", name, tmp_path / "folder")
    last = repository.rpartition("/")[2]
    assert {path.name for path in (tmp_path / "folder").iterdir()} == {f"{last}:v1", f"{last}:v2"}

    target = f"{skopeo.registry}/skopeo/synced"
    skopeo("sync", "--all", TO, "--src", "dir", "--dest", "docker", tmp_path / "folder", target)
    for tag, layout in layouts.items():
        assert digest(skopeo, f"docker://{target}/{last}:{tag}") == layout.top.digest


def test_index_is_copied_from_repository_to_repository_without_a_layer_travelling(
    skopeo, repository, place, shared_pair, tmp_path
):
    layout = write_two_platforms(tmp_path / "layout")
    skopeo.push(layout, f"{repository}:v1")
    before = len(shared_pair.log("registry"))
    skopeo("copy", "--all", "--preserve-digests", FROM, TO, f"{place}:v1", f"{place}/copy:v1")
    assert digest(skopeo, f"{place}/copy:v1") == layout.top.digest
    layers = {layer.digest for one in layout.images for layer in one.layers}
    lines = shared_pair.log("registry")[before:].splitlines()
    assert not [line for line in lines if " GET " in line and any(layer in line for layer in layers)]


@pytest.mark.parametrize(
    ("options", "media_type"),
    [
        (("--format", "v2s2"), "application/vnd.docker.image.rootfs.diff.tar.gzip"),
        (("--dest-compress-format", "gzip"), "application/vnd.oci.image.layer.v1.tar+gzip"),
        (("--dest-compress-format", "zstd"), "application/vnd.oci.image.layer.v1.tar+zstd"),
    ],
)
def test_image_is_pushed_in_another_form(skopeo, place, options, media_type, tmp_path):
    layout = write_layout(tmp_path / "layout")
    image = f"{place}:{'-'.join(options).strip('-')}"
    skopeo("copy", "--dest-compress", *options, TO, layout.oci, image)
    manifest = json.loads(skopeo("inspect", PLAIN, "--raw", image))
    # The first layer is everybody's: skopeo may have found it in the form that it was pushed in before.
    assert manifest["layers"][-1]["mediaType"] == media_type
    skopeo("copy", FROM, "--dest-decompress", image, f"dir:{tmp_path / 'back'}")
    for layer in layout.image.layers:
        assert (tmp_path / "back" / layer.digest.removeprefix("sha256:")).read_bytes() == layer.body
