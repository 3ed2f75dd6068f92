"""Every client that pushes and pulls images does all of this, against both services."""

import pytest

from tests.kit.clients import CLIENTS, Ctr, Docker
from tests.kit.commands import CommandFailed
from tests.kit.layouts import make_image, write_layout, write_two_platforms
from tests.kit.proxy import cutting_proxy
from tests.kit.walk import PASSWORD, READER, WRITER

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

BIG = 64 << 20
CUT = 24 << 20
"""Bytes that a connection carries before it is cut."""


@pytest.fixture(params=CLIENTS, ids=lambda kind: kind.__name__.lower())
def kind(request):
    return request.param


@pytest.fixture
def daemon(kind, request):
    """The daemon that a client needs, if any."""
    needed = {Docker: "engine", Ctr: "containerd"}.get(kind)
    return str(request.getfixturevalue(needed)) if needed else ""


@pytest.fixture
def stranger(kind, daemon, shared_pair, short_path):
    """The client before any login."""
    return kind(shared_pair.registry, short_path, WRITER, PASSWORD, daemon)


@pytest.fixture
def client(stranger):
    assert "Login Succeeded" in stranger.login()
    return stranger


@pytest.fixture
def repository(kind, request):
    """A repository for this test alone."""
    return f"clients/{kind.__name__.lower()}/{request.node.originalname.removeprefix('test_')}"


@pytest.fixture
def said(shared_pair):
    """What the registry has logged of requests since the test began."""
    before = len(shared_pair.log("registry"))
    return lambda: [line for line in shared_pair.log("registry")[before:].splitlines() if "registry.access" in line]


def test_image_comes_back_as_it_was_pushed(client, repository, tmp_path):
    layout = write_layout(tmp_path / "layout")
    client.push(layout, f"{repository}:v1")
    assert layout.image.id in client.pull(f"{repository}:v1")


def test_each_platform_gets_its_image_of_an_index(client, repository, tmp_path):
    layout = write_two_platforms(tmp_path / "layout")
    client.push(layout, f"{repository}:v1")
    for one in layout.images:
        pulled = client.pull(f"{repository}:v1", one.architecture)
        assert {one.id for one in layout.images} & pulled == {one.id}


def test_second_push_uploads_nothing(client, repository, said, tmp_path):
    layout = write_layout(tmp_path / "layout")
    client.push(layout, f"{repository}:v1")
    first = len(said())
    client.push(layout, f"{repository}:v2")
    assert not [line for line in said()[first:] if "/blobs/uploads/" in line]
    assert layout.image.id in client.pull(f"{repository}:v2")


def test_tag_moves_to_what_is_pushed_last(client, repository, tmp_path):
    old, new = write_layout(tmp_path / "old"), write_layout(tmp_path / "new")
    for layout in (old, new):
        client.push(layout, f"{repository}:v1")
    pulled = client.pull(f"{repository}:v1")
    assert new.image.id in pulled
    assert old.image.id not in pulled


def test_layers_are_mounted_from_another_repository(client, repository, said, tmp_path):
    layout = write_layout(tmp_path / "layout")
    client.push(layout, f"{repository}/first:v1")
    client.pull(f"{repository}/first:v1")  # containerd knows only of what it has pulled where it lies
    first = len(said())
    client.push(layout, f"{repository}/second:v1")
    requests = [line for line in said()[first:] if f"{repository}/second/blobs/uploads/" in line]
    assert len([line for line in requests if " POST " in line and " 201 " in line]) >= len(layout.image.layers)
    assert layout.image.id in client.pull(f"{repository}/second:v1")


def test_big_layer_arrives_over_a_line_that_breaks(client, repository, said, tmp_path):
    """Some clients go on where they were, which costs one request for a range; others say what broke."""
    layout = write_layout(tmp_path / "layout", make_image(extra=BIG))
    client.push(layout, f"{repository}:v1")
    with cutting_proxy(client.registry, after=CUT) as proxy:
        far = client.at(proxy.address)
        far.login()
        broken = failure_of(lambda: far.pull(f"{repository}:v1"))
        assert proxy.cuts == 1
        assert layout.image.id in far.pull(f"{repository}:v1")
    if client.resumes:
        assert broken == ""
    assert broken == "" or "EOF" in broken
    resumed = [line for line in said() if " GET " in line and " 206 " in line]
    assert len(resumed) == (broken == "")


def test_big_layer_leaves_over_a_line_that_breaks(client, repository, tmp_path):
    """Whether a client tries again by itself or not: what was broken off is in nobody's way."""
    layout = write_layout(tmp_path / "layout", make_image(extra=BIG))
    with cutting_proxy(client.registry, after=CUT) as proxy:
        far = client.at(proxy.address)
        far.login()
        broken = failure_of(lambda: far.push(layout, f"{repository}:v1"))
        assert proxy.cuts == 1
        if broken:
            far.push(layout, f"{repository}:v1")
    assert layout.image.id in client.pull(f"{repository}:v1")


def failure_of(command):
    """Return what a command says when it fails, and nothing when it does not."""
    try:
        command()
    except CommandFailed as failed:
        return str(failed)
    return ""


def test_wrong_password_is_told(stranger):
    with pytest.raises(CommandFailed) as refused:
        stranger.login("wrong")
    assert stranger.wrong_password in str(refused.value)


def test_who_may_only_read_is_told_so_when_he_pushes(client, kind, daemon, repository, short_path, tmp_path):
    layout = write_layout(tmp_path / "layout")
    client.push(layout, f"{repository}:v1")
    (short_path / "reader").mkdir()
    reader = kind(client.registry, short_path / "reader", READER, PASSWORD, daemon)
    reader.login()
    assert layout.image.id in reader.pull(f"{repository}:v1")
    with pytest.raises(CommandFailed) as refused:
        reader.push(write_layout(tmp_path / "other"), f"{repository}/other:v1")
    assert reader.denied in str(refused.value)


def test_unknown_image_is_told(client, repository):
    with pytest.raises(CommandFailed) as refused:
        client.pull(f"{repository}:absent")
    assert client.unknown in str(refused.value)
