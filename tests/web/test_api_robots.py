"""Robots by the API."""

import pytest

from tests.kit.api import program, program_with


async def test_a_robot_is_made_with_rules_and_token_in_one_call(console):
    admin = await program(console)
    draft = {"name": "ci", "rules": ["team/**:push", "base:pull"], "token": {"name": "build", "api": "read"}}
    draft["address"] = "127.0.0.0/8"
    made = await admin.done("POST", "/robots", draft)
    assert (admin.answer.status, made["robot"]["robot"]) == (201, True)
    me = await (await program_with(console, made["token"]["secret"])).done("GET", "/user")
    assert [(one["repository"], one["level"], one["address"]) for one in me["rights"]] == [
        ("team/**", "push", "127.0.0.0/8"),
        ("base", "pull", "127.0.0.0/8"),
    ]
    assert [one["name"] for one in (await admin.done("GET", "/robots"))["items"]] == ["ci"]
    await admin.done("DELETE", "/robots/ci")
    assert (await admin.call("GET", "/roles/robot%20ci"))[0] == 404
    assert (await (await program_with(console, made["token"]["secret"])).call("GET", "/user"))[0] == 401


@pytest.mark.parametrize(
    ("draft", "status"),
    [
        ({"name": "ci", "token": {"name": "t", "limits": ["x:pull"], "api": "write"}}, 422),
        ({"name": "ci", "rules": ["x:deny"]}, 422),
        ({"name": "ci", "rules": ["nothing"]}, 422),
        ({"name": "ci", "rules": ["x:pull"], "address": "10.0.0.0/99"}, 422),
        ({"name": "admin", "rules": ["x:pull"], "token": {"name": "t"}}, 409),
        ({"name": "taken", "rules": ["x:pull"], "token": {"name": "t"}}, 409),
    ],
)
async def test_a_robot_is_made_whole_or_not_at_all(console, draft, status):
    admin = await program(console)
    await admin.done("POST", "/roles", {"name": "robot taken"})
    assert (await admin.call("POST", "/robots", draft))[0] == status
    assert (await admin.done("GET", "/robots"))["items"] == []
    assert {role.name for role in await console.parts.roles.all()} >= {"robot taken"}
    assert await console.parts.roles.named("robot ci") is None


async def test_a_robot_without_anything_gets_it_later(console):
    admin = await program(console)
    assert (await admin.done("POST", "/robots", {"name": "ci"}))["token"] is None
    token = await admin.done("POST", "/robots/ci/tokens", {"name": "later", "days": 0})
    assert token["expires"] is None
    assert token["secret"].startswith("ckr_")
    await admin.done("PUT", "/users/ci/roles/read-all")
    assert (await admin.done("GET", "/robots/ci"))["roles"][0]["name"] == "read-all"


async def test_a_person_is_no_robot(console):
    await console.user("anna")
    admin = await program(console)
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/tokens"), ("DELETE", "/tokens/1")):
        status, found = await admin.call(method, f"/robots/anna{path}")
        assert (status, found["errors"][0]["message"]) == (404, "There is no such robot account.")
    assert await console.parts.users.named("anna") is not None
