"""Who the API takes a caller for: what counts as credentials, and what never does."""

import base64

import pytest

from tests.kit.actors import ADMIN
from tests.kit.api import Program, basic, program, program_with, token_of
from tests.web.conftest import PASSWORD


async def test_a_password_or_an_access_token_signs_in(console):
    await console.user("张三")
    _, secret = await token_of(console, "张三", "read")
    client = await console.new_client(console.server)
    for authorization, by_token in (
        (basic("张三", PASSWORD), False),
        (basic("张三", secret), True),
        (basic("", secret), True),
        (f"Bearer {secret}", True),
        (f"bearer  {secret}", True),
    ):
        found = await Program(client, authorization).done("GET", "/user")
        assert found["user"]["name"] == "张三"
        assert bool(found["token"]) is by_token


async def test_what_are_no_credentials_is_told_how_to_sign_in(console):
    await console.user("dev")
    _, secret = await token_of(console, "dev", "read")
    client = await console.new_client(console.server)
    no_colon = base64.b64encode(b"admin").decode()
    for authorization in (
        "",
        "Basic",
        "Basic %%%",
        f"Basic {no_colon}",
        "Bearer",
        "Bearer x",
        f"Bearer {secret.swapcase()}",
        "Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.c2ln",
        f"Token {secret}",
        basic("admin", secret),
        basic("dev", "ckp_"),
        basic("ad\0min", "admin"),
        "Basic /////w==",
    ):
        status, found = await Program(client, authorization).call("GET", "/user")
        assert (status, found["errors"][0]["code"]) == (401, "UNAUTHORIZED"), authorization
    caller = Program(client)
    await caller.call("GET", "/user")
    assert caller.answer.headers.getall("WWW-Authenticate") == [
        'Basic realm="registry:5000"',
        'Bearer realm="registry:5000"',
    ]


async def test_two_authorization_headers_are_none(console):
    header = b"Authorization: " + basic("admin", "admin").encode()
    assert (await console.raw(b"GET /api/v1/user HTTP/1.1", header))[0] == 200
    assert (await console.raw(b"GET /api/v1/user HTTP/1.1", header, header))[0] == 401


async def test_cookies_count_for_nothing(console):
    admin = await console.admin()
    response = await admin.get("/user/index")
    assert response.status == 200
    assert (await Program(admin.client).call("GET", "/users"))[0] == 401
    assert (await Program(admin.client).call("DELETE", "/users/admin"))[0] == 401


async def test_headers_of_others_make_nobody_somebody_else(console):
    await console.user("dev")
    stranger, dev = await program(console, ""), await program(console, "dev", PASSWORD)
    forged = {
        "X-Forwarded-User": "admin",
        "X-Remote-User": "admin",
        "Remote-User": "admin",
        "X-Original-URL": "/api/v1/users",
        "X-Rewrite-URL": "/api/v1/users",
        "X-HTTP-Method-Override": "DELETE",
        "X-HTTP-Method": "DELETE",
        "X-Method-Override": "DELETE",
    }
    for name, value in forged.items():
        assert (await stranger.call("GET", "/user", headers={name: value}))[0] == 401
        assert (await dev.call("GET", "/users", headers={name: value}))[0] == 403
        found = await dev.done("GET", "/user", headers={name: value})
        assert found["user"]["name"] == "dev"
    admin = await program(console)
    for method in ("GET", "HEAD"):
        assert (await admin.call(method, "/users/dev", headers=forged))[0] == 200
    assert (await admin.call("POST", "/users/dev", headers=forged))[0] == 405
    assert (await admin.call("GET", "/users/dev?_method=DELETE"))[0] == 422
    assert await console.parts.users.named("dev") is not None


async def test_who_guesses_has_to_wait_but_not_with_a_token(console):
    await console.user("dev")
    _, secret = await token_of(console, "dev", "read")
    wrong = await program(console, "dev", "wrong")
    for _ in range(10):
        assert (await wrong.call("GET", "/user"))[0] == 401
    status, found = await wrong.call("GET", "/user")
    assert (status, found["errors"][0]["code"]) == (429, "TOOMANYREQUESTS")
    assert 0 < int(wrong.answer.headers["Retry-After"]) <= 60
    assert (await (await program(console, "dev", PASSWORD)).call("GET", "/user"))[0] == 429
    assert (await (await program_with(console, secret)).call("GET", "/user"))[0] == 200


async def test_refusals_are_in_the_audit_trail_with_their_way(console):
    wrong = await program(console, "admin", "wrong")
    await wrong.call("GET", "/user")
    admin = await program(console)
    entry = (await admin.done("GET", "/audit"))["items"][0]
    assert (entry["actor"], entry["via"], entry["address"]) == ("admin", "api", "127.0.0.1")


async def test_a_change_bears_the_name_and_the_way_of_who_made_it(console):
    await console.user("boss", "UI_ADMIN")
    _, secret = await token_of(console, "boss", "write")
    caller = await program_with(console, secret)
    await caller.done("POST", "/roles", {"name": "made by a token"})
    entry = (await caller.done("GET", "/audit?action=role.create"))["items"][0]
    assert (entry["actor"], entry["via"], entry["subject"]) == ("boss", "api", "made by a token")


async def test_the_log_tells_who_did_what_but_no_secret(console, caplog):
    caplog.set_level("INFO", "web.request")
    _, secret = await token_of(console, "admin", "write", label="laptop")
    caller = await program_with(console, secret)
    await caller.done("POST", "/users", {"name": "anna"})
    facts = caplog.records[-1].fields
    assert (facts["user"], facts["operation"], facts["token"]) == ("admin", "createUser", "laptop")
    assert secret not in caplog.text


@pytest.mark.parametrize("api", ["none", "read"])
async def test_a_token_does_what_it_may_by_the_api_and_no_more(console, api):
    _, secret = await token_of(console, "admin", api)
    caller = await program_with(console, secret)
    assert (await caller.call("GET", "/users"))[0] == (403 if api == "none" else 200)
    status, found = await caller.call("POST", "/users", {"name": "anna"})
    assert (status, found["errors"][0]["message"]) == (
        403,
        f"The access token {api} 0 may not change things by the API.",
    )
    assert await console.parts.users.named("anna") is None


async def test_a_user_who_loses_the_right_loses_it_at_once(console):
    boss = await console.user("boss", "UI_ADMIN")
    caller = await program(console, "boss", PASSWORD)
    assert (await caller.call("GET", "/users"))[0] == 200
    role = await console.parts.roles.named("UI_ADMIN")
    await console.parts.users.revoke(boss.id, role.id, by=ADMIN)
    assert (await caller.call("GET", "/users"))[0] == 403
    await console.parts.users.set_enabled(boss.id, enabled=False, by=ADMIN)
    assert (await caller.call("GET", "/user"))[0] == 401
