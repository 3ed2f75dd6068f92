"""The one door from asynchronous code to the synchronous database.

A few threads, each with its own connection, run the functions of the domain modules: `read` as it comes, `write` in
a transaction that takes the write lock at its start, so that what it checks still holds when it writes.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from peewee import PeeweeException, SqliteDatabase

from shared.config import ConfigError
from web_service.models import SCHEMA_VERSION, TABLES, SchemaVersion

P = ParamSpec("P")
R = TypeVar("R")

_THREADS: Final = 4
_BUSY_SECONDS: Final = 10
_SQLITE: Final = "sqlite:///"


class Database:
    """An open database. The tables of `models` belong to the one that was opened last in this process."""

    def __init__(self, url: str) -> None:
        self.path = Path(url.removeprefix(_SQLITE))
        self._connections: list[sqlite3.Connection] = []
        self._opening = threading.Lock()
        self._database = SqliteDatabase(
            str(self.path),
            timeout=_BUSY_SECONDS,
            check_same_thread=False,  # so that close() can close what the threads have opened
            pragmas={"journal_mode": "wal", "foreign_keys": 1, "synchronous": "normal"},
        )
        self._threads = ThreadPoolExecutor(_THREADS, "database")

    async def open(self) -> None:
        """Make or check the tables; raises ConfigError when the file cannot be used."""
        where = f"{self.path}: database.url"
        try:
            await asyncio.to_thread(self.path.parent.mkdir, parents=True, exist_ok=True)
            self._database.bind(TABLES)
            await self.write(_create_tables, self._database)
        except OSError as error:
            await self.close()
            raise ConfigError(f"{where}: the folder cannot be made: {error.strerror}") from None
        except ConfigError as error:
            await self.close()
            raise ConfigError(f"{where}: {error}") from None
        except (PeeweeException, sqlite3.Error, RuntimeError) as error:
            await self.close()
            raise ConfigError(f"{where}: cannot be opened ({error}); is its folder writable for this user?") from None

    async def close(self) -> None:
        """Wait for what is running and close every connection."""
        await asyncio.to_thread(self._threads.shutdown)
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    async def read(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function that only reads."""
        return await self._run(lambda: function(*args, **kwargs))

    async def write(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function within a transaction; whatever it raises undoes all it wrote."""

        def in_transaction() -> R:
            with self._database.atomic("IMMEDIATE"):
                return function(*args, **kwargs)

        return await self._run(in_transaction)

    async def answers(self) -> bool:
        """Return whether the database can be asked."""
        try:
            await self.read(SchemaVersion.get_or_none)
        except (PeeweeException, RuntimeError):
            return False
        return True

    async def _run(self, work: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._connected, work)

    def _connected(self, work: Callable[[], R]) -> R:
        if self._database.is_closed():
            self._database.connect()
            connection: sqlite3.Connection = self._database.connection()  # type: ignore[no-untyped-call]
            with self._opening:
                self._connections.append(connection)
        return work()


def _create_tables(database: Any) -> None:
    database.create_tables(TABLES, safe=True)
    row = SchemaVersion.get_or_none()
    if row is None:
        SchemaVersion.create(version=SCHEMA_VERSION)
    elif row.version > SCHEMA_VERSION:
        raise ConfigError(f"was written by a newer version of this program (schema {row.version})")
