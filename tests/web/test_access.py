import pytest
from hypothesis import given
from hypothesis import strategies as st

from web_service.access import (
    ACTIONS,
    LOCAL,
    Level,
    Rule,
    Unusable,
    address_matches,
    allowed_actions,
    check_address,
    check_repository_glob,
    decide,
    readable,
)

HELLO = (("*", "hello*", "push"), ("*", "*hello*", "push"))
BY_NETWORK = (("192.*", "**", "pull"), ("192.168.*", "hello/**", "push"))
ONE_HELLO = (("*", "hello*", "push"),)
TEAMS = (
    ("*", "max/*", "push"),
    ("*", "general/*", "pull"),
    ("*", "**", "none"),
    ("*", "single_level", "push"),
    ("*", "{max,test}/*", "push"),
)
UI_DELETE = (("*", "max/*", "ui-delete"),)


def rules(lines):
    return [Rule(address, repository, Level(level)) for address, repository, level in lines]


@pytest.mark.parametrize(
    ("lines", "address", "repository", "expected"),
    [
        (HELLO, "127.0.0.1", "ubuntu", ()),
        (HELLO, "127.0.0.1", "ubuntu/hello", ()),
        (HELLO, "127.0.0.1", "hello/ubuntu", ()),
        (BY_NETWORK, "127.0.0.1", "hello/hello", ()),
        (BY_NETWORK, "192.0.0.1", "hello", ("pull",)),
        (BY_NETWORK, "192.0.0.1", "hello/hello", ("pull",)),
        (BY_NETWORK, "192.168.0.1", "hello/hello", ("pull", "push")),
        (ONE_HELLO, "127.0.0.1", "hello", ("pull", "push")),
        (ONE_HELLO, "127.0.0.1", "hello-world-1", ("pull", "push")),
        (ONE_HELLO, "127.0.0.1", "hello.ubuntu", ("pull", "push")),
        (TEAMS, "127.0.0.1", "max/ubuntu", ("pull", "push")),
        (TEAMS, "127.0.0.1", "general/ubuntu", ("pull",)),
        (TEAMS, "127.0.0.1", "single_level", ("pull", "push")),
        (TEAMS, "127.0.0.1", "single", ()),
        (TEAMS, "127.0.0.1", "test/test", ("pull", "push")),
        (UI_DELETE, "127.0.0.1", "max/ubuntu", ("ui-delete",)),
        (UI_DELETE, "127.0.0.1", "test/test", ()),
    ],
)
def test_rules_allow_what_they_allowed_in_the_program_we_replace(lines, address, repository, expected):
    assert allowed_actions(rules(lines), repository, address) == expected


@pytest.mark.parametrize(
    ("level", "requested", "granted"),
    [
        ("none", "pull push", ""),
        ("pull", "pull push", "pull"),
        ("pull", "push", ""),
        ("push", "push pull", "push pull"),
        ("push", "pull", "pull"),
        ("push", "pull delete", "pull"),
        ("push", "*", ""),
        ("delete", "pull push delete", "pull delete"),
        ("admin", "pull push delete *", "pull push delete *"),
        ("admin", "something", "something"),
        ("admin", "ui-delete", ""),
        ("ui-delete", "pull push delete", ""),
        ("push", "", ""),
    ],
)
def test_what_is_granted_was_requested_and_is_allowed(level, requested, granted):
    decision = decide(rules([("*", "**", level)]), "team/app", "10.0.0.1", requested.split())
    assert decision.granted == tuple(granted.split())


def test_a_name_outside_the_grammar_gets_nothing_even_from_a_rule_for_everything():
    decision = decide(rules([("*", "**", "admin")]), "Team/../app", "10.0.0.1", ["pull"])
    assert decision.granted == ()
    assert decision.reason == "not a repository name"


def test_the_reason_names_the_roles_whose_rules_apply():
    held = [Rule("*", "team/**", Level.PULL, "readers"), Rule("*", "other/**", Level.PUSH, "others")]
    assert decide(held, "team/app", "10.0.0.1", ["pull"]).reason == "roles readers"
    assert decide(held, "elsewhere", "10.0.0.1", ["pull"]).reason == "no rule applies"


@given(
    st.lists(st.tuples(st.sampled_from(["*", "10.*", LOCAL]), st.sampled_from(["**", "a/*"]), st.sampled_from(Level))),
    st.lists(st.sampled_from(["pull", "push", "delete", "*", "odd"]), unique=True),
)
def test_nothing_is_granted_that_was_not_requested_and_more_rules_never_take_away(lines, requested):
    held = [Rule(*line) for line in lines]
    granted = decide(held, "a/b", "10.0.0.1", requested).granted
    assert set(granted) <= set(requested)
    assert set(decide(held[:-1], "a/b", "10.0.0.1", requested).granted) <= set(granted)


@pytest.mark.parametrize(
    ("pattern", "address", "expected"),
    [
        ("*", "10.1.2.3", True),
        ("*", "2001:db8::1", True),
        ("*", LOCAL, True),
        (LOCAL, LOCAL, True),
        (LOCAL, "10.1.2.3", False),
        ("10.0.0.0/8", "10.255.0.1", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.1.2.3/8", "10.9.9.9", True),
        ("10.0.0.0/8", LOCAL, False),
        ("10.0.0.0/8", "::ffff:10.0.0.1", True),
        ("192.168.*", "::ffff:192.168.1.1", True),
        ("2001:db8::/32", "2001:db8:1::5", True),
        ("2001:db8::/32", "2001:db9::5", False),
        ("2001:0DB8::1", "2001:db8:0:0::1", True),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("192.168.???.1", "192.168.100.1", True),
        ("192.168.???.1", "192.168.1.1", False),
        ("[", "10.0.0.1", False),
        ("*", "unknown", True),
    ],
)
def test_addresses_match_networks_addresses_and_globs(pattern, address, expected):
    assert address_matches(pattern, address) is expected


@pytest.mark.parametrize("pattern", ["", "10.0.0.0/33", "10.0.0/8/8", "{a", "[z-a]"])
def test_an_unusable_address_is_refused_when_it_is_entered(pattern):
    with pytest.raises(Unusable):
        check_address(pattern)


@pytest.mark.parametrize("pattern", ["", "{a,{b}}", "[]", "a\\", "a" * 256])
def test_an_unusable_repository_glob_is_refused_when_it_is_entered(pattern):
    with pytest.raises(Unusable):
        check_repository_glob(pattern)


def test_usable_patterns_are_returned_as_they_are():
    assert check_address("10.0.0.0/8") == "10.0.0.0/8"
    assert check_repository_glob("team/**") == "team/**"


def test_every_level_has_its_actions():
    assert set(ACTIONS) == set(Level)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([("*", "**", "push")], ("**",)),
        ([("*", "team/**", "pull"), ("*", "team/**", "push"), ("*", "one", "admin")], ("team/**", "one")),
        ([("*", "**", "none"), ("*", "**", "ui-delete"), ("192.168.*", "**", "pull")], ()),
        ([("10.0.0.0/8", "a/*", "pull"), ("10.0.0.0/8", "c", "delete")], ("a/*", "c")),
    ],
)
def test_readable_is_what_may_be_pulled_from_the_address(lines, expected):
    assert readable(rules(lines), "10.0.0.1") == expected
