"""An access token may a part of what its owner may, and never more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.globs import compile_glob
from web_service.access import Level
from web_service.errors import Invalid
from web_service.limits import MOST, Limit, check_limits, from_text, narrowed, to_text, within

EVERY_ACTION = ("pull", "push", "delete", "*")


@pytest.mark.parametrize(
    ("limits", "repository", "left"),
    [
        ((), "any/thing", EVERY_ACTION),
        (("team/**:pull",), "team/app", ("pull",)),
        (("team/**:pull",), "other/app", ()),
        (("team/*:push",), "team/app", ("pull", "push")),
        (("team/*:push",), "team/a/b", ()),
        (("team/**:delete",), "team/app", ("pull", "delete")),
        (("team/**:admin",), "team/app", EVERY_ACTION),
        (("team/**:pull", "team/app:push"), "team/app", ("pull", "push")),
        (("{user}/**:push",), "dev/app", ("pull", "push")),
        (("{user}/**:push",), "else/app", ()),
    ],
)
def test_what_the_limits_leave(limits, repository, left):
    assert within(tuple(map(Limit.parse, limits)), "dev", repository, EVERY_ACTION) == left


@pytest.mark.parametrize(
    ("limits", "globs", "left"),
    [
        ((), ("a/**", "b"), ("a/**", "b")),
        (("team/**:pull",), ("**",), ("team/**",)),
        (("**:pull",), ("a/**", "b"), ("a/**", "b")),
        (("team/app:push",), ("team/**",), ("team/app",)),
        (("team/**:pull",), ("team/app", "other"), ("team/app",)),
        (("team/**:pull",), ("team/**",), ("team/**",)),
        (("team/a*:pull",), ("team/*b",), ()),  # they overlap: less is told rather than more
        (("{user}/**:pull",), ("**",), ("dev/**",)),
    ],
)
def test_what_is_readable_within_the_limits(limits, globs, left):
    assert narrowed(tuple(map(Limit.parse, limits)), "dev", globs) == left


GLOBS = st.sampled_from(["**", "*", "a/**", "a/*", "a/b", "b", "{a,b}/*", "a/[bc]", "?", "{user}/**"])
NAMES = st.sampled_from(["a", "b", "a/b", "a/c", "a/b/c", "dev/x", "b/c"])


@given(st.lists(GLOBS, min_size=1, max_size=3), st.lists(GLOBS.filter(lambda glob: "user" not in glob)), NAMES)
def test_nothing_is_readable_that_either_side_forbids(limits, globs, name):
    told = narrowed(tuple(Limit(glob, Level.PULL) for glob in limits), "dev", globs)
    if any(compile_glob(glob).matches(name) for glob in told):
        assert any(compile_glob(glob).matches(name) for glob in globs)
        assert within(tuple(Limit(glob, Level.PULL) for glob in limits), "dev", name, ("pull",))


@pytest.mark.parametrize(
    "text", ["", "team", ":pull", "team:", "team:own", "team:none", "team:deny", "a[:pull", "a:ui-delete"]
)
def test_what_is_no_limit_is_told(text):
    with pytest.raises(Invalid):
        Limit.parse(text)


def test_a_limit_is_read_as_it_is_written():
    limits = tuple(map(Limit.parse, ("team/**:push", " a:b/c:pull ")))
    assert [str(one) for one in limits] == ["team/**:push", "a:b/c:pull"]
    assert from_text(to_text(limits)) == limits
    assert from_text(to_text(())) == ()


def test_limits_are_not_repeated_and_not_without_number():
    one = Limit("a", Level.PULL)
    assert check_limits([one, one]) == (one,)
    with pytest.raises(Invalid, match="50"):
        check_limits([Limit(f"a{number}", Level.PULL) for number in range(MOST + 1)])
