import pytest

from web_service.errors import Conflict, Invalid, NotFound, Refused
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
        "read-all": (False, [("*", "**", "pull")]),
        "write-all": (False, [("*", "**", "push")]),
    }


async def test_rules_are_added_changed_and_deleted(roles):
    role = await roles.create("team")
    await roles.add_rule(role.id, RuleDraft(" 10.0.0.0/8 ", " team/** ", "push", " of the team "))
    (rule,) = (await roles.get(role.id)).rules
    assert (rule.address, rule.repository, rule.level, rule.comment) == ("10.0.0.0/8", "team/**", "push", "of the team")
    await roles.edit_rule(role.id, rule.id, RuleDraft("*", "other", "pull"))
    (rule,) = (await roles.get(role.id)).rules
    assert (rule.address, rule.repository, rule.level, rule.comment) == ("*", "other", "pull", "")
    await roles.delete_rule(role.id, rule.id)
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
    role = await roles.create("team")
    with pytest.raises(Invalid, match=reason.replace("{", r"\{")):
        await roles.add_rule(role.id, draft)
    assert (await roles.get(role.id)).rules == ()


async def test_special_roles_are_left_alone(roles):
    role = await named(roles, "UI_ADMIN")
    for attempt in (
        roles.delete(role.id),
        roles.set_enabled(role.id, enabled=False),
        roles.add_rule(role.id, RuleDraft("*", "**", "pull")),
    ):
        with pytest.raises(Refused):
            await attempt


async def test_deleting_a_role_takes_it_from_all_its_holders(roles, users):
    role = await named(roles, "read-all")
    for name in ("one", "two"):
        await users.grant((await users.create(name, "hash")).id, role.id)
    assert [holder.name for holder in (await roles.get(role.id)).holders] == ["one", "two"]
    assert (await roles.delete(role.id)).name == "read-all"
    assert (await users.named("one")).roles == ()
    assert (await users.named("two")).rules == ()


async def test_names_are_checked_and_taken_once(roles):
    with pytest.raises(Conflict):
        await roles.create("read-all")
    for name in ("", " x", "x" * 65, "<b>", "a\nb"):
        with pytest.raises(Invalid):
            await roles.create(name)


async def test_what_is_not_there_is_not_found(roles):
    role, other = await roles.create("one"), await named(roles, "read-all")
    for attempt in (
        roles.get(99),
        roles.delete_rule(role.id, 99),
        roles.edit_rule(role.id, other.rules[0].id, RuleDraft("*", "**", "pull")),
    ):
        with pytest.raises(NotFound):
            await attempt
