"""What is written down: the first of a thing at once, none of its repeats within the hour, and not too much in all."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web_service.repeats import WINDOW, Repeats, Turn

YES, NO, LAST = Turn.YES, Turn.NO, Turn.LAST


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Pen(Repeats):
    """Writes what is not a repeat, as the doorkeeper does."""

    def turn(self, what, account, most, *, again=False):
        return NO if self.is_recent(what) and not again else super().turn(what, account, most)


@pytest.fixture
def clock():
    return Clock()


def test_a_thing_is_written_once_an_hour(clock):
    repeats = Pen(clock)
    assert repeats.turn("a", "x", 9) is YES
    assert repeats.turn("a", "x", 9) is NO
    assert repeats.turn("b", "x", 9) is YES
    clock.now += WINDOW - 1
    assert repeats.turn("a", "x", 9) is NO  # a repeat does not prolong the hour
    clock.now += 1
    assert repeats.turn("a", "x", 9) is YES


def test_again_is_written_whatever_was_lately(clock):
    repeats = Pen(clock)
    assert [repeats.turn("a", "x", 3, again=True) for _ in range(4)] == [YES, YES, LAST, NO]
    assert repeats.turn("a", "y", 3) is NO


def test_an_account_has_so_many_lines_an_hour(clock):
    repeats = Pen(clock)
    assert [repeats.turn(number, "x", 3) for number in range(5)] == [YES, YES, LAST, NO, NO]
    assert repeats.turn(3, "y", 3) is YES  # what another account could not pay for was not remembered
    clock.now += WINDOW
    assert repeats.turn(3, "x", 3) is YES


def test_a_flood_on_one_account_drives_out_nothing(clock):
    repeats = Pen(clock, kept=100)
    assert repeats.turn("mine", "me", 50) is YES
    for number in range(1000):
        repeats.turn(number, "flooder", 50)
    assert repeats.turn("mine", "me", 50) is NO


def test_what_is_remembered_is_bounded(clock):
    repeats = Pen(clock, kept=10)
    for number in range(50):
        assert repeats.turn(number, number, 1) is LAST
    assert repeats.turn(0, 0, 1) is LAST  # it was forgotten
    assert repeats.turn(49, 49, 1) is NO


def test_what_could_not_be_written_is_due_again(clock):
    repeats = Pen(clock)
    assert [repeats.turn(number, "x", 2) for number in range(3)] == [YES, LAST, NO]
    repeats.take_back(1, "x")
    assert [repeats.turn(number, "x", 2) for number in range(3)] == [NO, LAST, NO]
    repeats.take_back("unknown", "unknown")


STEPS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.booleans(), st.integers(0, 900)), max_size=80)


@given(STEPS)
def test_no_repeat_is_written_and_no_account_has_more_than_its_lines_in_a_row(steps):
    clock, most, written = Clock(), 4, []
    repeats = Pen(clock)
    for thing, account, again, pause in steps:
        clock.now += pause
        lately = [(what, owner) for moment, what, owner in written if clock.now - moment < WINDOW]
        turn = repeats.turn(thing, account, most, again=again)
        if turn is NO:
            assert (not again and thing in dict(lately)) or account in dict(lately).values()
        else:
            assert again or thing not in dict(lately)
            written.append((clock.now, thing, account))
    for start, *_ in written:
        hour = Counter(account for moment, _, account in written if start <= moment < start + WINDOW)
        assert max(hour.values()) < 2 * most  # hours of an account follow each other
