import pytest

from tests.kit.actors import ADMIN, acting
from web_service.errors import Outdated
from web_service.models import RefreshTokenRow, SessionRow
from web_service.refresh_tokens import RefreshTokens
from web_service.sessions import Sessions


@pytest.fixture
def clock():
    return [1000.0]


@pytest.fixture
def sessions(database, users, clock):
    return Sessions(database, 3600, lambda: clock[0])


@pytest.fixture
async def admin(users):
    return await users.named("admin")


async def test_a_token_finds_its_user(sessions, admin):
    token = await sessions.start(admin.id)
    assert await sessions.user(token) == admin
    assert await sessions.user("guess") is None
    assert await sessions.user("") is None


async def test_every_session_has_its_own_token(sessions, admin):
    assert await sessions.start(admin.id) != await sessions.start(admin.id)


async def test_the_database_does_not_hold_the_token(sessions, admin, database):
    token = await sessions.start(admin.id)
    (row,) = await database.read(lambda: list(SessionRow.select().dicts()))
    assert token not in str(row)


async def test_a_session_ends_when_its_time_is_over(sessions, admin, clock):
    token = await sessions.start(admin.id)
    clock[0] += 3599
    assert await sessions.user(token)
    clock[0] += 1
    assert await sessions.user(token) is None


async def test_a_session_can_be_ended(sessions, admin):
    token, other = await sessions.start(admin.id), await sessions.start(admin.id)
    await sessions.end(token)
    assert await sessions.user(token) is None
    assert await sessions.user(other)


async def test_a_new_password_ends_all_sessions_of_the_user(sessions, admin, users):
    token = await sessions.start(admin.id)
    await users.set_password(admin.id, "hash", by=ADMIN)
    assert await sessions.user(token) is None


async def test_a_disabled_user_has_no_session_and_gets_none_back(sessions, admin, users):
    user = await users.create("dev", "hash", by=ADMIN)
    token = await sessions.start(user.id)
    await users.set_enabled(user.id, enabled=False, by=acting(admin))
    assert await sessions.user(token) is None
    await users.set_enabled(user.id, enabled=True, by=acting(admin))
    assert await sessions.user(token) is None


async def test_a_deleted_user_has_no_session(sessions, admin, users):
    user = await users.create("dev", "hash", by=ADMIN)
    token = await sessions.start(user.id)
    await users.delete(user.id, by=acting(admin))
    assert await sessions.user(token) is None


async def test_expired_sessions_are_forgotten(sessions, admin, clock):
    await sessions.start(admin.id)
    clock[0] += 1800
    token = await sessions.start(admin.id)
    clock[0] += 1800
    assert await sessions.purge() == 1
    assert await sessions.user(token)


CHANGES = {
    "password": lambda users, user: users.set_password(user.id, "new hash", by=ADMIN),
    "disabled": lambda users, user: users.set_enabled(user.id, enabled=False, by=ADMIN),
    "deleted": lambda users, user: users.delete(user.id, by=ADMIN),
}


@pytest.mark.parametrize("how", CHANGES)
async def test_what_ends_with_a_password_does_not_begin_after_its_end(sessions, users, database, how):
    dev = await users.create("dev", "hash", by=ADMIN)
    refresh_tokens = RefreshTokens(database, 1000)
    assert await sessions.user(await sessions.start(dev.id, "hash")) == dev
    assert await refresh_tokens.create(dev.id, "docker", by=ADMIN, password_hash="hash")
    await CHANGES[how](users, dev)
    for late in (sessions.start(dev.id, "hash"), refresh_tokens.create(dev.id, "x", by=ADMIN, password_hash="hash")):
        with pytest.raises(Outdated):
            await late
    left = [await database.read(rows.select().count) for rows in (SessionRow, RefreshTokenRow)]
    assert left == [0, 0]
