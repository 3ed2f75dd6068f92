"""What a registry token grants: what was asked for, is allowed, and lies within the limits of an access token."""

import pytest

from shared.tokens import Scope
from web_service.access import Level, Rule
from web_service.granting import Asker, Verdict, grant
from web_service.limits import Limit

ALL = (Rule("*", "**", Level.ADMIN, role="all"),)
TEAM = (Rule("*", "team/**", Level.PUSH, role="team"),)
CATALOG = "registry:catalog:*"
PULL_TEAM, PULL_ALL = Limit("team/**", Level.PULL), Limit("**", Level.PULL)


def granted(asker, *scopes):
    return [str(scope) for scope in grant(asker, [Scope.parse(one) for one in scopes]).scopes]


@pytest.mark.parametrize(
    ("rules", "limits", "wanted", "expected"),
    [
        (ALL, (), "repository:a:pull,push", ["repository:a:pull,push"]),
        (ALL, (PULL_ALL,), "repository:a:pull,push", ["repository:a:pull"]),
        (ALL, (PULL_TEAM,), "repository:a:pull", []),
        (ALL, (PULL_TEAM,), "repository:team/app:pull,push,delete", ["repository:team/app:pull"]),
        (TEAM, (Limit("**", Level.ADMIN),), "repository:team/app:pull,push,delete", ["repository:team/app:pull,push"]),
        (TEAM, (Limit("**", Level.ADMIN),), "repository:a:pull", []),
        ((), (PULL_ALL,), "repository:team/app:pull", []),
    ],
)
def test_rules_and_limits_both_have_to_allow(rules, limits, wanted, expected):
    assert granted(Asker("dev", "10.0.0.1", rules, limits), wanted) == expected


@pytest.mark.parametrize(
    ("is_admin", "limits", "expected"),
    [
        (True, (), [CATALOG]),
        (True, (PULL_TEAM,), ["registry:catalog:list"]),
        (False, (), ["registry:catalog:list"]),
    ],
)
def test_the_whole_catalog_is_for_administrators_without_limits(is_admin, limits, expected):
    assert granted(Asker("dev", "10.0.0.1", ALL, limits, is_admin), CATALOG) == expected


def test_what_else_may_be_read_stays_within_the_limits():
    found = grant(Asker("dev", "10.0.0.1", ALL, (PULL_TEAM,)), [Scope.parse(CATALOG)])
    assert (found.readable, found.unreadable) == (("team/**",), ())
    found = grant(Asker("dev", "10.0.0.1", ALL, (Limit("team/app", Level.PUSH),)), [Scope.parse("repository:x:push")])
    assert found.readable == ()


def test_the_verdicts_leave_out_what_the_limits_forbid():
    asker = Asker("dev", "10.0.0.1", TEAM, (PULL_TEAM, Limit("other", Level.PULL)))
    found = grant(asker, [Scope.parse("repository:team/app:pull,push"), Scope.parse("repository:other:pull")])
    assert found.verdicts == (Verdict("team/app", "pull", True), Verdict("other", "pull", False))
    assert grant(asker, [Scope.parse("repository:x:pull")]).reason == "limits of the access token"
    assert grant(asker, []).scopes == ()
