"""A real Docker Engine against both services, and what it tells its users when something is refused."""

import asyncio

import pytest

from tests.kit.console import browser_page
from tests.kit.engine import Docker
from tests.kit.images import build_hello
from tests.kit.layouts import GREETING
from tests.kit.services import ADMIN_PASSWORD, generate_keys, running_services
from tests.kit.tokens import present_token, sign_token
from tests.kit.walk import PASSWORD, READER, WRITER, Walk

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def pair(engine, tmp_path_factory):
    """Both services with the walk's two users and its image, which nobody deletes."""
    folder = tmp_path_factory.mktemp("pair")
    with running_services(folder) as pair:
        docker = Docker(engine, folder / "docker")
        asyncio.run(create_users(pair, docker, folder))
        docker.login(pair.registry, WRITER, PASSWORD)
        build_hello(docker, f"{pair.registry}/hello-world", folder / "hello-world")
        docker("push", f"{pair.registry}/hello-world")
        yield pair


async def create_users(pair, docker, folder):
    async with browser_page(pair.console_url, folder) as console:
        await Walk(pair.registry, console, docker, docker, folder).create_users(ADMIN_PASSWORD)


@pytest.fixture
def image(pair):
    return f"{pair.registry}/hello-world"


@pytest.fixture
def writer(docker, pair):
    docker.login(pair.registry, WRITER, PASSWORD)
    return docker


@pytest.fixture
def reader(engine, tmp_path, pair):
    docker = Docker(engine, tmp_path / "reader")
    docker.login(pair.registry, READER, PASSWORD)
    return docker


async def test_the_walk(engine, docker, tmp_path):
    with running_services(tmp_path) as pair:
        async with browser_page(pair.console_url, tmp_path) as console:
            reader = Docker(engine, tmp_path / "reader")
            await Walk(pair.registry, console, docker, reader, tmp_path).whole(ADMIN_PASSWORD)


def test_image_of_many_layers_comes_back_whole(pair, writer, tmp_path):
    image = f"{pair.registry}/team/project/many-layers:v1"
    build_hello(writer, image, tmp_path / "many", layers=8, layer_bytes=4 << 20)
    built = writer("inspect", "--format", "{{.Id}} {{.RootFS.Layers}}", image)
    assert "v1: digest: sha256:" in writer("push", image)
    assert "Layer already exists" in writer("push", image)
    writer("rmi", image)
    writer("pull", image)
    assert writer("inspect", "--format", "{{.Id}} {{.RootFS.Layers}}", image) == built
    assert GREETING in writer("run", "--rm", image)


def test_all_tags_are_pushed_and_pulled_at_once(pair, writer, image):
    repository = f"{pair.registry}/team/all-tags"
    tags = {f"{repository}:v1", f"{repository}:v2"}
    for tag in tags:
        writer("tag", image, tag)
    writer("push", "--all-tags", repository)
    writer("rmi", *tags)
    writer("pull", "--all-tags", repository)
    assert set(writer("images", "--format", "{{.Repository}}:{{.Tag}}", repository).split()) == tags


def test_layers_are_mounted_from_a_repository_that_has_them(pair, writer, image):
    writer("tag", image, f"{pair.registry}/another/name")
    assert "Mounted from " in writer("push", f"{pair.registry}/another/name")


def test_reader_may_pull_and_not_push(reader, image):
    assert "Image is up to date" in reader("pull", image)
    assert f"denied: push to hello-world is not permitted for {READER};" in reader.refused("push", image)


@pytest.mark.parametrize(("user", "password"), [(WRITER, "wrong"), ("nobody", PASSWORD), (WRITER, PASSWORD.upper())])
def test_wrong_login_is_refused(pair, docker, user, password):
    told = docker.refused("login", pair.registry, "--username", user, "--password-stdin", stdin=password)
    assert "unauthorized: The user name or the password is wrong." in told


async def test_disabled_role_grants_nothing(pair, writer, image, tmp_path):
    assert "digest: sha256:" in writer("push", image)
    async with browser_page(pair.console_url, tmp_path) as console:
        await console.sign_in("admin", ADMIN_PASSWORD)
        await console.enable_role("write-all", enabled=False)
        told = writer.refused("push", image)
        await console.enable_role("write-all", enabled=True)
    assert f"denied: pull from and push to hello-world is not permitted for {WRITER};" in told
    assert "digest: sha256:" in writer("push", image)


def test_token_of_ours_that_is_valid_is_enough(pair, docker, image):
    present_token(docker.config, pair.registry, sign_token(pair.key, "hello-world"))
    assert "digest: sha256:" in docker("push", image)


def test_expired_token_is_refused(pair, docker, image):
    present_token(docker.config, pair.registry, sign_token(pair.key, "hello-world", age=3600))
    assert "unauthorized: authentication required" in docker.refused("pull", image)
    assert "unauthorized: authentication required" in docker.refused("push", image)


def test_token_signed_by_a_stranger_is_refused(pair, docker, image, tmp_path):
    generate_keys(tmp_path / "foreign")
    present_token(docker.config, pair.registry, sign_token(tmp_path / "foreign/auth.key", "hello-world"))
    assert "unauthorized: authentication required" in docker.refused("pull", image)


def test_after_logout_nothing_is_to_be_had(pair, writer, image):
    assert "Removing login credentials" in writer("logout", pair.registry)
    for command in ("pull", "push"):
        assert "unauthorized: A user name and a password are needed" in writer.refused(command, image)


def test_unknown_image_is_told_as_such(pair, reader):
    for image in (f"{pair.registry}/hello-world:absent", f"{pair.registry}/absent:latest"):
        assert f"manifest for {image} not found: manifest unknown" in reader.refused("pull", image)
