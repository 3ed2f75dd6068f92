"""Counting wrong passwords, so that guessing does not pay: per user and address, per address, and per user."""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
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

    def count(self, key: Hashable) -> bool:
        """Count, and return whether the key has to wait from now on."""
        self._times.setdefault(key, deque(maxlen=self._most)).append(self._clock())
        self._times.move_to_end(key)
        if len(self._times) > _MOST_ENTRIES:
            self._times.popitem(last=False)
        return self.wait(key) > 0

    def forget(self, key: Hashable) -> None:
        self._times.pop(key, None)


class Throttle:
    """Says who has to wait; `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._of_both = _Counter(clock, MOST_OF_BOTH, WINDOW)
        self._of_address = _Counter(clock, MOST_OF_ADDRESS, WIDE_WINDOW)
        self._of_user = _Counter(clock, MOST_OF_USER, WIDE_WINDOW)
        self._known: OrderedDict[str, deque[str]] = OrderedDict()

    def check(self, name: str, address: str) -> None:
        """Raise TooManyFailures when somebody must wait."""
        wait = max(self._of_both.wait((name, address)), self._of_address.wait(address))
        if address not in self._known.get(name, ()):
            wait = max(wait, self._of_user.wait(name))
        _raise_after(wait)

    def check_address(self, address: str) -> None:
        """Raise TooManyFailures when everybody at an address must wait."""
        _raise_after(self._of_address.wait(address))

    def failed(self, name: str, address: str) -> str:
        """Count a failure, and return who has to wait from now on: `user here`, `address`, `user`, or nobody."""
        locks = {
            "user": self._of_user.count(name),
            "address": self._of_address.count(address),
            "user here": self._of_both.count((name, address)),
        }
        return next((what for what, locked in locks.items() if locked), "")

    def succeeded(self, name: str, address: str) -> None:
        """Forget the failures of this user from this address, which a lock of the name does not keep out for now."""
        self._of_both.forget((name, address))
        known = self._known.setdefault(name, deque(maxlen=_MOST_KNOWN))
        if address not in known:
            known.append(address)
        self._known.move_to_end(name)
        if len(self._known) > _MOST_ENTRIES:
            self._known.popitem(last=False)


def _raise_after(wait: float) -> None:
    if wait > 0:
        raise TooManyFailures(max(1, round(wait)))
