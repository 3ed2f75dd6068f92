"""Refresh tokens: kept by clients instead of the password, ended by disuse, by a new password, or by hand."""

import pytest

from tests.kit.actors import ADMIN, acting
from web_service.audit import Audit, Wanted
from web_service.errors import NotFound
from web_service.models import RefreshTokenRow
from web_service.opaque import Kind, kind_of
from web_service.refresh_tokens import MOST, RefreshTokens

START, IDLE = 1_700_000_000, 1000


@pytest.fixture
def clock():
    return [START]


@pytest.fixture
def tokens(database, users, clock):
    return RefreshTokens(database, IDLE, lambda: clock[0])


@pytest.fixture
async def dev(users):
    return await users.create("dev", "hash", by=ADMIN)


async def test_a_client_stays_signed_in_while_it_comes_back(tokens, dev, clock):
    secret = await tokens.create(dev.id, "docker", by=acting(dev))
    assert kind_of(secret) is Kind.REFRESH
    for _ in range(3):
        clock[0] += IDLE - 1
        assert (await tokens.find(secret, "10.0.0.2")).user == dev
    (held,) = await tokens.of_user(dev.id)
    assert (held.client, held.created, held.last_address) == ("docker", START, "10.0.0.2")
    assert held.expires == held.last_used + IDLE == clock[0] + IDLE
    clock[0] += IDLE
    assert await tokens.find(secret, "10.0.0.2") is None
    assert await tokens.of_user(dev.id) == []
    assert await tokens.purge() == 1
    assert await tokens.purge() == 0


@pytest.mark.parametrize("how", ["password", "disabled", "deleted", "revoked"])
async def test_it_ends(tokens, users, dev, how):
    secret, other = [await tokens.create(dev.id, "docker", by=acting(dev)) for _ in range(2)]
    first = (await tokens.of_user(dev.id))[-1].id
    await {
        "password": lambda: users.set_password(dev.id, "new", by=ADMIN),
        "disabled": lambda: users.set_enabled(dev.id, enabled=False, by=ADMIN),
        "deleted": lambda: users.delete(dev.id, by=ADMIN),
        "revoked": lambda: tokens.revoke(dev.id, first, by=ADMIN),
    }[how]()
    assert await tokens.find(secret, "10.0.0.1") is None
    assert (await tokens.find(other, "10.0.0.1") is not None) == (how == "revoked")


async def test_it_ends_by_its_owner_only(tokens, users, dev):
    secret = await tokens.create(dev.id, "docker", by=acting(dev))
    (held,) = await tokens.of_user(dev.id)
    with pytest.raises(NotFound):
        await tokens.revoke((await users.named("admin")).id, held.id, by=ADMIN)
    assert (await tokens.find(secret, "10.0.0.1")).user == dev


async def test_only_a_hash_is_kept(tokens, database, dev):
    secret = await tokens.create(dev.id, "docker " + "x" * 300, by=acting(dev))
    rows = await database.read(lambda: list(RefreshTokenRow.select().dicts()))
    entries = (await Audit(database).page(Wanted(action="refresh-token."))).entries
    assert [one.action for one in entries] == ["refresh-token.create"]
    assert secret[4:] not in str(rows) + str(entries)


async def test_the_one_that_was_not_used_for_longest_makes_room(tokens, dev, clock):
    secrets = []
    for _ in range(MOST + 1):
        clock[0] += 1
        secrets.append(await tokens.create(dev.id, "docker", by=acting(dev)))
    assert len(await tokens.of_user(dev.id)) == MOST
    assert await tokens.find(secrets[0], "") is None
    assert (await tokens.find(secrets[1], "")).user == dev
