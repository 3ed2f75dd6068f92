"""Groups share roles; what a member may follows from both."""

import pytest

from tests.kit.actors import ADMIN, acting
from web_service.audit import Audit, Wanted
from web_service.errors import Conflict, Invalid, NotFound, Refused
from web_service.groups import Groups
from web_service.roles import Holder, RuleDraft


@pytest.fixture
def groups(database, users):
    return Groups(database)


@pytest.fixture
async def dev(users):
    return await users.create("dev", "hash", by=ADMIN)


async def role_id(roles, name):
    return (await roles.named(name)).id


async def test_members_have_the_roles_of_their_group(users, roles, groups, dev):
    group = await groups.create("team", " ours ", by=ADMIN)
    await groups.add_member(group.id, dev.id, by=ADMIN)
    await groups.grant(group.id, await role_id(roles, "read-all"), by=ADMIN)
    member = await users.get(dev.id)
    assert [(role.name, role.group) for role in member.roles] == [("read-all", "team")]
    assert [(rule.repository, rule.level, rule.role) for rule in member.rules] == [("**", "pull", "read-all")]
    assert member.groups == ("team",)
    held = await groups.get(group.id)
    assert (held.comment, held.members, [one.name for one in held.roles]) == (
        "ours",
        (Holder(dev.id, "dev"),),
        ["read-all"],
    )
    assert (await roles.named("read-all")).groups == (Holder(group.id, "team"),)
    assert (await users.subject("dev")).rules == member.rules


async def test_a_role_that_is_held_twice_counts_once(users, roles, groups, dev):
    group = await groups.create("team", by=ADMIN)
    await groups.add_member(group.id, dev.id, by=ADMIN)
    await groups.grant(group.id, await role_id(roles, "read-all"), by=ADMIN)
    await users.grant(dev.id, await role_id(roles, "read-all"), by=ADMIN)
    member = await users.get(dev.id)
    assert [(role.name, role.group) for role in member.roles] == [("read-all", ""), ("read-all", "team")]
    assert len(member.rules) == 1


@pytest.mark.parametrize("how", ["leave", "revoke", "delete", "disable"])
async def test_what_came_through_the_group_goes_with_it(users, roles, groups, dev, how):
    group, role = await groups.create("team", by=ADMIN), await roles.create("pushers", by=ADMIN)
    await roles.add_rule(role.id, RuleDraft("*", "{user}/**", "push"), by=ADMIN)
    await groups.add_member(group.id, dev.id, by=ADMIN)
    await groups.grant(group.id, role.id, by=ADMIN)
    assert [rule.user for rule in (await users.get(dev.id)).rules] == ["dev"]
    await {
        "leave": lambda: groups.remove_member(group.id, dev.id, by=ADMIN),
        "revoke": lambda: groups.revoke(group.id, role.id, by=ADMIN),
        "delete": lambda: groups.delete(group.id, by=ADMIN),
        "disable": lambda: roles.set_enabled(role.id, enabled=False, by=ADMIN),
    }[how]()
    assert (await users.get(dev.id)).rules == ()


async def test_an_administrator_through_a_group_is_one_and_the_last_cannot_be_lost(users, roles, groups, dev):
    ui_admin, admin = await role_id(roles, "UI_ADMIN"), await users.named("admin")
    group = await groups.create("admins", by=ADMIN)
    await groups.add_member(group.id, dev.id, by=ADMIN)
    await groups.grant(group.id, ui_admin, by=ADMIN)
    assert (await users.get(dev.id)).is_admin
    await users.delete(admin.id, by=acting(dev))
    for attempt in (
        groups.delete(group.id, by=ADMIN),
        groups.revoke(group.id, ui_admin, by=ADMIN),
        groups.remove_member(group.id, dev.id, by=ADMIN),
        users.set_enabled(dev.id, enabled=False, by=ADMIN),
        users.delete(dev.id, by=ADMIN),
    ):
        with pytest.raises(Refused, match="last administrator"):
            await attempt
    assert (await users.get(dev.id)).is_admin


async def test_a_robot_is_no_administrator_to_rely_on(users, roles):
    robot = await users.create_robot("ci", by=ADMIN)
    await users.grant(robot.id, await role_id(roles, "UI_ADMIN"), by=ADMIN)
    with pytest.raises(Refused, match="last administrator"):
        await users.delete((await users.named("admin")).id, by=ADMIN)


async def test_the_role_of_everybody_is_granted_to_no_group(roles, groups):
    group = await groups.create("team", by=ADMIN)
    with pytest.raises(Refused, match="everybody"):
        await groups.grant(group.id, await role_id(roles, "anonymous"), by=ADMIN)


@pytest.mark.parametrize(("name", "comment"), [("", ""), (" x", ""), ("x" * 65, ""), ("a/b", ""), ("ok", "x" * 256)])
async def test_what_cannot_be_a_group_is_told(groups, name, comment):
    group = await groups.create("team", by=ADMIN)
    with pytest.raises(Invalid):
        await groups.create(name, comment, by=ADMIN)
    with pytest.raises(Invalid):
        await groups.update(group.id, name, comment, by=ADMIN)
    assert [one.name for one in await groups.all()] == ["team"]


async def test_names_are_unique_and_can_be_changed(groups):
    group = await groups.create("team", by=ADMIN)
    other = await groups.create("other", by=ADMIN)
    with pytest.raises(Conflict):
        await groups.create("team", by=ADMIN)
    with pytest.raises(Conflict):
        await groups.update(group.id, "other", "", by=ADMIN)
    await groups.update(group.id, "team", "of the house", by=ADMIN)
    await groups.update(other.id, "crew", "", by=ADMIN)
    assert [(one.name, one.comment) for one in await groups.all()] == [("crew", ""), ("team", "of the house")]
    assert (await groups.named("crew")).id == other.id
    assert await groups.named("other") is None


async def test_who_is_not_there_is_not_found(groups, roles, dev):
    group = await groups.create("team", by=ADMIN)
    for attempt in (
        groups.get(99),
        groups.update(99, "x", "", by=ADMIN),
        groups.delete(99, by=ADMIN),
        groups.add_member(99, dev.id, by=ADMIN),
        groups.add_member(group.id, 99, by=ADMIN),
        groups.grant(group.id, 99, by=ADMIN),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_each_change_is_in_the_audit_trail_once(database, users, roles, groups, dev):
    group, role = await groups.create("team", by=ADMIN), await role_id(roles, "read-all")
    for _ in range(2):  # the second time changes nothing
        await groups.add_member(group.id, dev.id, by=ADMIN)
        await groups.grant(group.id, role, by=ADMIN)
        await groups.update(group.id, "team", "ours", by=ADMIN)
    for _ in range(2):
        await groups.remove_member(group.id, dev.id, by=ADMIN)
        await groups.revoke(group.id, role, by=ADMIN)
    await groups.delete(group.id, by=ADMIN)
    entries = (await Audit(database).page(Wanted(action="group."))).entries
    assert [(one.action, one.subject, one.old, one.new) for one in reversed(entries)] == [
        ("group.create", "team", {}, {}),
        ("group.join", "team", {}, {"member": "dev"}),
        ("group.grant", "team", {}, {"role": "read-all"}),
        ("group.edit", "team", {"name": "team", "comment": ""}, {"name": "team", "comment": "ours"}),
        ("group.leave", "team", {"member": "dev"}, {}),
        ("group.revoke", "team", {"role": "read-all"}, {}),
        ("group.delete", "team", {"members": [], "roles": []}, {}),
    ]
