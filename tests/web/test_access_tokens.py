"""Access tokens: shown once, kept as a hash, never stronger than what made them."""

import itertools
from types import SimpleNamespace

import pytest

from tests.kit.actors import ADMIN, acting
from web_service.access import Level
from web_service.access_tokens import DAY, LONGEST_DAYS, AccessTokens, Api, Draft
from web_service.audit import Audit, Wanted
from web_service.errors import Conflict, Invalid, NotFound, Refused
from web_service.limits import Limit
from web_service.models import AccessTokenRow
from web_service.opaque import Kind, kind_of
from web_service.roles import Roles, RuleDraft
from web_service.users import Users

START = 1_700_000_000
PULL = Limit("team/**", Level.PULL)


@pytest.fixture
def clock():
    return [START]


@pytest.fixture
def tokens(database, users, clock):
    return AccessTokens(database, lambda: clock[0])


@pytest.fixture
async def dev(users):
    return await users.create("dev", "hash", by=ADMIN)


async def test_a_token_is_found_by_its_secret(tokens, dev):
    token, secret = await tokens.create(dev.id, Draft("laptop", 30, (PULL,), Api.READ), by=acting(dev))
    assert kind_of(secret) is Kind.PERSONAL
    assert (token.owner, token.name, token.limits, token.api) == ("dev", "laptop", (PULL,), Api.READ)
    assert (token.created, token.expires, token.last_used) == (START, START + 30 * DAY, 0)
    assert secret.startswith(token.hint)
    found = await tokens.find(secret, "10.0.0.1")
    assert (found.user, found.token) == (dev, token)
    assert await tokens.find(secret[::-1], "10.0.0.1") is None
    assert await tokens.all() == await tokens.of_user(dev.id)


CHANGES = {
    "token revoked": lambda made, dev, token, _: made.tokens.revoke(dev.id, token.id, by=ADMIN),
    "user disabled": lambda made, dev, *_: made.users.set_enabled(dev.id, enabled=False, by=ADMIN),
    "user renamed": lambda made, dev, *_: made.users.rename(dev.id, "devi", by=ADMIN),
    "user deleted": lambda made, dev, *_: made.users.delete(dev.id, by=ADMIN),
    "role revoked": lambda made, dev, _, role: made.users.revoke(dev.id, role, by=ADMIN),
    "role disabled": lambda made, _, __, role: made.roles.set_enabled(role, enabled=False, by=ADMIN),
    "rule added": lambda made, _, __, role: made.roles.add_rule(role, RuleDraft("*", "x", "deny"), by=ADMIN),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_what_is_found_again_is_never_older_than_a_change(tokens, database, users, roles, dev, change):
    """Also when it was made by another process, here other objects without the memory of the first."""
    role = next(one.id for one in await roles.all() if one.name == "read-all")
    await users.grant(dev.id, role, by=ADMIN)
    token, secret = await tokens.create(dev.id, Draft("ci", 30), by=ADMIN)
    before = await tokens.find(secret, "10.0.0.1")
    assert before.user.rules
    assert await tokens.find(secret, "10.0.0.1") is before  # nothing has changed, and nothing was read
    others = SimpleNamespace(users=Users(database), roles=Roles(database), tokens=AccessTokens(database))
    await CHANGES[change](others, dev, token, role)
    after = await tokens.find(secret, "10.0.0.1")
    assert after != before
    assert (after is None) == (change in {"token revoked", "user deleted"})
    assert after is None or after.user == await users.get(dev.id)


async def test_what_is_remembered_expires_and_its_use_is_noted(tokens, database, dev, clock):
    token, secret = await tokens.create(dev.id, Draft("ci", 1), by=ADMIN)
    for passed, address, noted in ((0, "a", 0), (59, "a", 0), (60, "a", 60), (61, "b", 61), (120, "b", 61)):
        clock[0] = START + passed
        assert (await tokens.find(secret, address)).token.id == token.id
        (held,) = await AccessTokens(database).all()
        assert (held.last_used - START, held.last_address) == (noted, address)
    clock[0] = START + DAY
    assert await tokens.find(secret, "b") is None


async def test_a_robot_has_secrets_of_its_own_kind(tokens, users):
    robot = await users.create_robot("ci", by=ADMIN)
    _, secret = await tokens.create(robot.id, Draft("first", 0), by=ADMIN)
    assert kind_of(secret) is Kind.ROBOT
    assert (await tokens.find(secret, "")).user == robot


async def test_only_a_hash_is_kept(tokens, database, dev):
    _, secret = await tokens.create(dev.id, Draft("laptop", 30), by=acting(dev))
    rows = await database.read(lambda: list(AccessTokenRow.select().dicts()))
    assert secret[8:] not in str(rows)
    assert secret[8:] not in str((await Audit(database).page(Wanted())).entries)


async def test_a_token_expires(tokens, dev, clock):
    _, secret = await tokens.create(dev.id, Draft("laptop", 1), by=acting(dev))
    _, eternal = await tokens.create(dev.id, Draft("server", 0), by=acting(dev))
    clock[0] += DAY - 1
    assert await tokens.find(secret, "10.0.0.1")
    clock[0] += 1
    assert await tokens.find(secret, "10.0.0.1") is None
    assert await tokens.find(eternal, "10.0.0.1")


async def test_the_last_use_is_known_to_the_minute(tokens, dev, clock):
    _, secret = await tokens.create(dev.id, Draft("laptop", 1), by=acting(dev))

    async def used(address, after):
        clock[0] += after
        await tokens.find(secret, address)
        (token,) = await tokens.of_user(dev.id)
        return token.last_used - START, token.last_address

    assert await used("10.0.0.1", 0) == (0, "10.0.0.1")
    assert await used("10.0.0.1", 59) == (0, "10.0.0.1")
    assert await used("10.0.0.1", 1) == (60, "10.0.0.1")
    assert await used("2001:db8::1", 1) == (61, "2001:db8::1")


async def test_a_revoked_token_is_gone_at_once(tokens, dev, users, database):
    token, secret = await tokens.create(dev.id, Draft("laptop", 1), by=acting(dev))
    with pytest.raises(NotFound):
        await tokens.revoke((await users.named("admin")).id, token.id, by=ADMIN)  # not the owner's
    await tokens.revoke(dev.id, token.id, by=ADMIN)
    assert await tokens.find(secret, "10.0.0.1") is None
    with pytest.raises(NotFound):
        await tokens.revoke(dev.id, token.id, by=ADMIN)
    entries = (await Audit(database).page(Wanted(action="token."))).entries
    assert [(one.actor, one.action, one.subject) for one in entries] == [
        ("the test", "token.revoke", "dev"),
        ("dev", "token.create", "dev"),
    ]


async def test_tokens_go_with_their_owner(tokens, users, dev):
    _, secret = await tokens.create(dev.id, Draft("laptop", 1), by=acting(dev))
    await users.delete(dev.id, by=ADMIN)
    assert await tokens.find(secret, "10.0.0.1") is None
    assert await tokens.all() == []


@pytest.mark.parametrize(
    "draft",
    [
        Draft("", 1),
        Draft("x" * 65, 1),
        Draft("x", -1),
        Draft("x", LONGEST_DAYS + 1),
        Draft("x", 1, (PULL,), Api.WRITE),
        Draft("x", 1, tuple(Limit(f"a{number}", Level.PULL) for number in range(51))),
    ],
)
async def test_what_cannot_be_a_token_is_told(tokens, dev, draft):
    with pytest.raises(Invalid):
        await tokens.create(dev.id, draft, by=acting(dev))
    assert await tokens.of_user(dev.id) == []


async def test_a_name_is_used_once_per_owner(tokens, users, dev):
    await tokens.create(dev.id, Draft("laptop", 1), by=acting(dev))
    with pytest.raises(Conflict):
        await tokens.create(dev.id, Draft("laptop", 1), by=acting(dev))
    await tokens.create((await users.named("admin")).id, Draft("laptop", 1), by=ADMIN)
    with pytest.raises(NotFound):
        await tokens.create(99, Draft("laptop", 1), by=ADMIN)


DRAFTS = [
    Draft("new", days, limits, api)
    for days, limits, api in itertools.product((1, 30, 0), ((), (PULL,)), Api)
    if not (limits and api is Api.WRITE)
]


@pytest.mark.parametrize("minter", DRAFTS, ids=str)
async def test_a_token_makes_none_that_may_more_or_lives_longer(tokens, dev, minter):
    held, _ = await tokens.create(dev.id, minter, by=ADMIN)
    for number, draft in enumerate(DRAFTS):
        days, own_days = (one.days or LONGEST_DAYS + 1 for one in (draft, minter))
        weaker = days <= own_days and draft.api.rank <= minter.api.rank and minter.limits in ((), draft.limits)
        named = Draft(f"minted {number}", draft.days, draft.limits, draft.api)
        if weaker:
            await tokens.create(dev.id, named, by=acting(dev), minted_with=held)
        else:
            with pytest.raises(Refused):
                await tokens.create(dev.id, named, by=acting(dev), minted_with=held)
