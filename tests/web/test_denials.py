"""Deny rules from end to end: our token server, our registry on a real port, and the console."""

import asyncio

import jwt
import pytest
from aiohttp import encode_basic_auth
from aiohttp.test_utils import TestClient, TestServer

from registry_service.api import create_api
from registry_service.app import create_parts
from registry_service.config import Auth, Config, InMemory, Storage, Token
from tests.kit.content import blob
from tests.kit.push import push_image
from web_service.events import Event
from web_service.roles import RuleDraft

LAYER = blob(b"layer")
ALL = RuleDraft("*", "**", "admin")


@pytest.fixture
async def real(keys):
    """Our registry, which believes the token server; it holds team/app, team/secret and other/app."""
    auth = Auth(Token("http://web/api/auth", "registry:5000", "test", keys.certificates[0]))
    config = Config(storage=Storage(inmemory=InMemory()), auth=auth)
    parts = await asyncio.to_thread(create_parts, config)
    async with TestClient(TestServer(create_api(parts))) as client:
        yield client


class As:
    """A client of the registry that fetches a token for each request, as its user."""

    def __init__(self, console, registry, user):
        self.console = console
        self.registry = registry
        self.user = user

    async def request(self, method, path, *scopes, **more):
        client = await self.console.new_client(self.console.server)
        authorization = {"Authorization": encode_basic_auth(self.user, "correct horse")} if self.user else {}
        asked = [("scope", scope) for scope in scopes]
        token = (await (await client.get("/api/auth", params=asked, headers=authorization)).json())["token"]
        return await self.registry.request(method, path, headers={"Authorization": f"Bearer {token}"}, **more)

    async def catalog(self):
        answer = await self.request("GET", "/v2/_catalog", "registry:catalog:*")
        return (await answer.json())["repositories"]

    async def mounts(self, source):
        """Return whether a blob that only `source` holds can be mounted, named and not named."""
        scopes = ("repository:mine/app:pull,push", f"repository:{source}:pull")
        content = MARKS[source]
        named = {"mount": content.digest, "from": source}
        unnamed = {"mount": content.digest}
        path = "/v2/mine/app/blobs/uploads/"
        return [(await self.request("POST", path, *scopes, params=params)).status == 201 for params in (unnamed, named)]


MARKS = {name: blob(name.encode()) for name in ("team/app", "team/secret", "other/app")}


@pytest.fixture
async def acting(console, real):
    """Return a function that makes a user with rules, and a client that acts as him."""
    await console.member_with("filler", ALL)
    client = await console.new_client(console.server)
    asked = {"scope": " ".join(f"repository:{name}:pull,push" for name in MARKS)}
    answer = await client.get(
        "/api/auth", params=asked, headers={"Authorization": encode_basic_auth("filler", "correct horse")}
    )
    real.session.headers["Authorization"] = f"Bearer {(await answer.json())['token']}"
    for name, mark in MARKS.items():
        await push_image(real, name, "v1", [mark])
    del real.session.headers["Authorization"]

    async def acting(*rules, name="dev", roles=()):
        await console.member_with(name, *rules, roles=roles)
        return As(console, real, name)

    return acting


async def test_without_a_deny_everything_is_listed_and_mounted(acting):
    dev = await acting(ALL)
    assert await dev.catalog() == ["other/app", "team/app", "team/secret"]
    assert await dev.mounts("team/secret") == [True, True]


@pytest.mark.parametrize("first", [True, False])
async def test_what_is_denied_is_neither_listed_nor_mounted_nor_pulled(acting, first):
    deny = RuleDraft("*", "team/sec*", "deny")
    dev = await acting(*((deny, ALL) if first else (ALL, deny)))
    assert await dev.catalog() == ["other/app", "team/app"]
    assert await dev.mounts("team/secret") == [False, False]
    assert await dev.mounts("team/app") == [True, True]
    answer = await dev.request("GET", "/v2/team/secret/manifests/v1", "repository:team/secret:pull")
    assert answer.status == 401
    assert "pull from team/secret is not permitted for dev" in (await answer.json())["errors"][0]["message"]
    assert (await dev.request("GET", "/v2/team/app/manifests/v1", "repository:team/app:pull")).status == 200


async def test_a_deny_of_another_address_takes_nothing(acting):
    dev = await acting(ALL, RuleDraft("10.0.0.0/8", "**", "deny"))
    assert await dev.catalog() == ["other/app", "team/app", "team/secret"]


async def test_a_deny_of_the_own_name_is_about_nobody_else(acting):
    team = await acting(ALL, RuleDraft("*", "{user}/**", "deny"), name="team")
    assert await team.catalog() == ["other/app"]
    assert await (await acting(ALL, RuleDraft("*", "{user}/**", "deny"))).catalog() == [
        "other/app",
        "team/app",
        "team/secret",
    ]


async def test_the_catalog_of_an_administrator_lacks_what_is_denied_to_him(acting):
    boss = await acting(RuleDraft("*", "team/**", "pull"), RuleDraft("*", "team/secret", "deny"), roles=("UI_ADMIN",))
    assert await boss.catalog() == ["team/app"]


async def test_what_is_public_is_listed_without_a_login_but_for_what_is_denied(acting, console, real):
    await console.open_to_everybody(RuleDraft("*", "team/**", "pull"), RuleDraft("*", "team/secret", "deny"))
    nobody = As(console, real, "")
    assert await nobody.catalog() == ["team/app"]
    assert (await nobody.request("GET", "/v2/")).status == 200
    assert (await nobody.request("GET", "/v2/team/app/manifests/v1", "repository:team/app:pull")).status == 200
    answer = await nobody.request("GET", "/v2/team/secret/manifests/v1", "repository:team/secret:pull")
    assert answer.status == 401
    assert "not permitted without a login" in answer.headers["WWW-Authenticate"]
    answer = await nobody.request("POST", "/v2/team/app/blobs/uploads/", "repository:team/app:pull,push")
    assert answer.status == 401


async def test_a_token_says_what_is_denied_only_where_it_says_what_is_readable(console):
    await console.member_with("dev", ALL, RuleDraft("*", "{user}/secret", "deny"), RuleDraft("10.*", "x", "deny"))
    for scope, expected in (("repository:a:push", ["dev/secret"]), ("repository:a:pull", None)):
        body = await (await console.token(user="dev", password="correct horse", scope=scope)).json()
        assert jwt.decode(body["token"], options={"verify_signature": False}).get("unreadable") == expected


@pytest.mark.parametrize("roles", [("UI_USER", "read-all", "UI_DELETE"), ("UI_ADMIN", "UI_DELETE")])
@pytest.mark.parametrize("address", ["*", "127.0.0.0/8"])
async def test_the_console_neither_shows_nor_deletes_what_is_denied(console, registry, roles, address):
    registry.add_image("team/app", "1.0")
    registry.add_image("team/secret", "1.0")
    await console.parts.events.record([Event("1", 1_767_323_045, "ops", "push", "team/secret")])
    dev = await console.member_with("dev", RuleDraft(address, "team/secret", "deny"), roles=roles)
    page = await dev.text("/")
    assert "team/app" in page
    assert "team/secret" not in page
    assert "team/secret" not in await dev.text("/event/index")
    for path in ("tags/team/secret", "tag/team/secret/1.0", "details/team/secret/1.0", "delete/team/secret/1.0"):
        assert (await dev.get(f"/repo/{path}")).status == 404
    assert (await dev.post("/repo/delete/team/secret/1.0")).status == 404
    assert (await dev.get("/repo/delete/team/app/1.0")).status == 200


async def test_a_deny_of_local_forbids_only_deletion_in_the_console(console, registry):
    registry.add_image("team/app", "1.0")
    dev = await console.member_with(
        "dev", RuleDraft("local", "team/**", "deny"), roles=("UI_USER", "read-all", "UI_DELETE")
    )
    assert "/repo/delete/" not in await dev.text("/repo/tags/team/app")
    assert (await dev.get("/repo/delete/team/app/1.0")).status == 403
