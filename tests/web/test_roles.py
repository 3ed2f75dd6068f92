import pytest

from tests.kit.actors import ADMIN
from web_service.access import Level, Rule
from web_service.errors import Conflict, Invalid, NotFound, Refused
from web_service.models import RoleRow
from web_service.roles import RuleDraft


async def named(roles, name):
    return next(role for role in await roles.all() if role.name == name)


async def test_a_new_database_has_the_roles_that_users_of_the_old_program_know(roles):
    seeded = {
        role.name: (role.special, [(rule.address, rule.repository, rule.level.value) for rule in role.rules])
        for role in await roles.all()
    }
    assert seeded == {
        "UI_ADMIN": (True, []),
        "UI_USER": (True, []),
        "UI_DELETE": (False, [("local", "**", "ui-delete")]),
        "anonymous": (True, []),
        "read-all": (False, [("*", "**", "pull")]),
        "write-all": (False, [("*", "**", "push")]),
    }


async def test_rules_are_added_changed_and_deleted(roles):
    role = await roles.create("team", by=ADMIN)
    await roles.add_rule(role.id, RuleDraft(" 10.0.0.0/8 ", " team/** ", "push", " of the team "), by=ADMIN)
    (rule,) = (await roles.get(role.id)).rules
    assert (rule.address, rule.repository, rule.level, rule.comment) == ("10.0.0.0/8", "team/**", "push", "of the team")
    await roles.edit_rule(role.id, rule.id, RuleDraft("*", "other", "pull"), by=ADMIN)
    (rule,) = (await roles.get(role.id)).rules
    assert (rule.address, rule.repository, rule.level, rule.comment) == ("*", "other", "pull", "")
    await roles.delete_rule(role.id, rule.id, by=ADMIN)
    assert (await roles.get(role.id)).rules == ()


@pytest.mark.parametrize(
    ("draft", "reason"),
    [
        (RuleDraft("*", "{a", "pull"), "repository {a cannot be used: it lacks the '}' of a group"),
        (RuleDraft("*", "", "pull"), "is empty"),
        (RuleDraft("", "**", "pull"), "is empty"),
        (RuleDraft("10.0.0.0/77", "**", "pull"), "address 10.0.0.0/77 cannot be used"),
        (RuleDraft("*", "**", "root"), "one of the levels"),
        (RuleDraft("*", "**", "pull", "x" * 256), "at most 255"),
    ],
)
async def test_an_unusable_rule_is_refused_with_the_reason(roles, draft, reason):
    role = await roles.create("team", by=ADMIN)
    with pytest.raises(Invalid, match=reason.replace("{", r"\{")):
        await roles.add_rule(role.id, draft, by=ADMIN)
    assert (await roles.get(role.id)).rules == ()


async def test_special_roles_are_left_alone(roles):
    role = await named(roles, "UI_ADMIN")
    for attempt in (
        roles.delete(role.id, by=ADMIN),
        roles.set_enabled(role.id, enabled=False, by=ADMIN),
        roles.add_rule(role.id, RuleDraft("*", "**", "pull"), by=ADMIN),
        roles.rename(role.id, "other", by=ADMIN),
    ):
        with pytest.raises(Refused):
            await attempt


async def test_deleting_a_role_takes_it_from_all_its_holders(roles, users):
    role = await named(roles, "read-all")
    for name in ("one", "two"):
        await users.grant((await users.create(name, "hash", by=ADMIN)).id, role.id, by=ADMIN)
    assert [holder.name for holder in (await roles.get(role.id)).holders] == ["one", "two"]
    assert (await roles.delete(role.id, by=ADMIN)).name == "read-all"
    assert (await users.named("one")).roles == ()
    assert (await users.named("two")).rules == ()


async def test_names_are_checked_and_taken_once(roles):
    with pytest.raises(Conflict):
        await roles.create("read-all", by=ADMIN)
    for name in ("", " x", "x" * 65, "<b>", "a\nb"):
        with pytest.raises(Invalid):
            await roles.create(name, by=ADMIN)


async def test_what_is_not_there_is_not_found(roles):
    role, other = await roles.create("one", by=ADMIN), await named(roles, "read-all")
    for attempt in (
        roles.get(99),
        roles.delete_rule(role.id, 99, by=ADMIN),
        roles.edit_rule(role.id, other.rules[0].id, RuleDraft("*", "**", "pull"), by=ADMIN),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_a_role_is_renamed_and_stays_the_same(roles):
    role = await named(roles, "read-all")
    await roles.rename(role.id, "readers", by=ADMIN)
    renamed = await roles.get(role.id)
    assert (renamed.name, renamed.rules) == ("readers", role.rules)
    await roles.rename(role.id, "readers", by=ADMIN)
    for name, error in (("write-all", Conflict), ("UI_ADMIN", Conflict), ("", Invalid), ("a/b", Invalid)):
        with pytest.raises(error):
            await roles.rename(role.id, name, by=ADMIN)
    with pytest.raises(NotFound):
        await roles.rename(99, "other", by=ADMIN)


@pytest.mark.parametrize(
    ("repository", "level"), [("{user}/**", "push"), ("{team,{user}}/**", "pull"), ("secret/**", "deny")]
)
async def test_rules_may_deny_and_hold_the_name_of_the_user(roles, repository, level):
    role = await roles.create("team", by=ADMIN)
    await roles.add_rule(role.id, RuleDraft("*", repository, level), by=ADMIN)
    assert [(rule.repository, rule.level) for rule in (await roles.get(role.id)).rules] == [(repository, level)]


async def test_the_role_anonymous_has_rules_but_neither_holders_nor_an_end(roles, users):
    role = await named(roles, "anonymous")
    assert (role.is_anonymous, role.has_rules, role.enabled) == (True, True, False)
    await roles.add_rule(role.id, RuleDraft("*", "public/**", "pull"), by=ADMIN)
    assert await users.anonymous() is None
    await roles.set_enabled(role.id, enabled=True, by=ADMIN)
    assert await users.anonymous() == (Rule("*", "public/**", Level.PULL, "anonymous"),)
    user = await users.create("dev", "hash", by=ADMIN)
    assert user.rules == (Rule("*", "public/**", Level.PULL, "anonymous", public=True),)
    for attempt in (
        roles.delete(role.id, by=ADMIN),
        roles.rename(role.id, "public", by=ADMIN),
        users.grant(user.id, role.id, by=ADMIN),
    ):
        with pytest.raises(Refused):
            await attempt


async def test_an_older_database_gets_the_role_anonymous_at_the_next_start(database, users, roles):
    await database.write(lambda: RoleRow.delete().where(RoleRow.name == "anonymous").execute())
    assert await users.anonymous() is None
    assert "everybody has to sign in" in (await users.subject("")).shut
    assert not await users.seed("admin")
    assert (await named(roles, "anonymous")).is_anonymous
    assert not (await named(roles, "anonymous")).enabled


async def test_a_role_of_ones_own_with_that_name_does_not_become_public(database, users, roles):
    await database.write(
        lambda: RoleRow.update(special=False, enabled=True).where(RoleRow.name == "anonymous").execute()
    )
    own = await named(roles, "anonymous")
    await roles.add_rule(own.id, RuleDraft("*", "**", "admin"), by=ADMIN)
    await roles.create("anonymous-1", by=ADMIN)
    assert await users.anonymous() is None
    await users.seed("admin")
    assert (await roles.get(own.id)).name == "anonymous-2"
    assert len((await roles.get(own.id)).rules) == 1
    assert (await named(roles, "anonymous")).rules == ()
    assert await users.anonymous() is None
