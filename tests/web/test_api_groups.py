"""Groups by the API."""

from tests.kit.api import program


async def test_a_group_is_added_changed_and_deleted(console):
    admin = await program(console)
    made = await admin.done("POST", "/groups", {"name": "devs", "comment": "the builders"})
    assert made == {"name": "devs", "comment": "the builders", "members": [], "roles": []}
    assert (await admin.call("POST", "/groups", {"name": "devs"}))[0] == 409
    changed = await admin.done("PATCH", "/groups/devs", {"name": "developers"})
    assert (changed["name"], changed["comment"]) == ("developers", "the builders")
    assert (await admin.done("PATCH", "/groups/developers", {"comment": ""}))["comment"] == ""
    assert (await admin.call("GET", "/groups/devs"))[0] == 404
    assert [one["name"] for one in (await admin.done("GET", "/groups"))["items"]] == ["developers"]
    await admin.done("DELETE", "/groups/developers")
    assert (await admin.done("GET", "/groups"))["items"] == []


async def test_members_and_roles_come_and_go(console):
    await console.user("anna")
    admin = await program(console)
    await admin.done("POST", "/groups", {"name": "devs"})
    for _ in range(2):
        await admin.done("PUT", "/groups/devs/members/anna")
        await admin.done("PUT", "/groups/devs/roles/read-all")
    found = await admin.done("GET", "/groups/devs")
    assert (found["members"], found["roles"]) == (["anna"], ["read-all"])
    assert (await admin.done("GET", "/roles/read-all"))["groups"] == ["devs"]
    for path in ("members/anna", "roles/read-all"):
        await admin.done("DELETE", f"/groups/devs/{path}")
        assert (await admin.call("DELETE", f"/groups/devs/{path}"))[0] == 404
    for path in ("members/nobody", "roles/nothing"):
        assert (await admin.call("PUT", f"/groups/devs/{path}"))[0] == 404
        assert (await admin.call("DELETE", f"/groups/devs/{path}"))[0] == 404
    assert (await admin.call("PUT", "/groups/devs/roles/anonymous"))[0] == 403
    assert (await admin.call("PUT", "/groups/nothing/members/anna"))[0] == 404


async def test_the_last_administrator_is_not_lost_with_a_group(console):
    admin = await program(console)
    await admin.done("POST", "/groups", {"name": "bosses"})
    await admin.done("PUT", "/groups/bosses/roles/UI_ADMIN")
    await admin.done("PUT", "/groups/bosses/members/admin")
    await admin.done("DELETE", "/users/admin/roles/UI_ADMIN")
    for path in ("", "/members/admin", "/roles/UI_ADMIN"):
        assert (await admin.call("DELETE", f"/groups/bosses{path}"))[0] == 403
    assert (await admin.done("GET", "/user"))["user"]["admin"]
