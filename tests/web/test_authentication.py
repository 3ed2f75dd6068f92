import asyncio

import bcrypt
import pytest

from tests.kit.actors import ADMIN
from web_service import authentication
from web_service.access import Level
from web_service.access_tokens import AccessTokens, Draft
from web_service.actors import Via
from web_service.audit import Audit, Wanted
from web_service.authentication import REMEMBER_SECONDS, Authenticator
from web_service.errors import Invalid, Refused, SignInFailed, TooManyFailures
from web_service.limits import Limit
from web_service.models import UserRow
from web_service.opaque import Kind, new_secret
from web_service.passwords import hash_password, verify_password
from web_service.refresh_tokens import RefreshTokens
from web_service.throttle import MOST_OF_ADDRESS, MOST_OF_USER, WINDOW
from web_service.throttle import MOST_OF_BOTH as MOST_FAILURES

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
    return await users.create("dev", HASH, by=ADMIN)


@pytest.fixture
async def authenticator(database, users, dev, clock, verifications):
    authenticator = Authenticator(
        users, AccessTokens(database), RefreshTokens(database, 1000), Audit(database), lambda: clock[0]
    )
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
    await users.set_password(dev.id, hash_password("another one"), by=ADMIN)
    with pytest.raises(SignInFailed):
        await authenticator.authenticate("dev", PASSWORD, "10.0.0.1")
    assert await authenticator.authenticate("dev", "another one", "10.0.0.1")


async def test_a_disabled_account_is_told_so_to_who_knows_the_password_only(authenticator, users, dev):
    await users.set_enabled(dev.id, enabled=False, by=ADMIN)
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
async def test_nothing_is_kept_of_a_name_or_password_that_is_too_long(
    authenticator, database, verifications, name, password
):
    for _ in range(MOST_FAILURES + 1):
        with pytest.raises(SignInFailed, match="wrong"):
            await authenticator.authenticate(name, password, "10.0.0.1")
    assert not (await Audit(database).page(Wanted(action="signin."))).entries
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


@pytest.fixture
async def tokens(database):
    return AccessTokens(database)


async def stored_hash(database):
    return await database.read(lambda: UserRow.get(UserRow.name == "dev").password_hash)


async def test_an_old_hash_is_replaced_when_its_password_comes(authenticator, database, users, dev, verifications):
    old = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    await users.set_password(dev.id, old, by=ADMIN)
    with pytest.raises(SignInFailed):
        await authenticator.authenticate("dev", "wrong", "10.0.0.1")
    assert await stored_hash(database) == old
    assert (await authenticator.authenticate("dev", PASSWORD, "10.0.0.1")).name == "dev"
    new = await stored_hash(database)
    assert new.startswith("$argon2id$")
    before = len(verifications)
    assert (await authenticator.authenticate("dev", PASSWORD, "10.0.0.1")).name == "dev"
    assert len(verifications) == before
    assert await stored_hash(database) == new


@pytest.mark.parametrize("name", ["dev", ""])
async def test_a_program_may_show_an_access_token(authenticator, tokens, dev, name, verifications):
    token, secret = await tokens.create(dev.id, Draft("ci", 1, (Limit("a/**", Level.PULL),)), by=ADMIN)
    login = await authenticator.sign_in_program(name, secret, "10.0.0.1", Via.DOCKER)
    assert (login.user, login.token.id, login.limits) == (dev, token.id, (Limit("a/**", Level.PULL),))
    assert verifications == []
    with pytest.raises(SignInFailed, match="wrong"):
        await authenticator.authenticate("dev", secret, "10.0.0.1")  # not in the console


async def test_a_token_that_is_not_valid_lets_nobody_in(authenticator, tokens, users, dev):
    token, secret = await tokens.create(dev.id, Draft("ci", 1), by=ADMIN)
    for name, shown in (("admin", secret), ("dev", new_secret(Kind.PERSONAL)), ("dev", secret[:-1] + "!")):
        with pytest.raises(SignInFailed):
            await authenticator.sign_in_program(name, shown, "10.0.0.1", Via.DOCKER)
    await users.set_enabled(dev.id, enabled=False, by=ADMIN)
    with pytest.raises(SignInFailed, match="disabled"):
        await authenticator.sign_in_program("dev", secret, "10.0.0.1", Via.DOCKER)
    await users.set_enabled(dev.id, enabled=True, by=ADMIN)
    await tokens.revoke(dev.id, token.id, by=ADMIN)
    with pytest.raises(SignInFailed, match="not valid"):
        await authenticator.sign_in_program("dev", secret, "10.0.0.1", Via.DOCKER)


async def test_a_robot_has_no_password_at_all(authenticator, users, tokens):
    robot = await users.create_robot("ci", by=ADMIN)
    _, secret = await tokens.create(robot.id, Draft("first", 0), by=ADMIN)
    assert (await authenticator.sign_in_program("ci", secret, "10.0.0.1", Via.DOCKER)).user.robot
    for password in ("", "guess"):
        with pytest.raises(SignInFailed):
            await authenticator.authenticate("ci", password, "10.0.0.1")
    with pytest.raises(Refused, match="no password"):
        await users.set_password(robot.id, HASH, by=ADMIN)


async def test_refusals_are_recorded_with_their_reason_and_without_the_password(authenticator, database, users, dev):
    await users.set_enabled(dev.id, enabled=False, by=ADMIN)
    for name, secret in (("dev", "guess-1"), ("nobody", "guess-2"), ("dev", PASSWORD), ("x", new_secret(Kind.ROBOT))):
        with pytest.raises(SignInFailed):
            await authenticator.sign_in_program(name, secret, "10.0.0.1", Via.DOCKER)
    entries = (await Audit(database).page(Wanted(action="signin."))).entries
    assert [(one.actor, one.via, one.address, one.new["reason"]) for one in reversed(entries)] == [
        ("dev", "docker", "10.0.0.1", "wrong password"),
        ("nobody", "docker", "10.0.0.1", "unknown user"),
        ("dev", "docker", "10.0.0.1", "account disabled"),
        ("x", "docker", "10.0.0.1", "access token not valid"),
    ]
    assert "guess" not in str(entries)


async def test_that_a_guesser_is_locked_out_is_recorded_once(authenticator, database, dev):
    for _ in range(MOST_FAILURES + 5):
        with pytest.raises(SignInFailed):
            await authenticator.authenticate("dev", "guess", "10.6.6.6")
    actions = [one.action for one in (await Audit(database).page(Wanted(action="signin."))).entries]
    assert actions == ["signin.locked", *["signin.refused"] * MOST_FAILURES]


async def test_a_refresh_token_lets_its_user_in_again(authenticator, database, users, dev):
    tokens = RefreshTokens(database, 1000)
    secret = await tokens.create(dev.id, "docker", by=ADMIN)
    assert (await authenticator.sign_in_again(secret, "10.0.0.1")).user == dev
    for shown in (new_secret(Kind.REFRESH), "", PASSWORD):
        with pytest.raises(SignInFailed, match="sign in again"):
            await authenticator.sign_in_again(shown, "10.0.0.1")
    refused = (await Audit(database).page(Wanted(action="signin.refused"))).entries
    assert [one.new["reason"] for one in refused] == ["refresh token not valid"] * 3


async def outcomes(calls):
    """Call all at once, and return what became of each: `in`, `wrong` or `wait`."""
    found = await asyncio.gather(*calls, return_exceptions=True)
    names = {TooManyFailures: "wait", SignInFailed: "wrong"}
    return [names.get(type(one), "in") for one in found]


async def recorded(database):
    entries = (await Audit(database).page(Wanted(action="signin."), size=1000)).entries
    return [one.action for one in reversed(entries)]


@pytest.mark.parametrize("name", ["dev", "nobody"])
async def test_of_many_guesses_at_once_no_more_are_looked_at_than_one_by_one(
    authenticator, database, verifications, name
):
    guesses = [*(f"guess {number}" for number in range(399)), PASSWORD]
    told = await outcomes(authenticator.authenticate(name, guess, "10.6.6.6") for guess in guesses)
    assert (told.count("wrong"), told.count("wait")) == (MOST_FAILURES, 400 - MOST_FAILURES)
    assert len(verifications) == MOST_FAILURES
    assert sorted(await recorded(database)) == ["signin.locked", *["signin.refused"] * MOST_FAILURES]


async def test_guesses_at_once_from_one_network_are_guesses_from_one_address(authenticator, verifications):
    told = await outcomes(
        authenticator.authenticate("dev", f"guess {number}", f"2001:db8::{number:x}") for number in range(100)
    )
    assert told.count("wrong") == len(verifications) == MOST_FAILURES


async def test_many_at_once_are_one_attempt_also_when_it_is_the_last(authenticator, verifications):
    for number in range(MOST_FAILURES - 1):
        with pytest.raises(SignInFailed, match="wrong"):
            await authenticator.authenticate("dev", f"guess {number}", "10.0.0.1")
    verifications.clear()
    told = await outcomes(authenticator.authenticate("dev", PASSWORD, "10.0.0.1") for _ in range(50))
    assert told == ["in"] * 50
    assert len(verifications) == 1
    throttle = authenticator._throttle
    assert [len(one) for one in throttle._of_address._times.values()] == [MOST_FAILURES - 1]
    assert [len(one) for one in throttle._of_user._times.values()] == [MOST_FAILURES - 1]
    assert not throttle._of_both._times


async def test_one_wrong_password_many_times_at_once_is_one_failure(authenticator, database, verifications):
    told = await outcomes(authenticator.authenticate("dev", "wrong", "10.0.0.1") for _ in range(100))
    assert told == ["wrong"] * 100
    assert len(verifications) == 1
    assert [len(one) for one in authenticator._throttle._of_both._times.values()] == [1]
    assert await recorded(database) == ["signin.refused"]


async def test_who_asked_before_the_verdict_shares_it_however_long_the_database_takes(
    authenticator, users, database, monkeypatch
):
    look_up, first_is_done, late = users.look_up, asyncio.Event(), []

    async def slow_but_for_the_first(name):
        if late:
            await first_is_done.wait()
        late.append(name)
        return await look_up(name)

    monkeypatch.setattr(users, "look_up", slow_but_for_the_first)
    calls = [authenticator.authenticate("dev", "wrong", "10.0.0.1") for _ in range(20)]
    first, *others = [asyncio.create_task(outcomes([call])) for call in calls]
    await first
    first_is_done.set()
    assert await asyncio.gather(*others) == [["wrong"]] * 19
    assert await recorded(database) == ["signin.refused"]


async def test_who_has_to_wait_shares_no_verification_of_others(authenticator, verifications, dev):
    for number in range(MOST_FAILURES):
        with pytest.raises(SignInFailed, match="wrong"):
            await authenticator.authenticate("dev", f"guess {number}", "10.6.6.6")
    verifications.clear()
    addresses = ["10.0.0.1", "10.6.6.6", "10.0.0.2"]
    told = await outcomes(authenticator.authenticate("dev", PASSWORD, address) for address in addresses)
    assert told == ["in", "wait", "in"]
    assert len(verifications) == 1


async def test_an_old_hash_is_replaced_once_by_many_at_once(authenticator, users, dev, monkeypatch):
    hashed = []
    monkeypatch.setattr(authentication, "hash_password", lambda password: hashed.append(password) or HASH)
    await users.set_password(dev.id, bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode(), by=ADMIN)
    assert await outcomes(authenticator.authenticate("dev", PASSWORD, "10.0.0.1") for _ in range(20)) == ["in"] * 20
    assert len(hashed) == 1


async def test_tokens_that_are_not_valid_lock_no_name(authenticator, dev):
    for number in range(2 * MOST_OF_USER):
        with pytest.raises(SignInFailed, match="not valid"):
            await authenticator.sign_in_program("dev", new_secret(Kind.PERSONAL), f"10.6.{number}.6", Via.DOCKER)
    for _ in range(2 * MOST_FAILURES):
        with pytest.raises(SignInFailed, match="not valid"):
            await authenticator.sign_in_program("dev", new_secret(Kind.ROBOT), "10.0.0.1", Via.DOCKER)
    for address in ("10.0.0.1", "10.7.7.7"):
        assert await authenticator.authenticate("dev", PASSWORD, address) == dev


async def test_one_address_cannot_lock_a_name_for_others(authenticator, clock, dev):
    for _ in range(9):
        for _ in range(MOST_FAILURES):
            with pytest.raises(SignInFailed, match="wrong"):
                await authenticator.authenticate("dev", "guess", "10.6.6.6")
        clock[0] += WINDOW
    assert [len(one) for one in authenticator._throttle._of_user._times.values()] == [10]
    assert await authenticator.authenticate("dev", PASSWORD, "10.0.0.1") == dev


async def test_a_valid_token_is_let_in_where_others_have_to_wait(authenticator, database, tokens, dev):
    _, secret = await tokens.create(dev.id, Draft("ci", 1), by=ADMIN)
    refresh = await RefreshTokens(database, 1000).create(dev.id, "docker", by=ADMIN)
    for _ in range(MOST_OF_ADDRESS - 1):
        with pytest.raises(SignInFailed, match="not valid"):
            await authenticator.sign_in_program("dev", new_secret(Kind.PERSONAL), "10.6.6.6", Via.DOCKER)
    with pytest.raises(SignInFailed, match="sign in again"):
        await authenticator.sign_in_again(new_secret(Kind.REFRESH), "10.6.6.6")
    for _ in range(2):
        assert (await authenticator.sign_in_program("", secret, "10.6.6.6", Via.DOCKER)).user == dev
        assert (await authenticator.sign_in_again(refresh, "10.6.6.6")).user == dev
        with pytest.raises(TooManyFailures, match=r"^Too many failed attempts; wait 600 seconds\.$"):
            await authenticator.sign_in_program("", new_secret(Kind.PERSONAL), "10.6.6.6", Via.DOCKER)
        with pytest.raises(TooManyFailures):
            await authenticator.sign_in_program("other", secret, "10.6.6.6", Via.DOCKER)
        with pytest.raises(TooManyFailures):
            await authenticator.sign_in_again("junk", "10.6.6.6")
        with pytest.raises(TooManyFailures):
            await authenticator.authenticate("dev", PASSWORD, "10.6.6.6")
    assert await recorded(database) == [*["signin.refused"] * MOST_OF_ADDRESS, "signin.locked"]
