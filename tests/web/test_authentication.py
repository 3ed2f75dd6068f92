import asyncio

import pytest

from web_service import authentication
from web_service.authentication import MOST_FAILURES, REMEMBER_SECONDS, Authenticator
from web_service.errors import Invalid, SignInFailed, TooManyFailures
from web_service.passwords import hash_password, verify_password

PASSWORD = "a good password"
HASH = hash_password(PASSWORD)


@pytest.fixture
def clock():
    return [1000.0]


@pytest.fixture
def verifications(monkeypatch):
    """The passwords that were really verified, at the real cost."""
    seen = []

    def counted(stored, password):
        seen.append((stored, password))
        return verify_password(stored, password)

    monkeypatch.setattr(authentication, "verify_password", counted)
    return seen


@pytest.fixture
async def dev(users):
    return await users.create("dev", HASH)


@pytest.fixture
async def authenticator(users, dev, clock, verifications):
    authenticator = Authenticator(users, lambda: clock[0])
    yield authenticator
    await authenticator.close()


async def test_name_and_password_give_the_user(authenticator, dev):
    assert await authenticator.authenticate("dev", PASSWORD, "10.0.0.1") == dev


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("dev", "wrong"),
        ("dev", ""),
        ("nobody", PASSWORD),
        ("", ""),
        ("dev", "x" * 9999),
        ("dev\0", PASSWORD),
        ("x" * 900_000, PASSWORD),
    ],
)
async def test_anything_else_is_refused_in_the_same_words(authenticator, name, password):
    with pytest.raises(SignInFailed, match="The user name or the password is wrong"):
        await authenticator.authenticate(name, password, "10.0.0.1")


async def test_fifty_at_once_cost_one_verification(authenticator, verifications):
    await asyncio.gather(*(authenticator.authenticate("dev", PASSWORD, "10.0.0.1") for _ in range(50)))
    assert len(verifications) == 1


async def test_a_verdict_is_remembered_for_a_minute(authenticator, verifications, clock):
    for _ in range(3):
        await authenticator.authenticate("dev", PASSWORD, "10.0.0.1")
    assert len(verifications) == 1
    clock[0] += REMEMBER_SECONDS
    await authenticator.authenticate("dev", PASSWORD, "10.0.0.1")
    assert len(verifications) == 2


async def test_a_refusal_is_remembered_too(authenticator, verifications):
    for _ in range(3):
        with pytest.raises(SignInFailed):
            await authenticator.authenticate("dev", "wrong", "10.0.0.1")
    assert len(verifications) == 1


async def test_an_unknown_name_costs_a_verification_as_well(authenticator, verifications):
    with pytest.raises(SignInFailed):
        await authenticator.authenticate("nobody", "wrong", "10.0.0.1")
    assert len(verifications) == 1


async def test_a_changed_password_holds_at_once(authenticator, users, dev):
    await authenticator.authenticate("dev", PASSWORD, "10.0.0.1")
    await users.set_password(dev.id, hash_password("another one"))
    with pytest.raises(SignInFailed):
        await authenticator.authenticate("dev", PASSWORD, "10.0.0.1")
    assert await authenticator.authenticate("dev", "another one", "10.0.0.1")


async def test_a_disabled_account_is_told_so_to_who_knows_the_password_only(authenticator, users, dev):
    await users.set_enabled(dev.id, enabled=False, by=1)
    with pytest.raises(SignInFailed, match="disabled"):
        await authenticator.authenticate("dev", PASSWORD, "10.0.0.1")
    with pytest.raises(SignInFailed, match="wrong"):
        await authenticator.authenticate("dev", "wrong", "10.0.0.1")


async def test_a_guesser_must_wait_and_nobody_else(authenticator, clock, dev):
    for number in range(MOST_FAILURES):
        clock[0] += 1
        with pytest.raises(SignInFailed, match="wrong"):
            await authenticator.authenticate("dev", f"guess {number}", "10.6.6.6")
    with pytest.raises(TooManyFailures) as caught:
        await authenticator.authenticate("dev", PASSWORD, "10.6.6.6")
    assert caught.value.seconds == 51
    assert await authenticator.authenticate("dev", PASSWORD, "10.0.0.1") == dev
    with pytest.raises(TooManyFailures):
        await authenticator.authenticate("dev", PASSWORD, "10.6.6.6")
    clock[0] += 51
    assert await authenticator.authenticate("dev", PASSWORD, "10.6.6.6") == dev


@pytest.mark.parametrize(("name", "password"), [("x" * 65, "wrong"), ("dev", "x" * 1025)])
async def test_nothing_is_kept_of_a_name_or_password_that_is_too_long(authenticator, verifications, name, password):
    for _ in range(MOST_FAILURES + 1):
        with pytest.raises(SignInFailed, match="wrong"):
            await authenticator.authenticate(name, password, "10.0.0.1")
    assert not authenticator._throttle._failures
    assert not authenticator._verdicts
    assert verifications == []


async def test_a_success_wipes_the_slate(authenticator):
    for _ in range(2):
        for number in range(MOST_FAILURES - 1):
            with pytest.raises(SignInFailed, match="wrong"):
                await authenticator.authenticate("dev", f"guess {number}", "10.0.0.1")
        await authenticator.authenticate("dev", PASSWORD, "10.0.0.1")


async def test_who_gives_up_waiting_does_not_spoil_it_for_the_others(authenticator, dev):
    first = asyncio.create_task(authenticator.authenticate("dev", PASSWORD, "10.0.0.1"))
    second = asyncio.create_task(authenticator.authenticate("dev", PASSWORD, "10.0.0.1"))
    await asyncio.sleep(0.005)  # by now both wait for the one verification
    first.cancel()
    assert await second == dev


async def test_new_passwords_are_checked_and_hashed(authenticator):
    assert verify_password(await authenticator.hash_new("dev", "long enough"), "long enough")
    with pytest.raises(Invalid):
        await authenticator.hash_new("dev", "short")


async def test_passwords_are_not_kept_in_memory(authenticator):
    await authenticator.authenticate("dev", PASSWORD, "10.0.0.1")
    assert PASSWORD.encode() not in repr(vars(authenticator)).encode()
