"""What stands in a rule: globs with the user's own name, and addresses."""

import pytest

from web_service.access import LOCAL
from web_service.patterns import (
    Unusable,
    address_matches,
    check_address,
    check_repository_glob,
    glob_matches,
    own_glob,
)


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


@pytest.mark.parametrize(
    ("pattern", "user", "expected"),
    [
        ("{user}/**", "alice", "alice/**"),
        ("home/{user}", "a.b", "home/a.b"),
        ("{user}-{user}", "a", "a-a"),
        ("{team,{user}}/*", "a", "{team,a}/*"),
        ("{user,team}/*", "a", "{user,team}/*"),
        ("{User}", "a", "{User}"),
        ("\\{user}", "a", "\\{user}"),
        ("[{user}]", "a", "[{user}]"),
        ("[{user}", "a", "[{user}"),
        ("**", "", "**"),
        ("{user}/**", "", ""),
        ("{user}**", "", ""),
        ("{user}", "a*?[]{},\\", "a\\*\\?\\[\\]\\{\\}\\,\\\\"),
    ],
)
def test_user_is_the_variable_where_it_stands_alone(pattern, user, expected):
    assert own_glob(pattern, user) == expected


@pytest.mark.parametrize("name", ["a*b", "[ab]", "{a,b}", "a\\", "!a", "a-z", "**", "你好", "a,b}"])
def test_a_name_is_matched_letter_by_letter(name):
    assert glob_matches(own_glob("{x,{user}}/*", name), f"{name}/app")
    assert not glob_matches(own_glob("{user}/*", name), "ab/app")


@pytest.mark.parametrize("pattern", ["{user}" + "a" * 192, "{a,{b,{user}}}", "{{user}"])
def test_a_glob_that_a_name_would_make_unusable_is_refused_when_it_is_entered(pattern):
    with pytest.raises(Unusable):
        check_repository_glob(pattern)


def test_a_glob_with_the_longest_name_is_usable():
    assert check_repository_glob("{user}" + "a" * 191).startswith("{user}")


def test_a_pattern_that_cannot_be_read_answers_as_it_is_told():
    assert [glob_matches("[", "a", broken=broken) for broken in (False, True)] == [False, True]
    assert [address_matches("[", "10.0.0.1", broken=broken) for broken in (False, True)] == [False, True]
