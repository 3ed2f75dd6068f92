import asyncio

import pytest

from tests.kit.actors import ADMIN, acting
from web_service.access import Level, Rule
from web_service.errors import Conflict, Invalid, NotFound, Refused
from web_service.models import UserRow
from web_service.roles import Roles, RuleDraft
from web_service.users import Users, check_name


async def ids(roles):
    return {role.name: role.id for role in await roles.all()}


async def test_an_empty_database_gets_one_administrator_with_a_password_to_change(users):
    (admin,) = await users.all()
    assert (admin.name, admin.is_admin, admin.may_browse, admin.default_password) == ("admin", True, True, True)
    assert await users.default_password_in_use()


async def test_a_chosen_first_password_is_not_the_default_one(database):
    users = Users(database)
    assert await users.seed("something else")
    assert not await users.default_password_in_use()


async def test_seeding_happens_once(users):
    assert not await users.seed("other")
    assert len(await users.all()) == 1


async def test_the_default_password_is_gone_once_it_was_changed(users):
    (admin,) = await users.all()
    await users.set_password(admin.id, "hash", by=ADMIN)
    assert not await users.default_password_in_use()
    assert (await users.look_up("admin"))[0].password_hash == "hash"


async def test_a_user_has_the_rules_of_enabled_roles_only(users, roles):
    user = await users.create("dev", "hash", by=ADMIN)
    assert (user.roles, user.rules, user.may_browse) == ((), (), False)
    by_name = await ids(roles)
    await roles.add_rule(by_name["read-all"], RuleDraft("10.*", "x/**", "push"), by=ADMIN)
    await users.grant(user.id, by_name["read-all"], by=ADMIN)
    await users.grant(user.id, by_name["UI_USER"], by=ADMIN)
    user = await users.named("dev")
    assert user.rules == (
        Rule("*", "**", Level.PULL, "read-all", user="dev"),
        Rule("10.*", "x/**", Level.PUSH, "read-all", user="dev"),
    )
    assert user.may_browse
    assert not user.is_admin
    await roles.set_enabled(by_name["read-all"], enabled=False, by=ADMIN)
    user = await users.get(user.id)
    assert user.rules == ()
    assert [(role.name, role.enabled) for role in user.roles] == [("UI_USER", True), ("read-all", False)]


async def test_granting_twice_is_granting_once(users, roles):
    user, by_name = await users.create("dev", "hash", by=ADMIN), await ids(roles)
    for _ in range(2):
        await users.grant(user.id, by_name["read-all"], by=ADMIN)
    assert len((await users.get(user.id)).roles) == 1
    await users.revoke(user.id, by_name["read-all"], by=ADMIN)
    assert (await users.get(user.id)).roles == ()


@pytest.mark.parametrize("name", ["dev", "a.b-c_d@example.com", "张三", "7", "x" * 64])
def test_usable_names(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a:b", "-a", ".a", "x" * 65, "a\n", "registry-web", "Registry-Web", "<b>"]
)
def test_unusable_names(name):
    with pytest.raises(Invalid):
        check_name(name)


async def test_a_name_is_taken_once(users):
    await users.create("dev", "hash", by=ADMIN)
    with pytest.raises(Conflict):
        await users.create("dev", "hash", by=ADMIN)


async def test_two_at_the_same_moment_make_one_user(users):
    results = await asyncio.gather(*(users.create("dev", "hash", by=ADMIN) for _ in range(5)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Conflict"] * 4 + ["User"]


async def test_the_last_administrator_stays(users, roles):
    (admin,) = await users.all()
    ui_admin = (await ids(roles))["UI_ADMIN"]
    other = await users.create("other", "hash", by=ADMIN)
    for attempt in (
        users.revoke(admin.id, ui_admin, by=ADMIN),
        users.delete(admin.id, by=acting(other)),
        users.set_enabled(admin.id, enabled=False, by=acting(other)),
    ):
        with pytest.raises(Refused, match="last administrator"):
            await attempt
    await users.grant(other.id, ui_admin, by=ADMIN)
    await users.set_enabled(other.id, enabled=False, by=acting(admin))
    with pytest.raises(Refused, match="last administrator"):
        await users.revoke(admin.id, ui_admin, by=ADMIN)
    await users.set_enabled(other.id, enabled=True, by=acting(admin))
    await users.delete(admin.id, by=acting(other))
    assert [user.name for user in await users.all()] == ["other"]


async def test_of_two_administrators_who_delete_each_other_one_stays(users, roles):
    (admin,) = await users.all()
    other = await users.create("other", "hash", by=ADMIN)
    await users.grant(other.id, (await ids(roles))["UI_ADMIN"], by=ADMIN)
    attempts = users.delete(admin.id, by=acting(other)), users.delete(other.id, by=acting(admin))
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(result, Refused) for result in results) == 1
    assert len(await users.all()) == 1


async def test_nobody_deletes_or_disables_himself(users, roles):
    user = await users.create("dev", "hash", by=ADMIN)
    await users.grant(user.id, (await ids(roles))["UI_ADMIN"], by=ADMIN)
    with pytest.raises(Refused, match="your own"):
        await users.delete(user.id, by=acting(user))
    with pytest.raises(Refused, match="your own"):
        await users.set_enabled(user.id, enabled=False, by=acting(user))


async def test_who_is_not_there_is_not_found(users):
    for attempt in (
        users.get(99),
        users.delete(99, by=ADMIN),
        users.set_password(99, "x", by=ADMIN),
        users.grant(99, 1, by=ADMIN),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await users.named("nobody") is None
    assert await users.look_up("nobody") is None


async def test_a_number_that_no_column_holds_is_no_role(users):
    with pytest.raises((Invalid, NotFound)):
        await users.grant(1, 2**70, by=ADMIN)


async def test_the_chosen_language_is_kept(users):
    (admin,) = await users.all()
    await users.set_language(admin.id, "zh-CN")
    assert (await users.get(admin.id)).language == "zh-CN"


async def test_a_user_is_renamed_and_stays_the_same(users, roles):
    user, by_name = await users.create("dev", "hash", by=ADMIN), await ids(roles)
    await users.grant(user.id, by_name["read-all"], by=ADMIN)
    renamed = await users.rename(user.id, "devi", by=ADMIN)
    assert (renamed.id, renamed.name, [role.name for role in renamed.roles]) == (user.id, "devi", ["read-all"])
    assert {rule.user for rule in renamed.rules} == {"devi"}
    assert (await users.look_up("devi"))[0].password_hash == "hash"
    assert await users.named("dev") is None
    assert (await users.rename(user.id, "devi", by=ADMIN)).name == "devi"


@pytest.mark.parametrize(("name", "error"), [("admin", Conflict), ("a b", Invalid), ("", Invalid), ("a*", Invalid)])
async def test_a_user_is_not_renamed_to_what_is_taken_or_no_name(users, name, error):
    user = await users.create("dev", "hash", by=ADMIN)
    with pytest.raises(error):
        await users.rename(user.id, name, by=ADMIN)
    assert (await users.get(user.id)).name == "dev"


async def test_who_does_not_exist_is_not_renamed(users):
    with pytest.raises(NotFound):
        await users.rename(99, "dev", by=ADMIN)


async def test_of_whom_a_decision_is_explained(users, roles):
    user, by_name = await users.create("dev", "hash", by=ADMIN), await ids(roles)
    await users.grant(user.id, by_name["read-all"], by=ADMIN)
    await roles.set_enabled(by_name["read-all"], enabled=False, by=ADMIN)
    subject = await users.subject("dev")
    assert [(rule.role, rule.enabled, rule.user) for rule in subject.rules] == [("read-all", False, "dev")]
    assert (subject.shut, "UI_USER" in subject.console_shut) == ("", True)
    await users.set_enabled(user.id, enabled=False, by=ADMIN)
    assert (await users.subject("dev")).shut == "This account is disabled."
    assert "everybody has to sign in" in (await users.subject("")).shut
    with pytest.raises(NotFound, match="no user named nobody"):
        await users.subject("nobody")


CHANGES = {
    "password": lambda users, _, dev, __: users.set_password(dev.id, "new", by=ADMIN),
    "disabled": lambda users, _, dev, __: users.set_enabled(dev.id, enabled=False, by=ADMIN),
    "deleted": lambda users, _, dev, __: users.delete(dev.id, by=ADMIN),
    "renamed": lambda users, _, dev, __: users.rename(dev.id, "devi", by=ADMIN),
    "role revoked": lambda users, _, dev, role: users.revoke(dev.id, role, by=ADMIN),
    "role disabled": lambda _, roles, __, role: roles.set_enabled(role, enabled=False, by=ADMIN),
    "role deleted": lambda _, roles, __, role: roles.delete(role, by=ADMIN),
    "rule added": lambda _, roles, __, role: roles.add_rule(role, RuleDraft("*", "x", "deny"), by=ADMIN),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_what_is_looked_up_again_is_never_older_than_a_change(database, users, roles, change):
    """Also when it was made by another process, here another object without the memory of the first."""
    dev, role = await users.create("dev", "hash", by=ADMIN), (await ids(roles))["read-all"]
    await users.grant(dev.id, role, by=ADMIN)
    before = await users.look_up("dev")
    assert before[1].rules
    assert await users.look_up("dev") is before  # nothing has changed, and nothing was read
    await CHANGES[change](Users(database), Roles(database), dev, role)
    after = await users.look_up("dev")
    assert after != before
    assert (after and after[1]) == await users.named("dev")


async def test_what_was_changed_by_hand_is_seen_after_a_few_seconds(database, roles):
    clock = [0.0]
    users = Users(database, lambda: clock[0])
    await users.seed("admin")
    assert (await users.look_up("admin"))[1].enabled
    await database.write(lambda: UserRow.update(enabled=False).execute())
    clock[0] += 5
    assert not (await users.look_up("admin"))[1].enabled


async def test_nobody_is_looked_up_each_time(users):
    assert await users.look_up("dev") is None
    await users.create("dev", "hash", by=ADMIN)
    assert (await users.look_up("dev"))[0].password_hash == "hash"
    await users.create_robot("ci", by=ADMIN)
    assert await users.look_up("ci") is None
