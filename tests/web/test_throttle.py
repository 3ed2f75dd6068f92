"""Guessing does not pay, and shuts out nobody but the guesser."""

import pytest

from web_service.errors import TooManyFailures
from web_service.throttle import (
    _MOST_ENTRIES,
    MOST_OF_ADDRESS,
    MOST_OF_BOTH,
    MOST_OF_SHARE,
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


def failed(throttle, name, address):
    return throttle.lock(throttle.reserve(name, address))


def test_a_user_at_an_address_waits_and_others_do_not(throttle, clock):
    told = [failed(throttle, "dev", "10.6.6.6") for _ in range(MOST_OF_BOTH)]
    assert told == [""] * (MOST_OF_BOTH - 1) + ["user here"]
    assert not is_let_in(throttle, "dev", "10.6.6.6")
    assert is_let_in(throttle, "dev", "10.0.0.1")
    assert is_let_in(throttle, "other", "10.6.6.6")
    clock[0] += WINDOW
    assert is_let_in(throttle, "dev", "10.6.6.6")


def test_an_address_that_tries_many_names_waits_altogether(throttle, clock):
    told = [failed(throttle, f"user-{number}", "10.6.6.6") for number in range(MOST_OF_ADDRESS)]
    assert told[-2:] == ["", "address"]
    assert not is_let_in(throttle, "somebody else", "10.6.6.6")
    with pytest.raises(TooManyFailures) as caught:
        throttle.failed_at("10.6.6.6")
    assert caught.value.seconds == WIDE_WINDOW
    assert throttle.failed_at("10.0.0.1") == ""
    assert is_let_in(throttle, "user-1", "10.0.0.1")
    clock[0] += WIDE_WINDOW
    assert is_let_in(throttle, "somebody else", "10.6.6.6")


def test_a_name_that_many_addresses_guess_for_is_locked_but_for_where_it_is_known(throttle, clock):
    throttle.succeeded("dev", "10.0.0.1")
    told = [failed(throttle, "dev", f"10.6.{number}.6") for number in range(MOST_OF_USER)]
    assert told[-2:] == ["", "user"]
    assert not is_let_in(throttle, "dev", "10.7.7.7")
    assert is_let_in(throttle, "dev", "10.0.0.1")
    assert is_let_in(throttle, "other", "10.7.7.7")
    clock[0] += WIDE_WINDOW
    assert is_let_in(throttle, "dev", "10.7.7.7")


def test_a_success_wipes_the_slate_of_its_user_and_address_only(throttle):
    for name in ("dev", "other"):
        for _ in range(MOST_OF_BOTH):
            failed(throttle, name, "10.0.0.1")
    throttle.succeeded("dev", "10.0.0.1")
    assert is_let_in(throttle, "dev", "10.0.0.1")
    assert not is_let_in(throttle, "other", "10.0.0.1")


def test_what_is_kept_is_bounded(throttle):
    for number in range(_MOST_ENTRIES + 10):
        failed(throttle, f"user-{number}", f"address-{number}")
        throttle.succeeded(f"known-{number}", "10.0.0.1")
    counters = (throttle._of_both, throttle._of_address, throttle._of_user, throttle._shares)
    assert [len(one._times) for one in counters] == [_MOST_ENTRIES] * 4
    assert len(throttle._known) == _MOST_ENTRIES


def test_an_attempt_counts_until_it_is_taken_back(throttle):
    attempts = [throttle.reserve("dev", "10.0.0.1") for _ in range(MOST_OF_BOTH)]
    with pytest.raises(TooManyFailures):
        throttle.reserve("dev", "10.0.0.1")
    throttle.take_back(attempts[0])
    assert is_let_in(throttle, "dev", "10.0.0.1")
    assert throttle.lock(attempts[-1]) == ""  # the lock it had brought about is gone
    for attempt in attempts[1:]:
        throttle.take_back(attempt)
    assert not any((throttle._of_both._times, throttle._of_address._times, throttle._of_user._times))
    assert not throttle._shares._times


def test_what_was_forgotten_is_not_taken_back_from_somebody_else(throttle, clock):
    early = throttle.reserve("dev", "10.0.0.1")
    throttle.succeeded("dev", "10.0.0.1")
    clock[0] += 1
    for _ in range(MOST_OF_BOTH):
        throttle.reserve("dev", "10.0.0.1")
    throttle.take_back(early)
    assert not is_let_in(throttle, "dev", "10.0.0.1")


def test_one_address_counts_for_a_small_share_of_the_lock_of_a_name(throttle, clock):
    for _ in range(5):
        for number in range(9 * MOST_OF_BOTH):
            failed(throttle, "dev", f"10.6.{number % 9}.6")
        clock[0] += WINDOW
    assert is_let_in(throttle, "dev", "10.7.7.7")
    told = [failed(throttle, "dev", "10.7.7.7") for _ in range(MOST_OF_SHARE)]
    assert told[-2:] == ["", "user"]
    assert not is_let_in(throttle, "dev", "10.8.8.8")
    clock[0] += WIDE_WINDOW
    assert is_let_in(throttle, "dev", "10.8.8.8")


def test_a_lock_of_a_name_is_told_once_and_not_weakened_by_who_is_let_in(throttle):
    throttle.succeeded("dev", "10.0.0.1")
    for number in range(MOST_OF_USER):
        failed(throttle, "dev", f"10.6.{number}.6")
    assert failed(throttle, "dev", "10.0.0.1") == ""
    throttle.take_back(throttle.reserve("dev", "10.0.0.1"))
    assert not is_let_in(throttle, "dev", "10.7.7.7")


def test_tokens_count_for_their_address_only(throttle):
    told = [throttle.failed_at("10.6.6.6") for _ in range(MOST_OF_ADDRESS)]
    assert told[-2:] == ["", "address"]
    assert not throttle._of_user._times
    assert not is_let_in(throttle, "dev", "10.6.6.6")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:DB8:1:2::2", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("no address", "none either", False),
    ],
)
def test_the_network_of_an_ipv6_address_is_one_address(throttle, one, other, same):
    attempts = [throttle.reserve("dev", one) for _ in range(MOST_OF_BOTH)]
    assert attempts[0].is_from(other) is same
    assert is_let_in(throttle, "dev", other) is not same
    for _ in range(MOST_OF_ADDRESS - MOST_OF_BOTH):
        throttle.failed_at(one)
    assert is_let_in(throttle, "somebody else", other) is not same


def test_where_a_user_is_known_is_a_network_too(throttle):
    throttle.succeeded("dev", "2001:db8::1")
    for number in range(MOST_OF_USER):
        failed(throttle, "dev", f"2001:db8:6:{number:x}::1")
    assert is_let_in(throttle, "dev", "2001:db8::2")
    assert not is_let_in(throttle, "dev", "2001:db8:7::1")
