"""The one door from asynchronous code to the synchronous database: SQLite, or PostgreSQL by URL.

A few threads, each with its own connection, run the functions of the domain modules: `read` as it comes, `write` in
a transaction that takes the one write lock of the database at its start, so that what it checks still holds when it
writes, whichever process it is in. A connection that was lost is made anew; until that succeeds, Unavailable is raised.
"""

import asyncio
import contextlib
import logging
import os
import select
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from peewee import DataError, InterfaceError, OperationalError, PeeweeException, PostgresqlDatabase, SqliteDatabase

from shared import logs
from shared.config import ConfigError, Secret
from shared.sqlite import patiently
from web_service.config import PostgreSQL, database_place
from web_service.errors import N_, Invalid, Unavailable
from web_service.migrations import bring_up_to_date
from web_service.models import TABLES, SchemaVersion

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger("web.database")

_THREADS: Final = 4
_PRIVATE: Final = 0o600
_BUSY_SECONDS: Final = 10
_CONNECT_SECONDS: Final = 5
_PAUSE_SECONDS: Final = 1.0
"""How long nobody else tries after a connection could not be made, so that those who wait are told at once."""
_WRITE_LOCK: Final = 0x43616E676B75
"""The number of our advisory lock; PostgreSQL counts these locks within one database."""


class _Engine(Protocol):
    """What differs from one kind of database to the other."""

    place: str
    advice: str
    database: Any

    def prepare(self) -> None:
        """Do what must be done before the first connection; raises OSError."""

    def connect(self) -> None:
        """Connect the thread that calls."""

    def transaction(self) -> AbstractContextManager[None]:
        """Return a transaction that holds the write lock."""

    def is_lost(self, connection: Any) -> bool:
        """Return whether an idle connection can no longer be used."""

    def is_our_mistake(self, error: Exception) -> bool:
        """Return whether an error that looks like a lost database is one of the program."""

    def reason(self, error: Exception) -> str:
        """Return what went wrong, in one line without secrets."""


class _SQLite:
    advice: str = "is its folder writable for this user?"

    def __init__(self, path: Path) -> None:
        self.place = str(path)
        self.database: Any = SqliteDatabase(
            self.place,
            timeout=_BUSY_SECONDS,
            check_same_thread=False,  # so that close() can close what the threads have opened
            pragmas={"journal_mode": "wal", "foreign_keys": 1, "synchronous": "normal"},
        )

    def prepare(self) -> None:
        """Make the file for our eyes only: it holds password hashes. SQLite's own files beside it get its mode."""
        path = Path(self.place)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # SQLite tells better what is wrong with the file
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, _PRIVATE))
            for one in (path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))):
                held = one.stat()
                if held.st_uid == os.geteuid() and stat.S_ISREG(held.st_mode):
                    one.chmod(stat.S_IMODE(held.st_mode) & _PRIVATE)

    def connect(self) -> None:
        patiently(self.database.connect, _BUSY_SECONDS)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self.database.atomic("IMMEDIATE"):
            yield

    def is_lost(self, connection: Any) -> bool:
        del connection
        return False

    def is_our_mistake(self, error: Exception) -> bool:
        """Look for wrong SQL, which SQLite tells by the same class of error as a file out of reach."""
        return getattr(error.__context__, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR

    def reason(self, error: Exception) -> str:
        return " ".join(str(error).split())


class _WideNumbers(PostgresqlDatabase):
    """PostgreSQL with numbers as wide as those of SQLite: a time after 2038 is a number like any other."""

    field_types = PostgresqlDatabase.field_types | {"INT": "BIGINT", "AUTO": "BIGSERIAL"}


class _PostgreSQL:
    advice: str = "is the server running, and may this user sign in there?"

    def __init__(self, server: PostgreSQL) -> None:
        check_driver(server)
        self.place = server.place
        self._password = server.options.get("password", "")
        options: dict[str, Any] = {
            "connect_timeout": str(_CONNECT_SECONDS),
            "tcp_user_timeout": str(_BUSY_SECONDS * 1000),
            "application_name": "registry-web",
            **server.options,
        }
        self.database: Any = _WideNumbers(server.name, prefer_psycopg3=True, **options)

    def prepare(self) -> None:
        pass

    def connect(self) -> None:
        self.database.connect()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self.database.atomic():
            self.database.execute_sql(f"SET LOCAL lock_timeout = '{_BUSY_SECONDS}s'")
            self.database.execute_sql("SELECT pg_advisory_xact_lock(%s)", (_WRITE_LOCK,))
            yield

    def is_lost(self, connection: Any) -> bool:
        """Look whether the server has said anything to an idle connection: as a rule, goodbye."""
        if connection.closed:
            return True
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        if not poll.poll(0):
            return False
        try:
            connection.execute("SELECT 1")
        except Exception:  # noqa: BLE001 - whatever it is, a new connection is better
            return True
        return False

    def is_our_mistake(self, error: Exception) -> bool:
        del error
        return False

    def reason(self, error: Exception) -> str:
        text = " ".join(str(error).split())
        return text.replace(self._password, "***") if self._password else text


def check_driver(place: Path | PostgreSQL) -> None:
    """Raise ConfigError when the driver for this database is not installed, or does not know what the URL asks for."""
    if not isinstance(place, PostgreSQL):
        return
    where = f"{place.place}: database.url"
    try:
        import psycopg  # noqa: PLC0415 - only who uses PostgreSQL has it
        from psycopg.conninfo import make_conninfo  # noqa: PLC0415
    except ImportError:
        raise ConfigError(
            f"{where}: PostgreSQL needs a driver that is not installed: pip install 'psycopg[binary]', which is what "
            "the extra `postgres` of cangku brings"
        ) from None
    try:
        make_conninfo(**place.options)
    except psycopg.ProgrammingError as error:
        raise ConfigError(f"{where}: {' '.join(str(error).split())}") from None


class Database:
    """An open database. The tables of `models` belong to the one that was opened last in this process.

    `place` is where it is, without the password.
    """

    def __init__(self, url: Secret) -> None:
        place = database_place(url)
        self._engine: _Engine = _PostgreSQL(place) if isinstance(place, PostgreSQL) else _SQLite(place)
        self.place = self._engine.place
        self._connections: list[Any] = []
        self._opening = threading.Lock()
        self._not_before = 0.0
        self._threads = ThreadPoolExecutor(_THREADS, "database")

    async def open(self) -> None:
        """Make the tables or bring them up to date; raises ConfigError when the database cannot be used."""
        where = f"{self.place}: database.url"
        try:
            await asyncio.to_thread(self._engine.prepare)
            self._engine.database.bind(TABLES)
            await self._in_thread(lambda: self._in_transaction(lambda: bring_up_to_date(self._engine.database)))
        except OSError as error:
            await self.close()
            raise ConfigError(f"{where}: the folder cannot be made: {error.strerror}") from None
        except ConfigError as error:
            await self.close()
            raise ConfigError(f"{where}: {error}") from None
        except (PeeweeException, sqlite3.Error, RuntimeError) as error:
            await self.close()
            reason = self._engine.reason(error)
            raise ConfigError(f"{where}: cannot be opened ({reason}); {self._engine.advice}") from None

    async def close(self) -> None:
        """Wait for what is running and close every connection."""
        await asyncio.to_thread(self._threads.shutdown)
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    async def read(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function that only reads; raises Unavailable when the database does not answer.

        Raises Invalid for a text or number that is longer than its column.
        """
        return await self._run(lambda: function(*args, **kwargs))

    async def write(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function within a transaction; whatever it raises undoes all it wrote. Raises as `read` does."""
        return await self._run(lambda: self._in_transaction(lambda: function(*args, **kwargs)))

    async def answers(self) -> bool:
        """Return whether the database can be asked."""
        try:
            await self._in_thread(SchemaVersion.get_or_none)
        except (PeeweeException, RuntimeError):
            return False
        return True

    async def _run(self, work: Callable[[], R]) -> R:
        try:
            return await self._in_thread(work)
        except (OperationalError, InterfaceError) as error:
            if self._engine.is_our_mistake(error):
                raise
            _log.error("the database does not answer", extra=logs.fields(reason=self._engine.reason(error)))
            raise Unavailable from error
        except (DataError, OverflowError) as error:
            raise Invalid(N_("What was entered is too long to be kept.")) from error

    async def _in_thread(self, work: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._connected, work)

    def _in_transaction(self, work: Callable[[], R]) -> R:
        with self._engine.transaction():
            return work()

    def _connected(self, work: Callable[[], R]) -> R:
        database = self._engine.database
        if not database.is_closed() and self._engine.is_lost(database.connection()):
            with self._opening:
                self._connections.remove(database.connection())
            database.close()
        if database.is_closed():
            self._connect()
        return work()

    def _connect(self) -> None:
        if time.monotonic() < self._not_before:
            raise OperationalError("it could not be reached a moment ago")
        try:
            self._engine.connect()
        except OperationalError:
            self._not_before = time.monotonic() + _PAUSE_SECONDS
            raise
        with self._opening:
            self._connections.append(self._engine.database.connection())
