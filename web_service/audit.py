"""The audit trail: who did what, from where, what it was before and what it is now. Nothing here is ever changed.

Those who change users, roles, rules and tokens record it in the transaction of the change itself: there is neither a
change without its line nor a line without its change. Secrets never get here.
"""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared.texts import clean
from web_service.actors import Actor
from web_service.db import Database
from web_service.models import AuditRow

PAGE_SIZE: Final = 50
IMAGE_DELETED: Final = "image.delete"
_LONGEST: Final = 255


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the trail; `time` is seconds since the epoch, `old` and `new` say what changed."""

    id: int
    time: int
    actor: str
    via: str
    address: str
    action: str
    subject: str
    old: Mapping[str, Any]
    new: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is to be added, and belongs to no change."""

    by: Actor
    action: str
    subject: str = ""
    new: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines to show; empty for all. An action ending in `.` stands for all that begin so."""

    actor: str = ""
    action: str = ""
    subject: str = ""
    since: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """Some lines, newest first, and whether older ones follow."""

    entries: tuple[Entry, ...]
    number: int
    has_next: bool


class Audit:
    """Finds lines, and takes those that belong to no other change."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, by: Actor, action: str, subject: str = "", **new: Any) -> None:
        """Add a line."""
        await self.record_all([Line(by, action, subject, new)])

    async def record_all(self, lines: Iterable[Line]) -> None:
        """Add lines, all of them or none."""
        await self._database.write(_record_all, lines)

    async def page(self, wanted: Wanted, number: int = 1, size: int = PAGE_SIZE) -> Page:
        """Return one page, counted from 1."""
        return await self._database.read(_page, wanted, number, size)

    async def purge(self, retention: float) -> int:
        """Forget what is older than `retention` seconds and return how many lines that were."""
        before = int(time.time() - retention)
        return await self._database.write(lambda: int(AuditRow.delete().where(AuditRow.time < before).execute()))


def record(
    by: Actor, action: str, subject: str, *, old: Mapping[str, Any] | None = None, new: Mapping[str, Any] | None = None
) -> None:
    """Add a line within the transaction that makes the change. For the modules that hold rows."""
    AuditRow.create(
        time=int(time.time()),
        actor=by.name[:_LONGEST],
        via=by.via.value,
        address=by.address[:64],
        action=action,
        subject=subject[:_LONGEST],
        old=_text(old),
        new=_text(new),
    )


def _record_all(lines: Iterable[Line]) -> None:
    for line in lines:
        record(line.by, line.action, line.subject, new=line.new)


def newest_line() -> int:
    """Return the id of the newest line, 0 for none: while it is the same, nobody's rights have changed.

    For the modules that hold rows.
    """
    # Asked with every token: written out, it costs half of what the query builder takes.
    database = AuditRow._meta.database  # noqa: SLF001 - the library's name for what is public
    return int(database.execute_sql('SELECT MAX("id") FROM "audit"').fetchone()[0] or 0)


def _text(values: Mapping[str, Any] | None) -> str:
    return json.dumps(values, ensure_ascii=False) if values else ""


def _page(wanted: Wanted, number: int, size: int) -> Page:
    query = AuditRow.select().where(AuditRow.time >= wanted.since)
    if wanted.actor:
        query = query.where(AuditRow.actor == wanted.actor)
    if wanted.action:
        is_group = wanted.action.endswith(".")
        query = query.where(AuditRow.action.startswith(wanted.action) if is_group else AuditRow.action == wanted.action)
    if wanted.subject:
        query = query.where(AuditRow.subject.contains(clean(wanted.subject)))
    rows = list(query.order_by(AuditRow.id.desc()).limit(size + 1).offset((number - 1) * size))
    return Page(tuple(_entry(row) for row in rows[:size]), number, len(rows) > size)


def _entry(row: AuditRow) -> Entry:
    old, new = (json.loads(text) if text else {} for text in (row.old, row.new))
    return Entry(row.id, row.time, row.actor, row.via, row.address, row.action, row.subject, old, new)
