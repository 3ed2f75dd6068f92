"""Counting wrong passwords, so that guessing does not pay: per user and address, per address, and per user.

An attempt is counted before it is checked, and taken back when it was right: of guesses that come all at once, no more
are looked at than of guesses that come one by one. Tokens that are not valid count for their address only. The /64 of
an IPv6 address is one address here, for so much is given to a single customer. What is counted is in the memory of one
process: another one counts for itself, and a restart begins anew.
"""

import ipaddress
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from web_service.errors import TooManyFailures

WINDOW: Final = 60.0
MOST_OF_BOTH: Final = 10
"""Failures of one user from one address within WINDOW seconds."""
WIDE_WINDOW: Final = 600.0
MOST_OF_ADDRESS: Final = 100
"""Failures from one address within WIDE_WINDOW seconds, whatever the user: many may be behind one."""
MOST_OF_USER: Final = 100
"""Failures of one user within WIDE_WINDOW seconds, from whatever address."""
MOST_OF_SHARE: Final = 10
"""So many of them at most are from one address: it takes ten addresses to lock a name."""
_MOST_ENTRIES: Final = 10_000
_MOST_KNOWN: Final = 20
"""Addresses of one user from which a lock does not keep out."""


class _Counter:
    """Counts per key within a window of seconds; the keys that are oldest are forgotten when there are too many."""

    def __init__(self, clock: Callable[[], float], most: int, window: float) -> None:
        self._clock = clock
        self._most = most
        self._window = window
        self._times: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def wait(self, key: Hashable) -> float:
        """Return for how many seconds the key has to wait; 0 for not at all."""
        times = self._times.get(key)
        if times is None or len(times) < self._most:
            return 0.0
        return max(0.0, times[0] + self._window - self._clock())

    def count(self, key: Hashable, moment: float) -> bool:
        """Count at a moment, for a key that has not to wait, and return whether it has to from now on."""
        self._times.setdefault(key, deque(maxlen=self._most)).append(moment)
        self._times.move_to_end(key)
        if len(self._times) > _MOST_ENTRIES:
            self._times.popitem(last=False)
        return self.wait(key) > 0

    def take_back(self, key: Hashable, moment: float) -> None:
        """Undo what was counted at a moment, unless it is forgotten by now."""
        times = self._times.get(key)
        if times is not None and moment in times:
            times.remove(moment)
            if not times:
                del self._times[key]

    def forget(self, key: Hashable) -> None:
        self._times.pop(key, None)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A password that counts as wrong until it is known to be right.

    `shared` is whether it counts towards the lock of the name, `locks` who has to wait since it was counted.
    """

    name: str
    place: str
    moment: float
    shared: bool
    locks: tuple[str, ...]

    def is_from(self, address: str) -> bool:
        """Return whether it was made from an address, or from one that counts as the same."""
        return self.place == place_of(address)


class Throttle:
    """Says who has to wait; `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._of_both = _Counter(clock, MOST_OF_BOTH, WINDOW)
        self._of_address = _Counter(clock, MOST_OF_ADDRESS, WIDE_WINDOW)
        self._of_user = _Counter(clock, MOST_OF_USER, WIDE_WINDOW)
        self._shares = _Counter(clock, MOST_OF_SHARE, WIDE_WINDOW)
        self._known: OrderedDict[str, deque[str]] = OrderedDict()

    def check(self, name: str, address: str) -> None:
        """Raise TooManyFailures when somebody must wait."""
        place = place_of(address)
        wait = max(self._of_both.wait((name, place)), self._of_address.wait(place))
        if place not in self._known.get(name, ()):
            wait = max(wait, self._of_user.wait(name))
        _raise_after(wait)

    def reserve(self, name: str, address: str) -> Attempt:
        """Count an attempt before it is looked at; raises TooManyFailures when somebody must wait."""
        self.check(name, address)
        place, moment = place_of(address), self._clock()
        shared = not self._shares.wait((name, place)) and not self._of_user.wait(name)
        if shared:
            self._shares.count((name, place), moment)
        locks = {
            "user": shared and self._of_user.count(name, moment),
            "address": self._of_address.count(place, moment),
            "user here": self._of_both.count((name, place), moment),
        }
        return Attempt(name, place, moment, shared, tuple(what for what, locked in locks.items() if locked))

    def take_back(self, attempt: Attempt) -> None:
        """Uncount an attempt that was right."""
        both = (attempt.name, attempt.place)
        self._of_both.take_back(both, attempt.moment)
        self._of_address.take_back(attempt.place, attempt.moment)
        if attempt.shared:
            self._shares.take_back(both, attempt.moment)
            self._of_user.take_back(attempt.name, attempt.moment)

    def lock(self, attempt: Attempt) -> str:
        """Return who has to wait since an attempt that was wrong: `user`, `address`, `user here`, or nobody."""
        waits = {
            "user": self._of_user.wait(attempt.name),
            "address": self._of_address.wait(attempt.place),
            "user here": self._of_both.wait((attempt.name, attempt.place)),
        }
        return next((what for what in attempt.locks if waits[what] > 0), "")

    def failed_at(self, address: str) -> str:
        """Count a token that is not valid, and return whether the `address` has to wait from now on, or nobody.

        Raises TooManyFailures when it has to wait already.
        """
        place = place_of(address)
        _raise_after(self._of_address.wait(place))
        return "address" if self._of_address.count(place, self._clock()) else ""

    def succeeded(self, name: str, address: str) -> None:
        """Forget the failures of this user from this address, which a lock of the name does not keep out for now."""
        place = place_of(address)
        self._of_both.forget((name, place))
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = deque(maxlen=_MOST_KNOWN)
        if place not in known:
            known.append(place)
        self._known.move_to_end(name)
        if len(self._known) > _MOST_ENTRIES:
            self._known.popitem(last=False)


@lru_cache(maxsize=_MOST_ENTRIES)
def place_of(address: str) -> str:
    """Return what counts as one address: the /64 of IPv6, and IPv4 however it is written."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.IPv6Address(int(parsed) >> 64 << 64))


def _raise_after(wait: float) -> None:
    if wait > 0:
        raise TooManyFailures(max(1, round(wait)))
