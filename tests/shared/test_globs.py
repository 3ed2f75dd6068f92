"""Globs, as in the program that we replace."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.globs import InvalidGlob, compile_glob

NAMES = st.text("ab/.-", max_size=12)
PLAIN = st.text("ab./-_0", max_size=10)


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("repo/**", "repo/ubuntu", True),
        ("repo/**", "repox/ubuntu", False),
        ("repo/**", "repo", False),
        ("repo/{ubuntu,java}", "repo/java", True),
        ("repo/{ubuntu,java}", "repo/javascript", False),
        ("192.168.*", "192.168.1.100", True),
        ("192.168.*", "192.160.1.1", False),
        ("*", "a", True),
        ("*", "a/b", False),
        ("*", "", True),
        ("**", "a/b/c", True),
        ("**", "", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("a?c", "ac", False),
        ("[abc]x", "bx", True),
        ("[a-c]x", "dx", False),
        ("[!a-c]x", "dx", True),
        ("[!a]x", "/x", False),
        ("[a-]x", "-x", True),
        ("[-a]x", "-x", True),
        ("[*?]x", "*x", True),
        ("[*?]x", "ax", False),
        ("[\\]x", "\\x", True),
        ("\\*", "*", True),
        ("\\*", "a", False),
        ("{a*,b/**}/z", "axx/z", True),
        ("{a*,b/**}/z", "b/c/d/z", True),
        ("{a,}b", "b", True),
        ("a,b}", "a,b}", True),
        (".hidden", ".hidden", True),
        ("A", "a", False),
        ("a.c", "abc", False),
        ("**/x", "x", False),
        ("**/x", "a/b/x", True),
        ("***", "a/b", True),
    ],
)
def test_globs_mean_what_they_mean_in_java(pattern, value, expected):
    assert compile_glob(pattern).matches(value) is expected


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("{a", "lacks the '}'"),
        ("{a,{b}}", "a group within a group"),
        ("[a", "lacks the ']'"),
        ("[]", "an empty character class"),
        ("[a/b]", "a '/' in a character class"),
        ("[z-a]", "z-a"),
        ("a\\", "escapes nothing"),
        ("[+-/]", "a '/' in a character class"),
        ("a" * 256, "255"),
    ],
)
def test_what_is_no_glob_is_refused_with_the_reason(pattern, reason):
    with pytest.raises(InvalidGlob, match=reason.replace("[", r"\[").replace("]", r"\]")):
        compile_glob(pattern)


@given(PLAIN, PLAIN)
def test_a_text_without_wildcards_matches_itself_only(pattern, value):
    assert compile_glob(pattern).matches(value) is (pattern == value)


@given(NAMES, NAMES, NAMES)
def test_a_double_star_spans_everything_and_a_star_everything_but_slashes(head, middle, tail):
    assert compile_glob(f"{head}**{tail}").matches(head + middle + tail)
    if "/" not in middle:
        assert compile_glob(f"{head}*{tail}").matches(head + middle + tail)
    else:
        assert not compile_glob(f"{head}*{tail}").matches(head + middle + tail) or "/" in head + tail


@given(PLAIN, PLAIN, PLAIN)
def test_a_group_matches_each_of_its_branches(one, two, tail):
    glob = compile_glob(f"{{{one},{two}}}{tail}")
    assert glob.matches(one + tail)
    assert glob.matches(two + tail)
    assert glob.matches(tail) is (not one or not two or tail in (one + tail, two + tail))


@given(st.text("ab*?/{},[]!-\\", max_size=15), NAMES)
def test_no_pattern_is_a_crash(pattern, value):
    try:
        glob = compile_glob(pattern)
    except InvalidGlob:
        return
    assert glob.matches(value) in (True, False)


def test_many_wildcards_stay_quick():
    glob = compile_glob("*a" * 100 + "b")
    started = time.perf_counter()
    assert not glob.matches("a" * 255)
    assert time.perf_counter() - started < 2
