"""What was written down lately: the same thing is written once an hour, and on one account no more than so many things.

An hour begins with the first line. What is remembered is bounded and in the memory of one process: another process
writes a line of its own, and so does this one after a restart.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from web_service.cache import Cache

WINDOW: Final = 3600.0
_MOST_KEPT: Final = 10_000


class Turn(Enum):
    """Whether something is written down."""

    NO = auto()
    YES = auto()
    LAST = auto()
    """It is, and nothing more on this account within the hour."""


@dataclass(slots=True)
class _Account:
    """How many lines there were since the hour began."""

    since: float
    lines: int = 0


class Repeats:
    """Says what is written down; `clock` returns seconds and never goes back."""

    def __init__(self, clock: Callable[[], float], kept: int = _MOST_KEPT) -> None:
        self._clock = clock
        self._written = Cache[float](kept)
        self._accounts = Cache[_Account](kept)

    def is_recent(self, what: Hashable) -> bool:
        """Return whether something was written down within the hour."""
        since = self._written.get(hash(what))
        return since is not None and self._clock() - since < WINDOW

    def turn(self, what: Hashable, account: Hashable, most: int) -> Turn:
        """Return whether something is written down now, on an account that may have `most` lines.

        What is not is not remembered either: a flood shall not drive out what others did.
        """
        now = self._clock()
        spent = self._account(account, now)
        if spent.lines >= most:
            return Turn.NO
        spent.lines += 1
        self._written.put(hash(what), now)  # of texts that strangers chose, hashes are remembered
        return Turn.YES if spent.lines < most else Turn.LAST

    def take_back(self, what: Hashable, account: Hashable) -> None:
        """Forget what could not be written down after all."""
        self._written.drop(hash(what))
        spent = self._accounts.get(hash(account))
        if spent is not None and spent.lines:
            spent.lines -= 1

    def _account(self, account: Hashable, now: float) -> _Account:
        held = self._accounts.get(hash(account))
        if held is None or now - held.since >= WINDOW:
            held = _Account(now)
            self._accounts.put(hash(account), held)
        return held
