"""oras-py: files as artifacts, artifacts about images, and what its users are told."""

import os

import pytest
from oras.oci import Subject

from tests.kit.artifacts import Oras
from tests.kit.clients import Skopeo
from tests.kit.http import get
from tests.kit.layouts import write_layout
from tests.kit.walk import PASSWORD, READER, WRITER

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

BIG = 64 << 20
CHUNK = 20 << 20


@pytest.fixture
def repository(request):
    return f"oras/{request.node.originalname.removeprefix('test_')}"


@pytest.fixture
def user(shared_pair, repository, tmp_path, monkeypatch):
    """Return a function that gives a user's oras-py after its login."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def sign_in(name, password=PASSWORD):
        oras = Oras(shared_pair.registry, repository, tmp_path)
        assert "Login Succeeded" in oras.login(name, password)
        return oras

    return sign_in


@pytest.fixture
def oras(user):
    return user(WRITER)


@pytest.fixture
def note(tmp_path):
    path = tmp_path / "note.txt"
    path.write_text("note")
    return path


def test_files_and_folders_come_back(oras, note, tmp_path):
    (tmp_path / "chart").mkdir()
    (tmp_path / "chart/values.yaml").write_text("replicas: 2")
    oras.push("v1", f"{note}:text/plain", f"{tmp_path}/chart")
    pulled = oras.pull("v1", tmp_path / "pulled")
    assert sorted(path.name for path in pulled) == ["chart", "note.txt"]
    assert (tmp_path / "pulled/note.txt").read_text() == "note"
    assert (tmp_path / "pulled/chart/values.yaml").read_text() == "replicas: 2"


@pytest.mark.parametrize("chunk_size", [0, CHUNK], ids=["one-piece", "chunks"])
def test_big_file_comes_back(oras, chunk_size, tmp_path):
    (tmp_path / "big").write_bytes(os.urandom(BIG))
    oras.push("v1", f"{tmp_path}/big", chunk_size=chunk_size)
    oras.pull("v1", tmp_path / "pulled")
    assert (tmp_path / "pulled/big").read_bytes() == (tmp_path / "big").read_bytes()


def test_tag_moves_and_is_listed_and_deleted(oras, user, note, tmp_path):
    for text, tag in (("old", "v1"), ("new", "v1"), ("other", "v2")):
        note.write_text(text)
        oras.push(tag, str(note))
    assert oras.tags() == ["v1", "v2"]
    (pulled,) = oras.pull("v1", tmp_path / "pulled")
    assert pulled.read_text() == "new"
    assert user(WRITER).delete("v1")
    assert oras.tags() == ["v2"]
    assert not user(WRITER).delete("v1")


def test_artifact_about_an_image_is_found_from_it(oras, shared_pair, repository, tmp_path):
    skopeo = Skopeo(shared_pair.registry, tmp_path, WRITER, PASSWORD)
    skopeo.login()
    image = write_layout(tmp_path / "layout")
    skopeo.push(image, f"{repository}:v1")
    (tmp_path / "bom.json").write_text("{}")
    subject = Subject(image.top.media_type, image.top.digest, len(image.top.body))
    pushed = oras.push("bom", f"{tmp_path}/bom.json:application/spdx+json", subject=subject)
    assert pushed.headers["OCI-Subject"] == image.top.digest

    scope = f"service=registry:5000&scope=repository:{repository}:pull"
    token = get(f"{shared_pair.console_url}/api/auth?{scope}", login=(READER, PASSWORD)).json["token"]
    found = get(f"{shared_pair.registry_url}/v2/{repository}/referrers/{image.top.digest}", token=token).json
    assert [one["digest"] for one in found["manifests"]] == [pushed.headers["Docker-Content-Digest"]]
    (bom,) = oras.pull("bom", tmp_path / "pulled")
    assert bom.read_text() == "{}"


def test_wrong_password_gets_no_token(user):
    assert not user(WRITER, "wrong").ask_for("pull")
    assert user(WRITER).ask_for("pull")


def test_who_may_only_read_is_told_so_when_he_pushes(oras, user, note, tmp_path):
    oras.push("v1", str(note))
    reader = user(READER)
    assert reader.pull("v1", tmp_path / "pulled")
    note.write_text("changed")
    with pytest.raises(ValueError, match=r"UNAUTHORIZED.*'Action': 'push'"):
        reader.push("v1", str(note))
