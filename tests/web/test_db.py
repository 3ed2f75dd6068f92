import asyncio
import sqlite3
import threading

import pytest
from peewee import IntegrityError

from shared.config import ConfigError
from web_service.db import Database
from web_service.models import SCHEMA_VERSION, RoleRow, SchemaVersion


async def test_a_new_file_gets_the_tables_and_their_version(database):
    assert (await database.read(SchemaVersion.get)).version == SCHEMA_VERSION
    with sqlite3.connect(database.path) as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
    connection.close()


async def test_what_was_written_is_there_after_a_restart(tmp_path):
    for _ in range(2):
        database = Database(f"sqlite:///{tmp_path}/a.db")
        await database.open()
        await database.write(RoleRow.insert(name="kept").on_conflict_ignore().execute)
        assert await database.read(RoleRow.select().count) == 1
        await database.close()


async def test_an_error_undoes_all_that_was_written(database):
    def half():
        RoleRow.create(name="first")
        RoleRow.create(name="first")

    with pytest.raises(IntegrityError):
        await database.write(half)
    assert await database.read(RoleRow.select().count) == 0


async def test_nothing_runs_on_the_event_loop(database):
    assert await database.read(threading.get_ident) != threading.get_ident()


async def test_writers_wait_for_one_another(database):
    def add():
        count = RoleRow.select().count()
        RoleRow.create(name=f"role {count}")

    await asyncio.gather(*(database.write(add) for _ in range(40)))
    assert await database.read(RoleRow.select().count) == 40


@pytest.mark.parametrize("path", ["file/web.db", "file/deep/web.db", "folder"])
async def test_a_path_that_cannot_be_used_is_one_line(tmp_path, path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match=r"database.url: ") as caught:
        await Database(f"sqlite:///{tmp_path}/{path}").open()
    assert "\n" not in str(caught.value)


async def test_a_file_that_is_no_database_is_one_line(tmp_path):
    (tmp_path / "web.db").write_text("this is not a database at all, but long enough to be looked at" * 20)
    with pytest.raises(ConfigError, match="not a database"):
        await Database(f"sqlite:///{tmp_path}/web.db").open()


async def test_a_newer_schema_is_left_alone(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/web.db")
    await database.open()
    await database.write(SchemaVersion.update(version=99).execute)
    await database.close()
    with pytest.raises(ConfigError, match="schema 99"):
        await Database(f"sqlite:///{tmp_path}/web.db").open()


async def test_it_knows_whether_it_answers(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/web.db")
    await database.open()
    assert await database.answers()
    await database.close()
    assert not await database.answers()
