"""What was read from the database, for as long as nobody's rights have changed since.

Every change of rights adds a line to the audit trail, in whatever process. So what was read when a line was the newest
is still true while it is: that line is looked at anew each time, which costs a fraction of reading a user.
"""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from web_service.audit import newest_line
from web_service.cache import Cache
from web_service.db import Database
from web_service.shared_read import SharedRead

R = TypeVar("R")

_MOST_KEPT: Final = 4096
_LOOK_AGAIN_SECONDS: Final = 5.0
"""For so long at most: a database may be edited by hand."""


@dataclass(frozen=True, slots=True)
class _Kept(Generic[R]):
    """What was read when `line` was the newest of the audit trail, and until when it may be used again."""

    line: int
    until: float
    found: R


class Unchanged(Generic[R]):
    """Reads what is not known, or not known to be unchanged; `clock` returns seconds and never goes back."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._newest_line = SharedRead(database, newest_line)
        self._kept = Cache[_Kept[R]](_MOST_KEPT)

    async def get(self, key: Hashable, read: Callable[[], R | None]) -> R | None:
        """Return what `read` finds under a key; what it does not find is looked for each time."""
        kept = self._kept.get(key)
        if kept is not None and kept.until > self._clock() and kept.line == await self._newest_line.get():
            return kept.found
        line, found = await self._database.read(_with_line, read)
        if found is not None:
            self._kept.put(key, _Kept(line, self._clock() + _LOOK_AGAIN_SECONDS, found))
        return found

    def forget(self) -> None:
        """Read everything anew, for something was changed that left no line."""
        self._kept = Cache[_Kept[R]](_MOST_KEPT)


def _with_line(read: Callable[[], R]) -> tuple[int, R]:
    """Return the newest line, read first, so that it is never newer than what is found."""
    return newest_line(), read()
