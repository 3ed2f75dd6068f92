"""With what docker signs in: a password that becomes a refresh token, a personal access token, a robot's token."""

import base64
import json

import pytest

from tests.kit.engine import Docker
from tests.kit.images import build_hello
from tests.kit.rest import Rest
from tests.kit.services import ADMIN_PASSWORD, running_services

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with running_services(tmp_path_factory.mktemp("pair")) as pair:
        admin = Rest(pair.console_url, "admin", ADMIN_PASSWORD)
        admin("POST", "/users", {"name": "dev", "password": PASSWORD})
        admin("PUT", "/users/dev/roles/write-all")
        yield pair


@pytest.fixture(scope="module")
def admin(pair):
    return Rest(pair.console_url, "admin", ADMIN_PASSWORD)


@pytest.fixture(scope="module")
def dev(pair):
    return Rest(pair.console_url, "dev", PASSWORD)


@pytest.fixture(scope="module")
def image(pair, engine, tmp_path_factory):
    """An image of `team/app` that `dev` has pushed."""
    folder = tmp_path_factory.mktemp("image")
    docker, name = Docker(engine, folder / "docker"), f"{pair.registry}/team/app"
    docker.login(pair.registry, "dev", PASSWORD)
    build_hello(docker, name, folder / "hello")
    docker("push", name)
    docker("logout", pair.registry)
    return name


def kept(docker, registry):
    """Return what docker keeps of a login: the credentials, and the refresh token."""
    entry = json.loads((docker.config / "config.json").read_text())["auths"][registry]
    return base64.b64decode(entry.get("auth", "")).decode(), entry.get("identitytoken", "")


def test_a_login_with_the_password_leaves_no_password_behind(pair, admin, dev, docker, image):
    docker.login(pair.registry, "dev", PASSWORD)
    credentials, refresh = kept(docker, pair.registry)
    assert PASSWORD not in credentials
    assert refresh.startswith("ckf_")
    docker("push", image)
    docker("pull", image)
    held = dev("GET", "/user/refresh-tokens")["items"]
    assert held[0]["client"] == "docker"
    for one in held:
        dev("DELETE", f"/user/refresh-tokens/{one['id']}")
    assert "sign in again" in docker.refused("pull", image)
    docker.login(pair.registry, "dev", PASSWORD)
    docker("pull", image)
    logins = admin("GET", "/audit?actor=dev&action=signin")["items"]
    assert {(one["via"], one["subject"]) for one in logins} == {("docker", "dev"), ("api", "dev")}
    assert refresh not in pair.log("registry-web")


def test_a_personal_token_may_no_more_than_its_limits(pair, dev, docker, image):
    wanted = {"name": "laptop", "days": 1, "limits": ["team/**:pull"]}
    secret = dev("POST", "/user/tokens", wanted)["secret"]
    docker.login(pair.registry, "dev", secret)
    assert kept(docker, pair.registry) == (f"dev:{secret}", "")
    docker("pull", image)
    assert "push to team/app is not permitted for dev with this access token, which has limits" in docker.refused(
        "push", image
    )
    (token,) = dev("GET", "/user/tokens")["items"]
    assert token["last_used"]
    assert secret.startswith(token["hint"])
    assert secret not in json.dumps(token)
    dev("DELETE", f"/user/tokens/{token['id']}")
    assert "access token is not valid" in docker.refused("pull", image)
    assert secret not in pair.log("registry-web")


def test_a_robot_pushes_where_it_may_under_its_own_name(pair, admin, docker, image):
    made = admin("POST", "/robots", {"name": "ci", "rules": ["team/**:push"], "token": {"name": "first", "days": 30}})
    secret = made["token"]["secret"]
    assert secret.startswith("ckr_")
    docker.login(pair.registry, "ci", secret)
    docker("push", image)
    docker("tag", image, f"{pair.registry}/elsewhere/app")
    assert "push to elsewhere/app is not permitted for ci" in docker.refused("push", f"{pair.registry}/elsewhere/app")
    explained = admin("GET", "/access?user=ci&repository=elsewhere/app&action=push&from=127.0.0.1")
    assert explained["allowed"] is False
    admin("DELETE", "/robots/ci")
    assert "not valid" in docker.refused("push", image)


def test_a_wrong_password_and_a_disabled_account_are_told_apart_from_each_other(pair, admin, docker):
    admin("POST", "/users", {"name": "leaver", "password": PASSWORD})
    docker.login(pair.registry, "leaver", PASSWORD)
    admin("PATCH", "/users/leaver", {"enabled": False})
    login = ("login", pair.registry, "--username", "leaver", "--password-stdin")
    assert "This account is disabled" in docker.refused(*login, stdin=PASSWORD)
    assert "user name or the password is wrong" in docker.refused(*login, stdin="something else")
