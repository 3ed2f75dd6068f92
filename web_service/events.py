"""Events: what happened in the registry, recorded once by the registry's own event id."""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from shared.texts import clean
from web_service.actors import Actor, Via
from web_service.audit import IMAGE_DELETED, record
from web_service.db import Database
from web_service.models import AuditRow, EventRow

PAGE_SIZE: Final = 50
_JUST_NOW_SECONDS: Final = 300
"""So long after a deletion in the console its events may take to arrive."""
_MOST_VARIABLES: Final = 500
"""Rows per statement: far below what SQLite binds at once."""


@dataclass(frozen=True, slots=True)
class Event:
    """One push, pull, mount or deletion; `time` is seconds since the epoch."""

    event_id: str
    time: int
    user: str
    action: str
    repository: str
    tag: str = ""
    digest: str = ""
    media_type: str = ""
    address: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events to show. `visible` None means every repository; else those, and the viewer's own events."""

    user: str = ""
    repository: str = ""
    action: str = ""
    visible: frozenset[str] | None = None
    viewer: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Some events, newest first, and whether older ones follow."""

    events: tuple[Event, ...]
    number: int
    has_next: bool


class Events:
    """Records and finds events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, events: Collection[Event]) -> int:
        """Keep the events that are not known yet and return how many those were."""
        return await self._database.write(_record, tuple(events))

    async def page(self, wanted: Wanted, number: int = 1, size: int = PAGE_SIZE) -> Page:
        """Return one page, counted from 1."""
        return await self._database.read(_page, wanted, number, size)

    async def repositories(self) -> frozenset[str]:
        """Return the names of all repositories that events speak of."""
        return await self._database.read(_repositories)

    async def purge(self, retention: float) -> int:
        """Forget what is older than `retention` seconds and return how many events that were."""
        return await self._database.write(_purge, int(time.time() - retention))


def _record(events: Iterable[Event]) -> int:
    recorded = 0
    for event in events:
        insertion = EventRow.insert(**{name: getattr(event, name) for name in _COLUMNS}).on_conflict_ignore()
        is_new = insertion.as_rowcount().execute()
        recorded += is_new
        if is_new and event.action == "delete":
            _put_on_record(event)
    return recorded


def _put_on_record(event: Event) -> None:
    """Take a deletion into the audit trail, unless the console, which knows more of it, has just done so."""
    place = AuditRow.subject.startswith(clean(f"{event.repository}@"))
    told = (AuditRow.action == IMAGE_DELETED) & (AuditRow.actor == event.user) & place
    if AuditRow.select().where(told & (AuditRow.time >= int(time.time()) - _JUST_NOW_SECONDS)).exists():
        return
    subject = f"{event.repository}@{event.digest}" if event.digest else f"{event.repository}:{event.tag}"
    new = {"repository": event.repository, "tags": [event.tag] if event.tag else []}
    record(Actor(event.user, Via.DOCKER, event.address), IMAGE_DELETED, subject, new=new)


_COLUMNS: Final = tuple(Event.__dataclass_fields__)


def _page(wanted: Wanted, number: int, size: int) -> Page:
    query = _matching(wanted).order_by(EventRow.time.desc(), EventRow.id.desc())
    rows = list(query.limit(size + 1).offset((number - 1) * size))
    return Page(tuple(_event(row) for row in rows[:size]), number, len(rows) > size)


def _matching(wanted: Wanted) -> Any:
    query = EventRow.select()
    if wanted.user:
        query = query.where(EventRow.user == wanted.user)
    if wanted.action:
        query = query.where(EventRow.action == wanted.action)
    if wanted.repository:
        query = query.where(EventRow.repository.contains(clean(wanted.repository)))
    if wanted.visible is not None:
        visible = _visible(wanted.visible)
        query = query.where(visible | (EventRow.user == wanted.viewer) if wanted.viewer else visible)
    return query


def _visible(names: frozenset[str]) -> Any:
    ordered = sorted(names)
    condition = EventRow.repository.in_(ordered[:_MOST_VARIABLES])
    for start in range(_MOST_VARIABLES, len(ordered), _MOST_VARIABLES):
        condition |= EventRow.repository.in_(ordered[start : start + _MOST_VARIABLES])
    return condition


def _event(row: EventRow) -> Event:
    return Event(**{name: getattr(row, name) for name in _COLUMNS})


def _repositories() -> frozenset[str]:
    return frozenset(row.repository for row in EventRow.select(EventRow.repository).distinct())


def _purge(before: int) -> int:
    return int(EventRow.delete().where(EventRow.time < before).execute())
