"""SQLite files that several processes open at the same moment.

Source: SQLite, "Write-Ahead Logging", section "Sometimes Queries Return SQLITE_BUSY In WAL Mode".
"""

import sqlite3
import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

_PAUSE_SECONDS: Final = 0.01


def patiently(opening: Callable[[], T], seconds: float) -> T:
    """Return what `opening` returns, which is tried again while the file is locked, for so many seconds.

    SQLite waits by itself for most locks, within the timeout of a connection, but not for those of others who turn the
    file to WAL, or clean up after themselves as the last who had it open: there it says at once that it is locked.
    `opening` must have let go of everything when it raises. Raises what it raised last.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return opening()
        except Exception as error:
            if not _is_locked(error) or time.monotonic() >= deadline:
                raise
        time.sleep(_PAUSE_SECONDS)


def _is_locked(error: Exception) -> bool:
    """Tell whether it is SQLite's error for a locked file, as such or within another library's."""
    causes = (error, error.__cause__, error.__context__)
    codes = [one.sqlite_errorcode for one in causes if isinstance(one, sqlite3.OperationalError)]
    return any(code & 0xFF == sqlite3.SQLITE_BUSY for code in codes)
