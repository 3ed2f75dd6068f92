"""What was asked of the registry: who wanted which action on which repository, and whether it was allowed.

Counted per day, so that fifty layers are one line. A change of rules can be tried against it before it is made.
Counts are kept in memory for some seconds and written together: a token costs no write of its own. A crash loses those
seconds, and with them nothing but a trial's completeness.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from peewee import EXCLUDED, chunked

from shared.texts import clean
from web_service.db import Database
from web_service.models import AskedRow

DAY: Final = 24 * 3600
_MOST_WAITING: Final = 10_000
"""Different requests that wait to be written; what is more is dropped, for a flood shall not fill the memory."""
MOST_READ: Final = 100_000
MOST_OF_USER: Final = 2_000
"""Different requests of one user, or of all who have not signed in, that are kept per day and process.

What is more is dropped: a flood neither fills the table nor pushes others out of MOST_READ.
"""
_KEY: Final = ("day", "user", "address", "repository", "action", "allowed")
_ROWS: Final = 100
"""Rows per statement: SQLite before 3.32 takes no more than 999 values."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One action on one repository by one user from one address; an empty `user` has not signed in."""

    user: str
    address: str
    repository: str
    action: str
    allowed: bool


@dataclass(frozen=True, slots=True)
class Times:
    """How often something was asked for, and when for the last time, in epoch seconds."""

    asked: Asked
    times: int
    last: int


class _Today:
    """Says what is still kept of a day. Of what was kept already it remembers hashes, which need little memory."""

    def __init__(self) -> None:
        self._day = 0
        self._kept: dict[str, set[int]] = {}
        self._left = MOST_READ

    def keeps(self, day: int, one: Asked) -> bool:
        """Return whether a request is kept, and count it when it is a new one."""
        if day != self._day:
            self._day, self._kept, self._left = day, {}, MOST_READ
        of_user, mark = self._kept.setdefault(one.user, set()), hash(one)
        if mark in of_user:
            return True
        if len(of_user) >= MOST_OF_USER or not self._left:
            return False
        of_user.add(mark)
        self._left -= 1
        return True


class AskedFor:
    """Counts, keeps and recalls what was asked for."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._waiting: Counter[tuple[int, Asked]] = Counter()
        self._today = _Today()

    def note(self, asked: Iterable[Asked]) -> None:
        """Count; it is written by the next `flush`."""
        day = int(self._clock()) // DAY
        for one in asked:
            key = (day, one)
            times = self._waiting.get(key, 0)
            if times or (len(self._waiting) < _MOST_WAITING and self._today.keeps(day, one)):
                self._waiting[key] = times + 1

    async def flush(self) -> int:
        """Write what was counted and return how many lines that were. What cannot be written waits on."""
        waiting, self._waiting = self._waiting, Counter()
        if not waiting:
            return 0
        try:
            await self._database.write(_add, waiting, int(self._clock()))
        except BaseException:
            self._waiting.update(waiting)
            raise
        return len(waiting)

    async def since(self, days: int) -> list[Times]:
        """Return what was asked for during the last days, the most recent first, each thing once."""
        await self.flush()
        return await self._database.read(_since, int(self._clock()) // DAY - days)

    async def purge(self, retention: float) -> int:
        """Forget what is older than `retention` seconds and return how many lines that were."""
        before = int(self._clock() - retention) // DAY
        return await self._database.write(lambda: int(AskedRow.delete().where(AskedRow.day < before).execute()))


def _add(waiting: Counter[tuple[int, Asked]], now: int) -> None:
    for rows in chunked(_rows(waiting, now), _ROWS):
        AskedRow.insert_many(rows).on_conflict(
            conflict_target=[getattr(AskedRow, name) for name in _KEY],
            update={AskedRow.times: AskedRow.times + EXCLUDED.times, AskedRow.last: EXCLUDED.last},
        ).execute()


def _rows(waiting: Counter[tuple[int, Asked]], now: int) -> Iterator[dict[str, object]]:
    """Return one row for each key: two of one key in one statement is what PostgreSQL refuses."""
    rows: Counter[tuple[object, ...]] = Counter()
    for (day, one), times in waiting.items():
        texts = (clean(one.user)[:64], clean(one.address)[:64], clean(one.repository)[:255], clean(one.action)[:32])
        rows[day, *texts, one.allowed] += times
    return ({**dict(zip(_KEY, key, strict=True)), "times": times, "last": now} for key, times in rows.items())


def _since(first_day: int) -> list[Times]:
    found: dict[tuple[str, str, str, str], Times] = {}
    query = AskedRow.select().where(AskedRow.day >= first_day).order_by(AskedRow.last.desc()).limit(MOST_READ)
    for row in query:
        key = (row.user, row.address, row.repository, row.action)
        held = found.get(key)
        if held is None:
            found[key] = Times(Asked(*key, row.allowed), row.times, row.last)
        else:
            found[key] = Times(held.asked, held.times + row.times, held.last)
    return list(found.values())
