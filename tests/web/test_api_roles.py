"""Roles and rules by the API, and trying a rule before it counts."""

import pytest

from tests.kit.api import program
from web_service.asked import Asked
from web_service.models import AuditRow, RuleRow


async def test_a_role_is_added_changed_and_deleted(console):
    admin = await program(console)
    made = await admin.done("POST", "/roles", {"name": "开发 team"})
    assert (made["enabled"], made["special"], made["rules"], made["users"]) == (True, False, [], [])
    path = "/roles/%E5%BC%80%E5%8F%91%20team"
    assert (await admin.done("GET", "/roles/开发 team")) == made
    changed = await admin.done("PATCH", "/roles/开发 team", {"name": "devs", "enabled": False})
    assert (changed["name"], changed["enabled"]) == ("devs", False)
    assert (await admin.call("GET", path))[0] == 404
    await admin.done("DELETE", "/roles/devs")
    assert (await admin.call("GET", "/roles/devs"))[0] == 404


async def test_special_roles_stay(console):
    admin = await program(console)
    for role in ("UI_ADMIN", "UI_USER"):
        assert (await admin.call("DELETE", f"/roles/{role}"))[0] == 403
        assert (await admin.call("PATCH", f"/roles/{role}", {"enabled": False}))[0] == 403
        assert (await admin.call("POST", f"/roles/{role}/rules", {"repository": "x", "level": "pull"}))[0] == 403
    assert (await admin.call("PATCH", "/roles/anonymous", {"name": "all", "enabled": True}))[0] == 403
    assert not (await admin.done("GET", "/roles/anonymous"))["enabled"]
    assert (await admin.done("PATCH", "/roles/anonymous", {"enabled": True}))["enabled"]


async def test_rules_are_added_replaced_and_deleted(console):
    admin = await program(console)
    await admin.done("POST", "/roles", {"name": "devs"})
    made = await admin.done("POST", "/roles/devs/rules", {"repository": "team/{user}/**", "level": "push"})
    assert made == {"id": made["id"], "address": "*", "repository": "team/{user}/**", "level": "push", "comment": ""}
    path = f"/roles/devs/rules/{made['id']}"
    rule = {"address": "10.0.0.0/8", "repository": "**", "level": "deny", "comment": "not \0 yet"}
    replaced = await admin.done("PUT", path, rule)
    assert replaced == rule | {"id": made["id"], "comment": "not \ufffd yet"}
    assert (await admin.done("GET", "/roles/devs"))["rules"] == [replaced]
    assert (await admin.call("PUT", f"/roles/read-all/rules/{made['id']}", rule))[0] == 404
    assert (await admin.call("DELETE", f"/roles/read-all/rules/{made['id']}"))[0] == 404
    await admin.done("DELETE", path)
    assert (await admin.call("DELETE", path))[0] == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"repository": ""}, "repository"),
        ({"repository": "["}, "repository"),
        ({"repository": "x" * 256}, "repository"),
        ({"address": "10.0.0.0/99"}, "address"),
        ({"address": ""}, "address"),
        ({"address": None}, "address"),
        ({"level": "root"}, "level"),
        ({"level": "PULL"}, "level"),
        ({"comment": "x" * 256}, "comment"),
        ({"role": "read-all"}, "role"),
    ],
)
@pytest.mark.parametrize("operation", ["POST /roles/read-all/rules", "POST /roles/read-all/rules/try"])
async def test_what_cannot_be_used_is_told_by_field(console, operation, change, field):
    admin = await program(console)
    method, path = operation.split()
    status, found = await admin.call(method, path, {"repository": "x", "level": "pull"} | change)
    [error] = found["errors"]
    assert (status, error["code"], [one["field"] for one in error["detail"]]) == (422, "INVALID", [field])
    assert len((await console.parts.roles.named("read-all")).rules) == 1


async def test_a_rule_is_tried_without_a_trace(console):
    await console.user("dev", "read-all")
    console.parts.asked.note([Asked("dev", "10.0.0.1", "team/app", "pull", allowed=True)])
    console.parts.asked.note([Asked("dev", "10.0.0.1", "team/app", "push", allowed=False)])
    admin = await program(console)
    [rule] = (await admin.done("GET", "/roles/read-all/rules"))["items"]
    trials = [
        ("/try", {"repository": "team/*", "level": "deny"}, [("pull", False)]),
        ("/try", {"repository": "team/*", "level": "push"}, [("push", True)]),
        (f"/{rule['id']}/try", {"rule": None}, [("pull", False)]),
        (f"/{rule['id']}/try", {"rule": {"repository": "**", "level": "push"}}, [("push", True)]),
        (f"/{rule['id']}/try", {"rule": {"repository": "**", "level": "pull"}}, []),
    ]
    await console.parts.asked.flush()
    entries = await console.parts.database.read(AuditRow.select().count)
    for path, document, expected in trials:
        found = await admin.done("POST", f"/roles/read-all/rules{path}", document)
        assert [(one["action"], one["gained"]) for one in found["differences"]] == expected
        assert (found["looked_at"], found["days"]) == (2, 14)
    assert await console.parts.database.read(AuditRow.select().count) == entries
    assert (await admin.done("GET", "/roles/read-all/rules"))["items"] == [rule]
    assert await console.parts.database.read(RuleRow.select().count) == 3
    assert (await admin.call("POST", f"/roles/UI_DELETE/rules/{rule['id']}/try", {"rule": None}))[0] == 404
    assert (await admin.call("POST", f"/roles/read-all/rules/{rule['id']}/try", {}))[0] == 422
