"""The audit trail: with the change or not at all, found again, and never changed."""

import time

import pytest

from tests.kit.actors import ADMIN, acting
from web_service.actors import Actor, Via
from web_service.audit import Audit, Wanted
from web_service.errors import Conflict, Refused
from web_service.models import AuditRow
from web_service.roles import RuleDraft


@pytest.fixture
def audit(database, users):
    return Audit(database)


async def trail(audit, **wanted):
    return [
        (one.actor, one.action, one.subject, one.old, one.new)
        for one in reversed((await audit.page(Wanted(**wanted))).entries)
    ]


async def test_changes_of_users_are_recorded_with_old_and_new(audit, users, roles):
    boss = Actor("boss", Via.CONSOLE, "10.0.0.1")
    dev = await users.create("dev", "hash", by=boss)
    role = (await roles.named("read-all")).id
    await users.grant(dev.id, role, by=boss)
    await users.grant(dev.id, role, by=boss)  # changes nothing
    await users.rename(dev.id, "devi", by=boss)
    await users.set_password(dev.id, "secret hash", by=boss)
    await users.set_enabled(dev.id, enabled=False, by=boss)
    await users.set_enabled(dev.id, enabled=False, by=boss)  # nor does this
    await users.delete(dev.id, by=boss)
    assert await trail(audit) == [
        ("boss", "user.create", "dev", {}, {"enabled": True}),
        ("boss", "user.grant", "dev", {}, {"role": "read-all"}),
        ("boss", "user.rename", "devi", {"name": "dev"}, {"name": "devi"}),
        ("boss", "user.password", "devi", {}, {}),
        ("boss", "user.disable", "devi", {}, {}),
        ("boss", "user.delete", "devi", {"roles": ["read-all"]}, {}),
    ]
    (first, *_) = (await audit.page(Wanted())).entries
    assert (first.via, first.address, abs(first.time - time.time()) < 60) == ("console", "10.0.0.1", True)


async def test_changes_of_roles_and_rules_are_recorded_with_old_and_new(audit, roles):
    role = await roles.create("team", by=ADMIN)
    rule = await roles.add_rule(role.id, RuleDraft("*", "a/**", "pull", "ours"), by=ADMIN)
    await roles.edit_rule(role.id, rule.id, RuleDraft("*", "a/**", "push", "ours"), by=ADMIN)
    await roles.edit_rule(role.id, rule.id, RuleDraft("*", "a/**", "push", "ours"), by=ADMIN)
    await roles.rename(role.id, "crew", by=ADMIN)
    await roles.set_enabled(role.id, enabled=False, by=ADMIN)
    await roles.delete_rule(role.id, rule.id, by=ADMIN)
    await roles.delete(role.id, by=ADMIN)
    pull = {"address": "*", "repository": "a/**", "level": "pull", "comment": "ours"}
    push = pull | {"level": "push"}
    assert [(action, subject, old, new) for _, action, subject, old, new in await trail(audit)] == [
        ("role.create", "team", {}, {}),
        ("rule.add", "team", {}, pull),
        ("rule.edit", "team", pull, push),
        ("role.rename", "crew", {"name": "team"}, {"name": "crew"}),
        ("role.disable", "crew", {}, {}),
        ("rule.delete", "crew", push, {}),
        ("role.delete", "crew", {"rules": [], "holders": []}, {}),
    ]


async def test_a_change_that_is_refused_leaves_no_line(audit, users):
    admin = await users.named("admin")
    for attempt in (
        users.delete(admin.id, by=ADMIN),
        users.delete(admin.id, by=acting(admin)),
        users.set_enabled(admin.id, enabled=False, by=ADMIN),
        users.create("admin", "hash", by=ADMIN),
    ):
        with pytest.raises((Refused, Conflict)):
            await attempt
    assert await trail(audit) == []


async def test_a_robot_comes_and_goes_with_its_role(audit, users, roles):
    robot = await users.create_robot("ci", [RuleDraft("10.0.0.0/8", "team/**", "push")], by=ADMIN)
    assert [(rule.address, rule.repository, rule.level, rule.role) for rule in robot.rules] == [
        ("10.0.0.0/8", "team/**", "push", "robot ci")
    ]
    await users.delete(robot.id, by=ADMIN)
    assert await roles.named("robot ci") is None
    assert [action for _, action, *_ in await trail(audit)] == [
        "robot.create",
        "role.create",
        "rule.add",
        "user.grant",
        "role.delete",
        "robot.delete",
    ]


async def test_lines_are_found(audit):
    boss, shell = Actor("boss", Via.CONSOLE), Actor("root", Via.SHELL)
    await audit.record(boss, "user.create", "dev")
    await audit.record(shell, "user.delete", "dev")
    await audit.record(boss, "role.create", "a_b", reason="100%")
    assert [one[1] for one in await trail(audit, actor="boss")] == ["user.create", "role.create"]
    assert [one[1] for one in await trail(audit, action="user.")] == ["user.create", "user.delete"]
    assert [one[1] for one in await trail(audit, action="user.delete")] == ["user.delete"]
    assert [one[1] for one in await trail(audit, subject="dev")] == ["user.create", "user.delete"]
    assert await trail(audit, subject="%") == []
    assert [one[2] for one in await trail(audit, subject="a_")] == ["a_b"]
    assert await trail(audit, since=int(time.time()) + 60) == []


async def test_pages_are_newest_first(audit):
    for number in range(5):
        await audit.record(ADMIN, "x", str(number))
    pages = [await audit.page(Wanted(), number, 2) for number in (1, 2, 3, 4)]
    assert [[one.subject for one in page.entries] for page in pages] == [["4", "3"], ["2", "1"], ["0"], []]
    assert [page.has_next for page in pages] == [True, True, False, False]


async def test_old_lines_are_forgotten(audit, database):
    await audit.record(ADMIN, "old")
    await database.write(lambda: AuditRow.update(time=1).execute())
    await audit.record(ADMIN, "new")
    assert await audit.purge(3600) == 1
    assert [action for _, action, *_ in await trail(audit)] == ["new"]


async def test_a_line_holds_whatever_a_stranger_sends(audit):
    await audit.record(Actor("x" * 300 + "\0\ud800", Via.DOCKER, "y" * 100), "signin.refused", "\ud800" * 300)
    (entry,) = (await audit.page(Wanted())).entries
    assert len(entry.actor) == len(entry.subject) == 255
    assert len(entry.address) == 64
