"""SQLite files that several processes open at the same moment."""

import sqlite3
import subprocess
import sys
import threading
import time

import peewee
import pytest

from shared.sqlite import patiently

OPEN_AS_THE_REGISTRY_DOES = """
import asyncio, pathlib, sys
from registry_service.notifications.queue import Outbox

async def main():
    outbox = Outbox(pathlib.Path(sys.argv[1]))
    await outbox.open()
    await outbox.close()

sys.stdin.readline()
asyncio.run(main())
"""
OPEN_AS_THE_CONSOLE_DOES = """
import asyncio, sys
from shared.config import Secret
from web_service.db import Database

async def main():
    database = Database(Secret("sqlite:///" + sys.argv[1]))
    await database.open()
    await database.close()

sys.stdin.readline()
asyncio.run(main())
"""


def locked() -> sqlite3.OperationalError:
    """Return the error of a file that another connection holds."""
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY_RECOVERY
    return error


def test_what_is_locked_is_tried_again():
    tries = iter((locked(), locked()))

    def opening() -> str:
        for error in tries:
            raise error
        return "open"

    assert patiently(opening, 5.0) == "open"


def test_a_lock_within_the_error_of_peewee_is_seen(tmp_path):
    path = str(tmp_path / "some.db")
    holder = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    end = threading.Timer(0.2, holder.execute, ("COMMIT",))
    end.start()
    database = peewee.SqliteDatabase(path, timeout=0, pragmas={"journal_mode": "wal"})
    try:
        assert patiently(database.connect, 20.0) is True
    finally:
        end.join()
        holder.close()
        database.close()


def test_what_stays_locked_is_told_in_the_end():
    began = time.monotonic()

    def opening() -> None:
        raise locked()

    with pytest.raises(sqlite3.OperationalError, match="locked"):
        patiently(opening, 0.1)
    assert time.monotonic() - began >= 0.1


@pytest.mark.parametrize("error", [sqlite3.OperationalError("no such table: a"), OSError("no space"), ValueError()])
def test_other_errors_are_told_at_once(error):
    if isinstance(error, sqlite3.OperationalError):
        error.sqlite_errorcode = sqlite3.SQLITE_ERROR
    calls = []

    def opening() -> None:
        calls.append(1)
        raise error

    with pytest.raises(type(error)):
        patiently(opening, 5.0)
    assert len(calls) == 1


@pytest.mark.parametrize("program", [OPEN_AS_THE_REGISTRY_DOES, OPEN_AS_THE_CONSOLE_DOES])
def test_a_new_file_is_opened_by_several_processes_at_the_same_moment(program, tmp_path):
    for number in range(3):
        path = str(tmp_path / f"{number}.db")
        command = [sys.executable, "-c", program, path]
        started = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)
        ]
        time.sleep(0.5)  # until they have imported what they need and wait for their line
        for one in started:
            one.stdin.write("go\n")
            one.stdin.flush()
        told = [one.communicate(timeout=60)[1] for one in started]
        assert [one.returncode for one in started] == [0] * 4, told
