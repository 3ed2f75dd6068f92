"""Sign-ins of programs and refusals in the audit trail: the same thing once an hour, and never a secret."""

import pytest

from shared.tokens import Scope
from tests.kit.actors import ADMIN
from web_service.access_tokens import AccessTokens, Draft
from web_service.actors import Actor, Via
from web_service.audit import Audit, Wanted
from web_service.authentication import Login
from web_service.doorkeeper import FURTHER, MOST_REFUSALS, MOST_SIGN_INS, Doorkeeper
from web_service.errors import Unavailable
from web_service.opaque import Kind, new_secret
from web_service.refresh_tokens import RefreshTokens
from web_service.repeats import WINDOW

CATALOG = ("registry:catalog", {"refused": ["*"], "granted": ["list"]})
HERE, THERE = "10.0.0.1", "10.0.0.2"


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def audit(database, users):
    return Audit(database)


@pytest.fixture
def door(audit, clock):
    return Doorkeeper(audit, lambda: clock[0])


@pytest.fixture
async def dev(users):
    return await users.create("dev", "hash", by=ADMIN)


def by(user=None, address=HERE, via=Via.DOCKER):
    return Actor(user.name, via, address, user.id) if user else Actor("", via, address)


async def trail(audit, action):
    entries = (await audit.page(Wanted(action=action), size=10_000)).entries
    return [(one.actor, one.via, one.address, one.subject, one.new) for one in reversed(entries)]


def scopes(*texts):
    return [Scope.parse(text) for text in texts]


async def test_a_sign_in_is_one_line_an_hour_for_each_credential_address_and_way(door, audit, dev, database, clock):
    token, _ = await AccessTokens(database).create(dev.id, Draft("ci", 1), by=ADMIN)
    refresh = RefreshTokens(database, 1000)
    found = await refresh.find(await refresh.create(dev.id, "docker", by=ADMIN), HERE)
    logins = [Login(dev), Login(dev, token), Login(dev, refresh_token=found.token)]
    for _ in range(3):
        for login in logins:
            for who in (by(dev), by(dev, THERE), by(dev, via=Via.API)):
                await door.write(door.signed_in(who, login))
    lines = await trail(audit, "signin")
    assert len(lines) == len({(via, address, str(new)) for _, via, address, _, new in lines}) == 9
    assert {actor for actor, *_ in lines} == {subject for *_, subject, _ in lines} == {"dev"}
    assert [new for _, via, address, _, new in lines if (via, address) == ("docker", HERE)] == [
        {"credential": "password"},
        {"credential": "access token", "token": "ci", "token_id": token.id},
        {"credential": "refresh token", "client": "docker", "token_id": found.token.id},
    ]
    clock[0] += WINDOW
    assert door.signed_in(by(dev), Login(dev))


async def test_what_repeats_itself_is_nothing_to_wait_for(door, dev):
    """What is due is said without the database; only a line that is due is written."""
    assert door.signed_in(by(dev), Login(dev))
    assert door.signed_in(by(dev), Login(dev)) == []
    assert door.scopes_refused(by(dev), Login(dev), scopes("repository:a:pull"), [])
    assert door.scopes_refused(by(dev), Login(dev), scopes("repository:a:pull"), []) == []


@pytest.mark.parametrize(
    ("wanted", "granted", "lines"),
    [
        (["repository:a:pull"], ["repository:a:pull"], []),
        (["repository:a:"], [], []),
        (["repository:a:pull,push"], ["repository:a:pull"], [("a", {"refused": ["push"], "granted": ["pull"]})]),
        (["repository:a:push,pull"], [], [("a", {"refused": ["pull", "push"]})]),
        (["registry:catalog:*"], ["registry:catalog:list"], [CATALOG]),
        (["repository:a:pull", "repository:b:pull"], ["repository:a:pull"], [("b", {"refused": ["pull"]})]),
        (["repository(plugin):a:pull"], [], [("a", {"refused": ["pull"]})]),
        (["other:a/b:pull"], [], [("other:a/b", {"refused": ["pull"]})]),
    ],
)  # fmt: skip
async def test_what_was_asked_for_and_not_granted_is_a_line(door, audit, dev, wanted, granted, lines):
    for _ in range(2):
        await door.write(door.scopes_refused(by(dev), Login(dev), scopes(*wanted), scopes(*granted)))
    assert [(subject, new) for *_, subject, new in await trail(audit, "scope.refused")] == lines


async def test_a_refusal_is_told_by_who_where_what_and_the_token_but_not_by_what_was_granted(door, dev, database):
    token, _ = await AccessTokens(database).create(dev.id, Draft("ci", 1), by=ADMIN)
    wanted, granted = scopes("repository:a:pull,push"), scopes("repository:a:pull")
    assert len(door.scopes_refused(by(dev), Login(dev), wanted, granted)) == 1
    assert door.scopes_refused(by(dev), Login(dev), scopes("repository:a:push"), []) == []
    (line,) = door.scopes_refused(by(dev), Login(dev, token), wanted, granted)
    assert line.line.new == {"refused": ["push"], "granted": ["pull"], "token": "ci", "token_id": token.id}
    for other in (by(dev, THERE), by()):
        assert len(door.scopes_refused(other, None, wanted, granted)) == 1
    assert len(door.scopes_refused(by(dev), Login(dev), scopes("repository:b:push"), [])) == 1


async def test_a_refused_request_is_told_by_method_path_and_reason(door, audit, dev):
    for method, path, reason in (("GET", "/x", "no"), ("POST", "/x", "no"), ("GET", "/x", "no"), ("GET", "/x", "why")):
        await door.write(door.request_refused(by(dev, via=Via.CONSOLE), None, method, path, reason))
    assert await trail(audit, "request.refused") == [
        ("dev", "console", HERE, "GET /x", {"reason": "no"}),
        ("dev", "console", HERE, "POST /x", {"reason": "no"}),
        ("dev", "console", HERE, "GET /x", {"reason": "why"}),
    ]


async def test_a_flood_of_refusals_writes_so_much_an_hour_and_says_so(door, audit, dev, clock):
    wanted = [Scope("repository", f"r{number}", ("pull",)) for number in range(MOST_REFUSALS * 2)]
    await door.write(door.scopes_refused(by(dev), Login(dev), wanted, []))
    assert door.request_refused(by(dev), None, "GET", "/x", "no") == []
    lines = await trail(audit, "scope.refused")
    assert len(lines) == MOST_REFUSALS
    assert [new for *_, new in lines if "further" in new] == [lines[-1][-1]] == [{"refused": ["pull"], **FURTHER}]
    assert door.scopes_refused(by(dev, THERE), Login(dev), wanted[:1], [])
    assert door.signed_in(by(dev), Login(dev))
    clock[0] += WINDOW
    assert door.scopes_refused(by(dev), Login(dev), wanted[-1:], [])


async def test_one_network_of_ipv6_is_one_flooder(door):
    due = [
        one
        for number in range(MOST_REFUSALS * 2)
        for one in door.request_refused(by(address=f"2001:db8::{number:x}"), None, "GET", "/x", "no")
    ]
    assert len(due) == MOST_REFUSALS


async def test_docker_logins_are_bounded_too(door, dev):
    due = [one for _ in range(MOST_SIGN_INS * 2) for one in door.signed_in(by(dev), Login(dev), again=True)]
    assert len(due) == MOST_SIGN_INS
    assert due[-1].line.new == {"credential": "password", **FURTHER}


async def test_what_could_not_be_written_is_due_again(door, dev, database):
    due = [*door.signed_in(by(dev), Login(dev)), *door.request_refused(by(dev), None, "GET", "/x", "no")]

    async def lost(*_):
        raise Unavailable

    door._audit.record_all = lost
    with pytest.raises(Unavailable):
        await door.write(due)
    assert door.signed_in(by(dev), Login(dev))
    assert door.request_refused(by(dev), None, "GET", "/x", "no")


async def test_what_strangers_write_is_cut_cleaned_and_no_secret(door, audit):
    secret = new_secret(Kind.PERSONAL)
    due = [
        *door.request_refused(by(), None, "GET", f"/api/v1/users/{secret}/\0\ud800" + "x" * 5000, "no"),
        *door.scopes_refused(by(), None, [Scope("repository", secret, ("pull" * 100,))], []),
        *door.scopes_refused(by(), None, [Scope("repository", f"a/{secret}", ("pull",))], []),
        *door.scopes_refused(by(), None, [Scope("x" * 9000, "\ud800" * 9000, ("pull",))], []),
    ]
    await door.write(due)
    lines = [*await trail(audit, "scope.refused"), *await trail(audit, "request.refused")]
    assert len(lines) == 4
    assert secret[8:] not in str(lines)
    assert max(len(subject) for *_, subject, _ in lines) == 255
    assert lines[0][3:] == (f"{secret[:8]}…", {"refused": [("pull" * 100)[:32]]})
