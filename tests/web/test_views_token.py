"""/api/auth over the wire."""

import base64
import logging

import jwt
import pytest
from aiohttp import encode_basic_auth

from tests.kit.actors import ADMIN
from tests.web.conftest import PASSWORD
from web_service.access import Level
from web_service.access_tokens import Draft
from web_service.asked import Asked
from web_service.audit import Wanted
from web_service.limits import Limit
from web_service.opaque import Kind, new_secret
from web_service.roles import RuleDraft

SCOPE = "repository:team/app:pull,push"


def access(body):
    claims = jwt.decode(body["token"], options={"verify_signature": False})
    return [f"{entry['type']}:{entry['name']}:{','.join(entry['actions'])}" for entry in claims["access"]]


async def test_a_login_without_scope_gets_a_valid_token_for_nothing(console):
    response = await console.token(service="registry:5000")
    body = await response.json()
    assert response.status == 200
    assert response.content_type == "application/json"
    assert set(body) == {"token", "access_token", "expires_in", "issued_at"}
    assert body["token"] == body["access_token"]
    assert body["expires_in"] == 600
    claims = jwt.decode(body["token"], options={"verify_signature": False})
    assert (claims["sub"], claims["aud"], claims["iss"], claims["access"]) == ("admin", "registry:5000", "test", [])
    assert body["issued_at"].endswith("Z")


@pytest.mark.parametrize(
    ("roles", "scopes", "granted"),
    [
        (["write-all"], [SCOPE], [SCOPE]),
        (["read-all"], [SCOPE], ["repository:team/app:pull"]),
        (["write-all"], ["repository:team/app:pull"], ["repository:team/app:pull"]),
        (["read-all"], ["repository:team/app:push"], []),
        ([], [SCOPE], []),
        (["UI_ADMIN"], [SCOPE], []),
        (["UI_ADMIN"], ["registry:catalog:*"], ["registry:catalog:*"]),
        (["write-all"], ["registry:catalog:*"], ["registry:catalog:list"]),
        (["write-all"], ["registry:catalog:list,x"], []),
        (["UI_ADMIN"], ["registry:other:*"], []),
        (["read-all"], ["repository:a:pull", "repository:b:pull"], ["repository:a:pull", "repository:b:pull"]),
        (["read-all"], ["repository:a:pull repository:b:pull,push"], ["repository:a:pull", "repository:b:pull"]),
        (["write-all"], ["repository:a:pull", "repository:a:push"], ["repository:a:pull,push"]),
        (["write-all"], ["repository(plugin):a:pull"], ["repository:a:pull"]),
        (["write-all"], ["repository:Bad/../name:pull"], []),
        (["write-all"], ["something:a:pull"], []),
        (["UI_DELETE"], ["repository:a:ui-delete,delete"], []),
    ],
)
async def test_granted_is_what_was_asked_for_and_is_allowed(console, roles, scopes, granted):
    await console.user("dev", *roles)
    client = await console.new_client(console.server)
    response = await client.get(
        "/api/auth",
        params=[("scope", scope) for scope in scopes],
        headers={"Authorization": encode_basic_auth("dev", "correct horse")},
    )
    assert response.status == 200
    assert access(await response.json()) == granted


@pytest.mark.parametrize(
    ("roles", "scope", "readable"),
    [
        (["write-all"], SCOPE, ["**"]),
        (["write-all"], "repository:team/app:pull", None),
        (["read-all"], SCOPE, None),
        (["read-all"], "registry:catalog:*", ["**"]),
        (["UI_ADMIN"], "registry:catalog:*", None),
    ],
)
async def test_a_token_says_what_else_may_be_read_where_that_is_of_use(console, roles, scope, readable):
    await console.user("dev", *roles)
    response = await console.token(user="dev", password="correct horse", scope=scope)
    claims = jwt.decode((await response.json())["token"], options={"verify_signature": False})
    assert claims.get("readable") == readable


async def test_the_subject_is_who_signed_in_whatever_the_account_parameter_says(console):
    await console.user("dev")
    response = await console.token(user="dev", password="correct horse", account="admin")
    assert jwt.decode((await response.json())["token"], options={"verify_signature": False})["sub"] == "dev"


async def test_rules_look_at_the_address(console):
    user = await console.user("dev")
    role = await console.parts.roles.create("remote", by=ADMIN)
    await console.parts.users.grant(user.id, role.id, by=ADMIN)
    await console.parts.roles.add_rule(role.id, RuleDraft("10.0.0.0/8", "**", "push"), by=ADMIN)
    response = await console.token(user="dev", password="correct horse", scope=SCOPE)
    assert access(await response.json()) == []
    await console.parts.roles.add_rule(role.id, RuleDraft("127.0.0.0/8", "**", "pull"), by=ADMIN)
    response = await console.token(user="dev", password="correct horse", scope=SCOPE)
    assert access(await response.json()) == ["repository:team/app:pull"]


async def test_a_forwarded_address_of_a_stranger_is_not_believed(console):
    user = await console.user("dev")
    role = await console.parts.roles.create("remote", by=ADMIN)
    await console.parts.users.grant(user.id, role.id, by=ADMIN)
    await console.parts.roles.add_rule(role.id, RuleDraft("10.0.0.0/8", "**", "push"), by=ADMIN)
    client = await console.new_client(console.server)
    headers = {"Authorization": encode_basic_auth("dev", "correct horse"), "X-Forwarded-For": "10.1.1.1"}
    response = await client.get("/api/auth", params={"scope": SCOPE}, headers=headers)
    assert access(await response.json()) == []


async def test_a_disabled_role_grants_nothing(console):
    user = await console.user("dev", "write-all")
    await console.parts.roles.set_enabled(user.roles[0].id, enabled=False, by=ADMIN)
    response = await console.token(user="dev", password="correct horse", scope=SCOPE)
    assert access(await response.json()) == []


@pytest.mark.parametrize("password", ["with:colon:s", "密码密码密码密码", "pässwörter", " blanks "])
async def test_passwords_may_hold_anything(console, password):
    user = await console.user("dev")
    await console.parts.users.set_password(
        user.id, await console.parts.authenticator.hash_new("dev", password), by=ADMIN
    )
    assert (await console.token(user="dev", password=password)).status == 200


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        "Bearer abc",
        "Basic " + base64.b64encode(b"no-colon").decode(),
        "Basic " + base64.b64encode(b"admin:").decode(),
        "Basic " + base64.b64encode(b"admin:wrong").decode(),
        "Basic " + base64.b64encode(b"nobody:admin").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
    ],
)
async def test_without_good_credentials_the_answer_is_401_as_docker_shows_it(console, header):
    client = await console.new_client(console.server)
    response = await client.get("/api/auth", headers={} if header is None else {"Authorization": header})
    body = await response.json()
    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == 'Basic realm="registry:5000"'
    assert body["errors"][0]["code"] == "UNAUTHORIZED"
    assert body["errors"][0]["message"]
    assert "token" not in body


async def test_a_disabled_account_is_told_so(console):
    await console.user("dev", enabled=False)
    response = await console.token(user="dev", password="correct horse")
    assert (response.status, (await response.json())["errors"][0]["message"]) == (401, "This account is disabled.")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"service": "other"}, "auth.token.service"),
        ({"scope": "repository:team/app"}, "type:name:actions"),
        ({"scope": "nonsense"}, "type:name:actions"),
        ({"scope": "repository:a:PULL"}, "lower case"),
    ],
)
async def test_a_request_that_makes_no_sense_is_a_400_in_clear_words(console, query, words):
    response = await console.token(**query)
    assert response.status == 400
    assert words in (await response.json())["errors"][0]["message"]


async def test_a_guesser_is_told_to_wait(console):
    for number in range(10):
        assert (await console.token(password=f"guess {number}")).status == 401
    response = await console.token()
    assert response.status == 429
    assert 0 < int(response.headers["Retry-After"]) <= 60
    assert (await response.json())["errors"][0]["code"] == "TOOMANYREQUESTS"


async def post(console, **fields):
    client = await console.new_client(console.server)
    return await client.post("/api/auth", data=fields)


async def test_a_form_with_a_password_gets_a_token(console):
    await console.user("dev", "write-all")
    response = await post(
        console,
        grant_type="password",
        username="dev",
        password="correct horse",
        service="registry:5000",
        client_id="containerd-client",
        scope=f"{SCOPE} repository:b:pull",
    )
    body = await response.json()
    assert response.status == 200
    assert access(body) == [SCOPE, "repository:b:pull"]
    assert body["scope"] == f"{SCOPE} repository:b:pull"
    assert body["access_token"] == body["token"]
    assert "refresh_token" not in body


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"grant_type": "password", "username": "admin", "password": "wrong"}, 401, "invalid_grant"),
        ({"grant_type": "password", "username": "admin"}, 400, "invalid_request"),
        ({"grant_type": "password", "username": "admin", "password": "admin", "service": "x"}, 400, "invalid_request"),
        ({"grant_type": "password", "username": "admin", "password": "admin", "scope": "x"}, 400, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, 401, "invalid_grant"),
        ({"grant_type": "refresh_token"}, 400, "invalid_request"),
        ({"grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
        ({}, 400, "unsupported_grant_type"),
    ],
)
async def test_other_forms_are_refused_in_json(console, fields, status, error):
    response = await post(console, **fields)
    body = await response.json()
    assert (response.status, body["error"]) == (status, error)
    assert body["errors"][0]["message"] == body["error_description"]


async def test_without_accounts_there_are_no_tokens(start, with_registry):
    console = await start(with_registry(auth={"enabled": False}))
    for response in (await console.token(), await post(console, grant_type="password")):
        assert response.status == 404
        assert "switched off" in (await response.json())["errors"][0]["message"]


async def test_one_line_is_logged_and_no_secret(console, caplog):
    caplog.set_level(logging.DEBUG)
    await console.user("dev", "read-all")
    caplog.clear()
    token = (await (await console.token(user="dev", password="correct horse", scope=SCOPE)).json())["token"]
    (line,) = [record.fields for record in caplog.records if record.name == "web.request"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (line["user"], line["scope"], line["granted"]) == ("dev", SCOPE, "repository:team/app:pull")
    assert (line["jti"], line["status"], line["address"]) == (claims["jti"], 200, "127.0.0.1")
    logged = " ".join(f"{record.getMessage()} {getattr(record, 'fields', '')}" for record in caplog.records)
    for secret in ("correct horse", token, base64.b64encode(b"dev:correct horse").decode()):
        assert secret not in logged


async def test_a_name_without_end_fills_no_log(console, caplog):
    caplog.set_level(logging.INFO)
    name = "x" * 30_000
    response = await post(console, grant_type="password", username=name, password="p", scope="repository:a:pull")
    assert response.status == 401
    response = await post(console, grant_type="password", username="dev", password="p", scope=f"repository:{name}:pull")
    assert response.status == 401
    visitor = await console.visitor()
    page = await (await visitor.sign_in(name, "p")).text()
    assert "The user name or the password is wrong." in page
    assert max(len(str(getattr(record, "fields", ""))) for record in caplog.records) < 2000
    assert len(page) < 20_000


async def exchanged(console, refresh_token, **fields):
    return await post(console, grant_type="refresh_token", refresh_token=refresh_token, **fields)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_client_that_asks_for_it_keeps_a_refresh_token_in_place_of_the_password(console, method):
    user = await console.user("dev", "read-all")
    if method == "GET":
        response = await console.token(user="dev", password=PASSWORD, offline_token="true", client_id="docker")
    else:
        form = {"grant_type": "password", "username": "dev", "password": PASSWORD, "client_id": "docker"}
        response = await post(console, **form, access_type="offline")
    refresh = (await response.json())["refresh_token"]
    (held,) = await console.parts.refresh_tokens.of_user(user.id)
    assert (held.client, held.last_address) == ("docker", "127.0.0.1")
    answer = await exchanged(console, refresh, scope="repository:a:pull,push", service="registry:5000")
    body = await answer.json()
    assert (answer.status, body["scope"], body["refresh_token"]) == (200, "repository:a:pull", refresh)
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert (claims["sub"], claims["access"][0]["actions"]) == ("dev", ["pull"])
    await console.parts.refresh_tokens.revoke(user.id, held.id, by=ADMIN)
    answer = await exchanged(console, refresh)
    assert (answer.status, (await answer.json())["error"]) == (401, "invalid_grant")
    assert "WWW-Authenticate" in answer.headers


async def test_nobody_gets_a_refresh_token_unasked_or_by_an_access_token(console):
    user = await console.user("dev")
    assert "refresh_token" not in await (await console.token(user="dev", password=PASSWORD)).json()
    _, secret = await console.parts.access_tokens.create(user.id, Draft("ci", 1), by=ADMIN)
    response = await console.token(user="dev", password=secret, offline_token="true")
    assert response.status == 200
    assert "refresh_token" not in await response.json()
    assert await console.parts.refresh_tokens.of_user(user.id) == []


@pytest.mark.parametrize("kind", Kind)
async def test_an_unknown_secret_of_any_kind_is_refused(console, kind):
    assert (await exchanged(console, new_secret(kind))).status == 401
    assert (await console.token(user="admin", password=new_secret(kind))).status == 401


async def test_a_refresh_token_is_no_password(console):
    await console.user("dev")
    response = await console.token(user="dev", password=PASSWORD, offline_token="true")
    refresh = (await response.json())["refresh_token"]
    assert (await console.token(user="dev", password=refresh)).status == 401


async def test_an_access_token_gives_what_its_owner_may_within_its_limits(console):
    user = await console.user("dev", "write-all")
    limits = (Limit("team/**", Level.PULL),)
    token, secret = await console.parts.access_tokens.create(user.id, Draft("ci", 1, limits), by=ADMIN)
    for scope, granted in (("team/app:pull,push", ["pull"]), ("other:pull", None)):
        response = await console.token(user="dev", password=secret, scope=f"repository:{scope}")
        claims = jwt.decode((await response.json())["token"], options={"verify_signature": False})
        assert [one["actions"] for one in claims["access"]] == ([granted] if granted else [])
        assert claims["limited"] is True
    await console.parts.access_tokens.revoke(user.id, token.id, by=ADMIN)
    assert (await console.token(user="dev", password=secret)).status == 401


async def test_a_robot_logs_in_with_its_token_and_acts_under_its_own_name(console):
    robot = await console.parts.users.create_robot("ci", [RuleDraft("*", "team/**", "push")], by=ADMIN)
    _, secret = await console.parts.access_tokens.create(robot.id, Draft("first", 0), by=ADMIN)
    response = await console.token(user="ci", password=secret, scope="repository:team/app:pull,push")
    claims = jwt.decode((await response.json())["token"], options={"verify_signature": False})
    assert (claims["sub"], claims["access"][0]["actions"]) == ("ci", ["pull", "push"])


async def test_what_is_asked_for_is_remembered_for_trials(console):
    await console.user("dev", "read-all")
    await console.token(user="dev", password=PASSWORD, scope="repository:a:pull,push")
    asked = {one.asked for one in await console.parts.asked.since(1)}
    assert asked == {
        Asked("dev", "127.0.0.1", "a", "pull", allowed=True),
        Asked("dev", "127.0.0.1", "a", "push", allowed=False),
    }


async def test_logins_and_refusals_are_in_the_audit_trail(console):
    await console.user("dev")
    await console.token(user="dev", password=PASSWORD)
    await console.token(user="dev", password="wrong")
    await console.token(user="dev", password=PASSWORD, scope="repository:a:pull")  # a pull is an event, no login
    entries = (await console.parts.audit.page(Wanted(action="signin"))).entries
    refused = (await console.parts.audit.page(Wanted(action="signin.refused"))).entries
    assert [(one.actor, one.via, one.address) for one in entries] == [("dev", "docker", "127.0.0.1")]
    assert [(one.actor, one.new) for one in refused] == [("dev", {"reason": "wrong password"})]


@pytest.mark.parametrize("place", ["docker", "console", "api"])
async def test_a_secret_typed_as_the_name_is_written_nowhere(console, caplog, place):
    caplog.set_level(logging.INFO)
    secret = new_secret(Kind.PERSONAL)
    if place == "docker":
        assert (await console.token(user=secret, password="x")).status == 401
    elif place == "console":
        assert (await (await console.visitor()).sign_in(secret, "x")).status == 401
    else:
        client = await console.new_client(console.server)
        headers = {"Authorization": encode_basic_auth(secret, "x")}
        assert (await client.get("/api/v1/user", headers=headers)).status == 401
    (refused,) = (await console.parts.audit.page(Wanted(action="signin.refused"))).entries
    assert secret[4:] not in caplog.text + str(refused)
    assert refused.actor == f"{secret[:8]}…"
