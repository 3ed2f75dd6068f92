"""Accounts by the API."""

import pytest

from tests.kit.actors import ADMIN
from tests.kit.api import program
from tests.web.conftest import PASSWORD
from web_service.opaque import Kind, new_secret


async def test_a_person_is_added_changed_and_deleted(console):
    admin = await program(console)
    made = await admin.done("POST", "/users", {"name": "anna", "password": PASSWORD, "enabled": False})
    assert admin.answer.status == 201
    assert (made["name"], made["enabled"], made["robot"], made["admin"], made["roles"]) == (
        "anna",
        False,
        False,
        False,
        [],
    )
    changed = await admin.done("PATCH", "/users/anna", {"name": "anne", "enabled": True})
    assert (changed["name"], changed["enabled"]) == ("anne", True)
    assert (await (await program(console, "anne", PASSWORD)).done("GET", "/user"))["user"] == changed
    assert (await admin.done("PATCH", "/users/anne", {}))["name"] == "anne"
    await admin.done("DELETE", "/users/anne")
    assert (await admin.call("GET", "/users/anne"))[0] == 404


async def test_a_change_is_made_whole_or_not_at_all(console):
    await console.user("anna")
    await console.user("bert")
    admin = await program(console)
    assert (await admin.call("PATCH", "/users/anna", {"name": "bert", "enabled": False}))[0] == 409
    assert (await admin.call("PATCH", "/users/admin", {"name": "boss", "enabled": False}))[0] == 403
    assert (await admin.done("GET", "/users/anna"))["enabled"]
    assert (await admin.done("GET", "/users/admin"))["name"] == "admin"


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "name"),
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "Registry-Web"}, "name"),
        ({"name": "anna", "password": "short"}, "password"),
        ({"name": "annaanna", "password": "ANNAANNA"}, "password"),
        ({"name": "anna", "password": new_secret(Kind.PERSONAL)}, "password"),
        ({"name": "anna", "password": "x" * 1025}, "password"),
        ({"name": "anna", "enabled": "yes"}, "enabled"),
        ({"name": "anna", "robot": True}, "robot"),
        ({"name": "anna", "id": 1}, "id"),
    ],
)
async def test_what_cannot_be_used_is_told_by_field(console, document, field):
    admin = await program(console)
    status, found = await admin.call("POST", "/users", document)
    [error] = found["errors"]
    assert (status, error["code"]) == (422, "INVALID")
    assert [one["field"] for one in error["detail"]] == [field]
    assert str(document.get("password") or "no password") not in str(found)
    assert len(await console.parts.users.all()) == 1


async def test_a_name_is_taken_once(console):
    await console.user("anna")
    status, found = await (await program(console)).call("POST", "/users", {"name": "anna"})
    assert (status, found["errors"][0]["code"]) == (409, "CONFLICT")


async def test_passwords_are_set(console):
    await console.user("anna")
    admin, anna = await program(console), await program(console, "anna", PASSWORD)
    await admin.done("PUT", "/users/anna/password", {"password": "set by the boss"})
    assert (await anna.call("GET", "/user"))[0] == 401
    anna = await program(console, "anna", "set by the boss")
    await anna.done("PUT", "/user/password", {"password": "set by herself"})
    assert (await anna.call("GET", "/user"))[0] == 401
    assert (await (await program(console, "anna", "set by herself")).call("GET", "/user"))[0] == 200
    status, found = await admin.call("PUT", "/users/anna/password", {"password": "anna"})
    assert (status, found["errors"][0]["detail"][0]["field"]) == (422, "password")


async def test_a_robot_gets_no_password(console):
    await console.parts.users.create_robot("ci", by=ADMIN)
    status, found = await (await program(console)).call("PUT", "/users/ci/password", {"password": "long enough"})
    assert (status, found["errors"][0]["code"]) == (403, "DENIED")


async def test_roles_are_granted_and_revoked(console):
    await console.user("anna")
    admin = await program(console)
    for _ in range(2):
        await admin.done("PUT", "/users/anna/roles/read-all")
    held = (await admin.done("GET", "/users/anna"))["roles"]
    assert held == [{"name": "read-all", "enabled": True, "group": ""}]
    await admin.done("DELETE", "/users/anna/roles/read-all")
    assert (await admin.call("DELETE", "/users/anna/roles/read-all"))[0] == 404
    assert (await admin.call("PUT", "/users/anna/roles/nothing"))[0] == 404
    assert (await admin.call("PUT", "/users/nobody/roles/read-all"))[0] == 404
    assert (await admin.call("PUT", "/users/anna/roles/anonymous"))[0] == 403


async def test_a_role_of_a_group_is_not_taken_from_one_member(console):
    admin = await program(console)
    await console.user("anna")
    await admin.done("POST", "/groups", {"name": "devs"})
    await admin.done("PUT", "/groups/devs/members/anna")
    await admin.done("PUT", "/groups/devs/roles/read-all")
    found = await admin.done("GET", "/users/anna")
    assert (found["groups"], found["roles"][0]["group"]) == (["devs"], "devs")
    assert (await admin.call("DELETE", "/users/anna/roles/read-all"))[0] == 404


async def test_the_last_administrator_is_not_lost(console):
    admin = await program(console)
    assert (await admin.call("DELETE", "/users/admin"))[0] == 403
    assert (await admin.call("PATCH", "/users/admin", {"enabled": False}))[0] == 403
    assert (await admin.call("DELETE", "/users/admin/roles/UI_ADMIN"))[0] == 403
    assert (await admin.done("GET", "/user"))["user"]["admin"]


async def test_who_am_i_tells_the_rights(console):
    await console.user("anna", "read-all", "UI_USER")
    found = await (await program(console, "anna", PASSWORD)).done("GET", "/user")
    assert found["rights"] == [
        {"role": "read-all", "address": "*", "repository": "**", "level": "pull", "public": False}
    ]
    assert found["token"] is None
    assert found["user"]["created"].endswith("Z")
