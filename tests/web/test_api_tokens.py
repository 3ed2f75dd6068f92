"""Access tokens by the API: none makes another that may more than itself, and nobody reaches those of others."""

import time

import pytest

from tests.kit.actors import ADMIN
from tests.kit.api import program, program_with, token_of
from tests.web.conftest import PASSWORD
from web_service.access_tokens import DAY
from web_service.models import AccessTokenRow


async def test_a_token_is_made_shown_once_used_and_revoked(console):
    await console.user("dev")
    dev = await program(console, "dev", PASSWORD)
    draft = {"name": "laptop", "days": 30, "limits": ["team/**:push", "other:pull"], "api": "read"}
    made = await dev.done("POST", "/user/tokens", draft)
    assert (dev.answer.status, made["owner"], made["hint"]) == (201, "dev", made["secret"][:8])
    assert made["limits"] == ["team/**:push", "other:pull"]
    [held] = (await dev.done("GET", "/user/tokens"))["items"]
    assert "secret" not in held
    assert (held["last_used"], held["expires"][-1]) == (None, "Z")
    me = await (await program_with(console, made["secret"])).done("GET", "/user")
    assert (me["token"]["name"], me["rights"]) == ("laptop", [])
    await dev.done("DELETE", f"/user/tokens/{made['id']}")
    assert (await dev.call("DELETE", f"/user/tokens/{made['id']}"))[0] == 404
    assert (await (await program_with(console, made["secret"])).call("GET", "/user"))[0] == 401


async def test_a_name_is_held_once_by_an_owner(console):
    admin = await program(console)
    await admin.done("POST", "/user/tokens", {"name": "ci"})
    status, found = await admin.call("POST", "/user/tokens", {"name": "ci"})
    assert (status, found["errors"][0]["code"]) == (409, "CONFLICT")


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({}, "name"),
        ({"name": "ci", "days": -1}, "days"),
        ({"name": "ci", "days": 4000}, "days"),
        ({"name": "ci", "days": True}, "days"),
        ({"name": "ci", "days": "1"}, "days"),
        ({"name": "ci", "days": 10**30}, "days"),
        ({"name": "ci", "limits": ["x"]}, "limits.0"),
        ({"name": "ci", "limits": ["x:deny"]}, "limits.0"),
        ({"name": "ci", "limits": ["[:pull"]}, "limits.0"),
        ({"name": "ci", "limits": ["x:pull"] * 51}, "limits"),
        ({"name": "ci", "limits": "x:pull"}, "limits"),
        ({"name": "ci", "api": "all"}, "api"),
        ({"name": "ci", "limits": ["x:pull"], "api": "write"}, "api"),
        ({"name": "ci", "owner": "admin"}, "owner"),
    ],
)
async def test_what_cannot_be_used_is_told_by_field(console, draft, field):
    admin = await program(console)
    status, found = await admin.call("POST", "/user/tokens", draft)
    [error] = found["errors"]
    assert (status, error["code"], [one["field"] for one in error["detail"]]) == (422, "INVALID", [field])
    assert await console.parts.access_tokens.all() == []


async def test_a_token_makes_none_that_lives_longer_or_may_more(console):
    await console.parts.users.create_robot("ci", by=ADMIN)
    _, secret = await token_of(console, "admin", "write", days=10)
    caller = await program_with(console, secret)
    before = len(await console.parts.access_tokens.all())
    for draft in ({"name": "x", "days": 0}, {"name": "x", "days": 11}, {"name": "x", "api": "write"}):
        for path in ("/user/tokens", "/users/admin/tokens", "/users/ci/tokens", "/robots/ci/tokens"):
            status, found = await caller.call("POST", path, draft)
            assert (status, found["errors"][0]["code"]) == (403, "DENIED"), path
            assert "days it has left" in found["errors"][0]["message"]
        assert (await caller.call("POST", "/robots", {"name": "new", "token": draft}))[0] == 403
    assert len(await console.parts.access_tokens.all()) == before
    assert await console.parts.users.named("new") is None
    await caller.done("POST", "/robots/ci/tokens", {"name": "x", "days": 9, "api": "write"})


@pytest.mark.parametrize(
    ("left", "draft", "reason"),
    [
        (3600, {"days": 1}, "and this one ends within a day"),
        (40 * DAY - 60, {}, "ask for no more than the 39 days it has left"),
        (91 * DAY, {}, ""),
        (None, {"days": 0}, ""),
    ],
)
async def test_what_a_token_may_not_make_is_told_with_the_limit(console, left, draft, reason):
    token, secret = await token_of(console, "admin", "write", days=0)
    expires = int(time.time()) + left if left else 0
    await console.parts.database.write(
        AccessTokenRow.update(expires=expires).where(AccessTokenRow.id == token.id).execute
    )
    caller = await program_with(console, secret)
    status, found = await caller.call("POST", "/user/tokens", {"name": "x", **draft})
    assert status == (403 if reason else 201)
    assert not reason or reason in found["errors"][0]["message"]


async def test_a_token_gives_no_password_to_anybody(console):
    await console.user("dev")
    _, secret = await token_of(console, "admin", "write")
    caller = await program_with(console, secret)
    password = {"password": "long enough"}
    assert (await caller.call("PUT", "/user/password", password))[0] == 403
    assert (await caller.call("PUT", "/users/dev/password", password))[0] == 403
    assert (await caller.call("POST", "/users", {"name": "new", **password}))[0] == 403
    assert await console.parts.users.named("new") is None
    await caller.done("POST", "/users", {"name": "new"})
    assert (await (await program(console, "new", "")).call("GET", "/user"))[0] == 401


async def test_nobody_reaches_the_tokens_of_others(console):
    await console.user("dev")
    await console.user("other")
    held, _ = await token_of(console, "other", "read")
    robot = await console.parts.users.create_robot("ci", by=ADMIN)
    await console.parts.refresh_tokens.create(robot.id, "docker", by=ADMIN)
    dev, admin = await program(console, "dev", PASSWORD), await program(console)
    assert (await dev.call("DELETE", f"/user/tokens/{held.id}"))[0] == 404
    assert (await dev.call("GET", "/users/other/tokens"))[0] == 403
    assert (await admin.call("DELETE", f"/robots/ci/tokens/{held.id}"))[0] == 404
    assert (await admin.call("GET", "/robots/other/tokens"))[0] == 404
    assert len(await console.parts.access_tokens.all()) == 1
    [listed] = (await admin.done("GET", "/tokens"))["items"]
    assert (listed["owner"], listed["id"]) == ("other", held.id)
    await admin.done("DELETE", f"/users/other/tokens/{held.id}")
    assert await console.parts.access_tokens.all() == []


async def test_refresh_tokens_are_listed_and_revoked(console):
    dev = await console.user("dev")
    for client in ("docker", "podman"):
        await console.parts.refresh_tokens.create(dev.id, client, by=ADMIN)
    caller, admin = await program(console, "dev", PASSWORD), await program(console)
    own = (await caller.done("GET", "/user/refresh-tokens"))["items"]
    assert {one["client"] for one in own} == {"docker", "podman"}
    await caller.done("DELETE", f"/user/refresh-tokens/{own[0]['id']}")
    [left] = (await admin.done("GET", "/users/dev/refresh-tokens"))["items"]
    assert left["id"] == own[1]["id"]
    assert (await admin.call("DELETE", f"/user/refresh-tokens/{left['id']}"))[0] == 404
    await admin.done("DELETE", f"/users/dev/refresh-tokens/{left['id']}")
    assert (await caller.done("GET", "/user/refresh-tokens"))["items"] == []
