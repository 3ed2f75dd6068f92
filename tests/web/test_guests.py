"""What guests get is remembered, and is always what working it out anew gives."""

from dataclasses import replace

import pytest

from shared.tokens import Scope, parse_scopes
from web_service import guests as module
from web_service.access import Level, Rule
from web_service.access_tokens import AccessToken, Api
from web_service.accounts import User
from web_service.authentication import Login
from web_service.guests import Guests
from web_service.limits import Limit

DEV = User(7, "dev", True, False, False, "", 0, (), (), (Rule("*", "team/**", Level.PUSH, role="team", user="dev"),))
TOKEN = AccessToken(1, "dev", 7, "ci", "ckp_1234", (Limit("team/**", Level.PULL),), Api.NONE, 0, 0, 0, "")
HERE, THERE = "10.0.0.1", "10.0.0.2"
WANTED = tuple(parse_scopes(["repository:team/app:pull,push", "repository:other:pull"]))


@pytest.fixture
def worked_out(monkeypatch):
    """Every login for which something was worked out."""
    logins, real = [], module._known
    monkeypatch.setattr(module, "_known", lambda login, *rest: (logins.append(login), real(login, *rest))[1])
    return logins


def test_who_comes_again_gets_the_same(worked_out):
    guests = Guests()
    first = guests.known(Login(DEV), HERE, WANTED)
    assert guests.known(Login(DEV), HERE, tuple(parse_scopes(map(str, WANTED)))) is first
    assert len(worked_out) == 1
    assert [str(scope) for scope in first.granted.scopes] == ["repository:team/app:pull,push"]
    assert [(one.repository, one.action, one.allowed) for one in first.asked] == [
        ("team/app", "pull", True),
        ("team/app", "push", True),
        ("other", "pull", False),
    ]
    assert [one.line.subject for one in (*first.come_in, *first.refused)] == ["dev", "other"]


OTHERS = {
    "rights taken": (Login(replace(DEV, rules=())), HERE, WANTED),
    "rights given": (Login(replace(DEV, rules=(Rule("*", "**", Level.ADMIN),))), HERE, WANTED),
    "renamed": (Login(replace(DEV, name="devi")), HERE, WANTED),
    "another user": (Login(replace(DEV, id=8, name="other", rules=())), HERE, WANTED),
    "another address": (Login(DEV), THERE, WANTED),
    "another order": (Login(DEV), HERE, WANTED[::-1]),
    "other actions": (Login(DEV), HERE, (Scope("repository", "team/app", ("push", "pull")), WANTED[1])),
    "less": (Login(DEV), HERE, WANTED[:1]),
    "nothing": (Login(DEV), HERE, ()),
    "an access token": (Login(DEV, TOKEN), HERE, WANTED),
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_differs_is_worked_out_for_itself(other):
    guests = Guests()
    before = guests.known(Login(DEV), HERE, WANTED)
    for _ in range(2):
        found = guests.known(*OTHERS[other])
        assert found == Guests().known(*OTHERS[other])
        assert found != before
    assert guests.known(Login(DEV), HERE, WANTED) == before


def test_a_rule_about_addresses_counts_for_each_address():
    user = replace(DEV, rules=(Rule(HERE, "**", Level.PULL), Rule("*", "secret", Level.DENY)))
    guests, wanted = Guests(), (Scope("repository", "app", ("pull",)),)
    for _ in range(2):
        assert guests.known(Login(user), HERE, wanted).granted.scopes == wanted
        assert guests.known(Login(user), THERE, wanted).granted.scopes == ()


def test_an_access_token_is_never_taken_for_another(worked_out):
    guests = Guests()
    wider = replace(TOKEN, id=2, limits=())
    for token, granted in ((TOKEN, "pull"), (wider, "pull,push"), (TOKEN, "pull"), (None, "pull,push")):
        found = guests.known(Login(DEV, token), HERE, WANTED)
        assert [str(scope) for scope in found.granted.scopes] == [f"repository:team/app:{granted}"]
        assert found.limited == bool(token and token.limits)
    assert len(worked_out) == 3
    read_anew = guests.known(Login(DEV, replace(TOKEN, limits=())), HERE, WANTED)
    assert [str(scope) for scope in read_anew.granted.scopes] == ["repository:team/app:pull,push"]


@pytest.mark.parametrize(
    "wanted",
    [tuple(Scope("repository", f"r{number}", ("pull",)) for number in range(5)), (Scope("x", "y" * 256, ("pull",)),)],
)
def test_long_questions_fill_no_memory(wanted):
    guests = Guests()
    assert guests.known(Login(DEV), HERE, wanted) == guests.known(Login(DEV), HERE, wanted)
    assert not guests._kept._entries


def test_a_stranger_has_not_come_in():
    found = Guests().stranger((Rule("*", "open/*", Level.PULL),), HERE, (Scope("repository", "open/a", ("pull",)),))
    assert (found.by.name, found.come_in, found.refused) == ("", (), ())
    assert [str(scope) for scope in found.granted.scopes] == ["repository:open/a:pull"]
