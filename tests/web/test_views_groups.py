"""Groups in the browser: members, roles, and what the pages of users and roles show of them."""

import re

import pytest

from tests.kit.actors import ADMIN

HOSTILE = "<script>alert(1)</script>"


async def group(console, name="team"):
    return await console.parts.groups.named(name)


async def role_id(console, name):
    return (await console.parts.roles.named(name)).id


async def test_the_walk_a_group_gets_a_role_and_members_who_then_have_it(console):
    admin = await console.admin()
    dev = await console.user("dev")
    assert "There are no groups yet." in await admin.text("/group/index")
    response = await admin.post("/group/create", name=" team ")
    made = await group(console)
    place = f"/group/show/{made.id}"
    assert response.headers["Location"] == place
    assert "Group team was created." in await admin.text(place)
    read_all = await role_id(console, "read-all")
    assert (await admin.post(f"/group/addMember/{made.id}", user=str(dev.id))).headers["Location"] == place
    assert (await admin.post(f"/group/addRole/{made.id}", role=str(read_all))).headers["Location"] == place
    held = await console.parts.users.get(dev.id)
    assert ([(role.name, role.group) for role in held.roles], held.groups) == ([("read-all", "team")], ("team",))
    page = await admin.text(place)
    assert f'<a href="/user/show/{dev.id}">dev</a>' in page
    assert f'<a href="/role/show/{read_all}">read-all</a>' in page
    row = (await admin.text("/group/index")).partition("<tbody>")[2]
    assert "read-all" in row
    await admin.post(f"/group/deleteRole/{made.id}", role=str(read_all))
    await admin.post(f"/group/deleteMember/{made.id}", user=str(dev.id))
    left = await group(console)
    assert (left.members, left.roles) == ((), ())


async def test_a_user_has_a_role_through_a_group_and_it_is_revoked_there_only(console):
    admin, dev = await console.admin(), await console.member("dev")
    user = await console.parts.users.named("dev")
    made = await console.parts.groups.create("team", by=ADMIN)
    await console.parts.groups.add_member(made.id, user.id, by=ADMIN)
    read_all = await role_id(console, "read-all")
    await console.parts.groups.grant(made.id, read_all, by=ADMIN)
    page = await admin.text(f"/user/show/{user.id}")
    assert f'through the group <a href="/group/show/{made.id}">team</a>' in page
    assert "Revoke the role read-all" not in page
    assert f'<option value="{read_all}">read-all</option>' in page  # it can be granted to the user as well
    await admin.post(f"/user/addRole/{user.id}", role=str(read_all))
    page = await admin.text(f"/user/show/{user.id}")
    assert "Revoke the role read-all" in page
    assert "through the group" in page
    assert "My groups" in await dev.text("/account")


async def test_a_role_tells_which_groups_have_it(console):
    admin = await console.admin()
    made = await console.parts.groups.create("team", by=ADMIN)
    read_all = await role_id(console, "read-all")
    assert "Nobody has this role." in await admin.text(f"/role/show/{read_all}")
    await console.parts.groups.grant(made.id, read_all, by=ADMIN)
    page = await admin.text(f"/role/show/{read_all}")
    assert f'href="/group/show/{made.id}"' in page
    assert "Nobody has this role." not in page
    assert "+ 1 group" in await admin.text("/role/index")
    assert "It is taken from 1 group." in await admin.text(f"/role/delete/{read_all}")


@pytest.mark.parametrize(
    ("path", "fields", "status", "words"),
    [
        ("/group/create", {"name": "team"}, 409, "already a group named team"),
        ("/group/create", {"name": HOSTILE}, 400, "A group name has up to 64"),
        ("/group/create", {}, 400, "A group name has up to 64"),
        ("/group/update/{id}", {"name": "other", "comment": "typed"}, 409, "already a group named other"),
        ("/group/update/{id}", {"name": "", "comment": HOSTILE}, 400, "A group name has up to 64"),
        ("/group/update/{id}", {"name": "team", "comment": "x" * 256}, 400, "at most 255 characters"),
    ],
)
async def test_what_cannot_be_had_shows_the_form_again(console, path, fields, status, words):
    admin = await console.admin()
    made = await console.parts.groups.create("team", "as it was", by=ADMIN)
    await console.parts.groups.create("other", by=ADMIN)
    response = await admin.post(path.format(id=made.id), **fields)
    page = await response.text()
    assert response.status == status
    assert words in page
    assert HOSTILE not in page
    for value in fields.values():
        assert value.replace("<", "&lt;").replace(">", "&gt;") in page
    assert (await group(console)).comment == "as it was"


async def test_a_group_is_renamed_and_its_comment_is_harmless(console):
    admin = await console.admin()
    made = await console.parts.groups.create("team", by=ADMIN)
    response = await admin.post(f"/group/update/{made.id}", name="crew", comment=HOSTILE)
    assert response.headers["Location"] == f"/group/show/{made.id}"
    for path in ("/group/index", f"/group/show/{made.id}"):
        page = await admin.text(path)
        assert "crew" in page
        assert HOSTILE not in page
        assert "&lt;script&gt;alert" in page


async def test_a_group_is_deleted_after_a_question(console):
    admin, dev = await console.admin(), await console.user("dev")
    made = await console.parts.groups.create("team", by=ADMIN)
    await console.parts.groups.add_member(made.id, dev.id, by=ADMIN)
    page = await admin.text(f"/group/delete/{made.id}")
    assert "Delete the group team?" in page
    assert "1 member loses the roles of this group." in page
    assert (await admin.post(f"/group/delete/{made.id}")).headers["Location"] == "/group/index"
    assert "Group team was deleted." in await admin.text("/group/index")
    assert (await admin.get(f"/group/show/{made.id}")).status == 404


async def test_the_last_administrator_is_not_lost_with_a_group(console):
    admin, boss = await console.admin(), await console.parts.users.named("admin")
    made = await console.parts.groups.create("bosses", by=ADMIN)
    ui_admin = await role_id(console, "UI_ADMIN")
    await console.parts.groups.grant(made.id, ui_admin, by=ADMIN)
    await console.parts.groups.add_member(made.id, boss.id, by=ADMIN)
    await console.parts.users.revoke(boss.id, ui_admin, by=ADMIN)
    for path, fields in (
        (f"/group/deleteMember/{made.id}", {"user": str(boss.id)}),
        (f"/group/deleteRole/{made.id}", {"role": str(ui_admin)}),
        (f"/group/delete/{made.id}", {}),
    ):
        response = await admin.post(path, **fields)
        assert response.status == 403, path
        assert "last administrator" in await response.text()
    assert (await console.parts.users.named("admin")).is_admin


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("addMember", {"user": ""}, 303),
        ("addMember", {"user": "x"}, 303),
        ("addMember", {"user": "999"}, 404),
        ("addMember", {"user": "9" * 30}, 303),
        ("addRole", {"role": "999"}, 404),
        ("addRole", {}, 303),
        ("deleteMember", {"user": "999"}, 404),
        ("deleteRole", {"role": "²"}, 303),
    ],
)
async def test_who_is_not_there_is_not_added(console, path, fields, status):
    admin = await console.admin()
    made = await console.parts.groups.create("team", by=ADMIN)
    assert (await admin.post(f"/group/{path}/{made.id}", **fields)).status == status
    assert await group(console) == made


async def test_the_role_anonymous_is_not_offered_and_not_given(console):
    admin = await console.admin()
    made = await console.parts.groups.create("team", by=ADMIN)
    anonymous = await role_id(console, "anonymous")
    assert f'<option value="{anonymous}">' not in await admin.text(f"/group/show/{made.id}")
    assert (await admin.post(f"/group/addRole/{made.id}", role=str(anonymous))).status == 403


async def test_roles_that_open_the_console_are_offered_last(console):
    admin, dev = await console.admin(), await console.user("dev")
    made = await console.parts.groups.create("team", by=ADMIN)
    for path in (f"/group/show/{made.id}", f"/user/show/{dev.id}"):
        options = re.findall(
            r'<option value="\d+">(\w[\w-]*)</option>', (await admin.text(path)).partition('name="role"')[2]
        )
        assert options == ["UI_DELETE", "read-all", "write-all", "UI_ADMIN", "UI_USER"], path


async def test_it_is_chinese_for_chinese_readers(console):
    admin = await console.admin()
    made = await console.parts.groups.create("team", by=ADMIN)
    for path in ("/group/index", f"/group/show/{made.id}", f"/group/delete/{made.id}"):
        page = await admin.text(path, headers={"Accept-Language": "zh-CN"})
        assert "用户组" in page
        for english in ("Groups", "Members", "Roles", "Comment", "Delete group", "Administration"):
            assert f">{english}<" not in page, path
