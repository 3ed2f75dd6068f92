"""Guessing does not pay, and shuts out nobody but the guesser."""

import pytest

from web_service.errors import TooManyFailures
from web_service.throttle import (
    _MOST_ENTRIES,
    MOST_OF_ADDRESS,
    MOST_OF_BOTH,
    MOST_OF_USER,
    WIDE_WINDOW,
    WINDOW,
    Throttle,
)


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def throttle(clock):
    return Throttle(lambda: clock[0])


def is_let_in(throttle, name, address):
    try:
        throttle.check(name, address)
    except TooManyFailures:
        return False
    return True


def test_a_user_at_an_address_waits_and_others_do_not(throttle, clock):
    told = [throttle.failed("dev", "10.6.6.6") for _ in range(MOST_OF_BOTH)]
    assert told == [""] * (MOST_OF_BOTH - 1) + ["user here"]
    assert not is_let_in(throttle, "dev", "10.6.6.6")
    assert is_let_in(throttle, "dev", "10.0.0.1")
    assert is_let_in(throttle, "other", "10.6.6.6")
    clock[0] += WINDOW
    assert is_let_in(throttle, "dev", "10.6.6.6")


def test_an_address_that_tries_many_names_waits_altogether(throttle, clock):
    told = [throttle.failed(f"user-{number}", "10.6.6.6") for number in range(MOST_OF_ADDRESS)]
    assert told[-2:] == ["", "address"]
    assert not is_let_in(throttle, "somebody else", "10.6.6.6")
    with pytest.raises(TooManyFailures) as caught:
        throttle.check_address("10.6.6.6")
    assert caught.value.seconds == WIDE_WINDOW
    throttle.check_address("10.0.0.1")
    assert is_let_in(throttle, "user-1", "10.0.0.1")
    clock[0] += WIDE_WINDOW
    assert is_let_in(throttle, "somebody else", "10.6.6.6")


def test_a_name_that_many_addresses_guess_for_is_locked_but_for_where_it_is_known(throttle, clock):
    throttle.succeeded("dev", "10.0.0.1")
    told = [throttle.failed("dev", f"10.6.{number}.6") for number in range(MOST_OF_USER)]
    assert told[-2:] == ["", "user"]
    assert not is_let_in(throttle, "dev", "10.7.7.7")
    assert is_let_in(throttle, "dev", "10.0.0.1")
    assert is_let_in(throttle, "other", "10.7.7.7")
    clock[0] += WIDE_WINDOW
    assert is_let_in(throttle, "dev", "10.7.7.7")


def test_a_success_wipes_the_slate_of_its_user_and_address_only(throttle):
    for name in ("dev", "other"):
        for _ in range(MOST_OF_BOTH):
            throttle.failed(name, "10.0.0.1")
    throttle.succeeded("dev", "10.0.0.1")
    assert is_let_in(throttle, "dev", "10.0.0.1")
    assert not is_let_in(throttle, "other", "10.0.0.1")


def test_what_is_kept_is_bounded(throttle):
    for number in range(_MOST_ENTRIES + 10):
        throttle.failed(f"user-{number}", f"address-{number}")
        throttle.succeeded(f"known-{number}", "10.0.0.1")
    counters = (throttle._of_both, throttle._of_address, throttle._of_user)
    assert [len(one._times) for one in counters] == [_MOST_ENTRIES] * 3
    assert len(throttle._known) == _MOST_ENTRIES
