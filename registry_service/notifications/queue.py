"""The outbox: events that still have to be delivered, in an SQLite file beside the images.

An event is in the file before the answer to its request leaves, and stays until its endpoint has taken it. Adding is
grouped: requests that come at the same time share one commit. Several processes may add to one file, and one of them at
a time delivers to an endpoint.
"""

import asyncio
import fcntl
import hashlib
import os
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from shared.sqlite import patiently

T = TypeVar("T")

_TURN_SECONDS: Final = 0.1
_LOCKED_SECONDS: Final = 30.0
"""How long another process may hold the file."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint TEXT NOT NULL,
    event_id TEXT NOT NULL,
    body BLOB NOT NULL,
    parked_because TEXT
);
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (endpoint, number) WHERE parked_because IS NULL;
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way to one endpoint; `number` orders it, `body` is the envelope."""

    number: int
    endpoint: str
    event_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """An event that is to go to one endpoint."""

    endpoint: str
    event_id: str
    body: bytes


class Outbox:
    """A durable first-in, first-out queue per endpoint. `path` None keeps it in memory."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "outbox")
        self._waiting: list[tuple[Sequence[NewDelivery], asyncio.Future[None]]] = []
        self._committing: asyncio.Task[None] | None = None
        self._database: sqlite3.Connection

    async def open(self) -> None:
        """Open or create the file; raises OSError or sqlite3.Error."""
        self._database = await self._run(self._connect)

    async def close(self) -> None:
        """Wait for commits under way, and close the file."""
        if self._committing is not None:
            await self._committing
        await self._run(self._database.close)
        self._thread.shutdown(wait=False)  # it is idle

    async def add(self, deliveries: Sequence[NewDelivery]) -> None:
        """Add deliveries; they are durable on return."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((deliveries, done))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_waiting())
        await done

    @asynccontextmanager
    async def turn(self, endpoint: str) -> AsyncGenerator[None, None]:
        """Wait until no other process delivers to an endpoint, and hold its place while inside."""
        if self._path is None:
            yield
            return
        name = hashlib.sha256(endpoint.encode()).hexdigest()[:16]
        place = await self._run(partial(_open_place, self._path.with_name(f"{self._path.name}.{name}.lock")))
        try:
            while not _taken(place):  # noqa: ASYNC110 - no event tells of another process's end
                await asyncio.sleep(_TURN_SECONDS)
            yield
        finally:
            os.close(place)

    async def first(self, endpoint: str) -> Delivery | None:
        """Return the oldest delivery of an endpoint, or None."""
        sql = """SELECT number, endpoint, event_id, body FROM outbox
                 WHERE endpoint = ? AND parked_because IS NULL ORDER BY number LIMIT 1"""
        row = await self._run(lambda: self._database.execute(sql, (endpoint,)).fetchone())
        return Delivery(*row) if row else None

    async def done(self, delivery: Delivery) -> None:
        """Forget a delivery that its endpoint has taken."""
        await self._run(lambda: self._write("DELETE FROM outbox WHERE number = ?", (delivery.number,)))

    async def park(self, delivery: Delivery, reason: str) -> None:
        """Set a delivery aside that its endpoint will never take, so that those behind it go on."""
        sql = "UPDATE outbox SET parked_because = ? WHERE number = ?"
        await self._run(lambda: self._write(sql, (reason, delivery.number)))

    async def counts(self) -> dict[str, tuple[int, int]]:
        """Return for each endpoint with entries how many wait and how many are parked."""
        sql = "SELECT endpoint, SUM(parked_because IS NULL), SUM(parked_because IS NOT NULL) FROM outbox GROUP BY 1"
        rows = await self._run(lambda: self._database.execute(sql).fetchall())
        return {endpoint: (waiting, parked) for endpoint, waiting, parked in rows}

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def _commit_waiting(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                await self._commit([one for deliveries, _ in group for one in deliveries], [done for _, done in group])
        finally:
            self._committing = None

    async def _commit(self, deliveries: list[NewDelivery], waiters: list[asyncio.Future[None]]) -> None:
        try:
            await self._run(lambda: self._insert(deliveries))
        except Exception as error:  # noqa: BLE001 - it belongs to those who wait for the commit
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_exception(error)
            return
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _connect(self) -> sqlite3.Connection:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        return patiently(self._open_file, _LOCKED_SECONDS)

    def _open_file(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path or ":memory:", check_same_thread=False, timeout=_LOCKED_SECONDS)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.executescript(_SCHEMA)
        except BaseException:
            database.close()
            raise
        return database

    def _insert(self, deliveries: list[NewDelivery]) -> None:
        rows = [(one.endpoint, one.event_id, one.body) for one in deliveries]
        with self._database:
            self._database.executemany("INSERT INTO outbox (endpoint, event_id, body) VALUES (?, ?, ?)", rows)

    def _write(self, sql: str, parameters: tuple[object, ...]) -> None:
        with self._database:
            self._database.execute(sql, parameters)


def _open_place(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


def _taken(place: int) -> bool:
    """Take a place, which is free again when its process has ended, however it ended; return whether it was free."""
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
