import asyncio
import sqlite3
import stat
import sys
import threading

import pytest
from peewee import IntegrityError

from shared.config import ConfigError, Secret
from web_service.config import database_place
from web_service.db import Database, check_driver
from web_service.errors import Invalid, Unavailable
from web_service.migrations import SCHEMA_VERSION
from web_service.models import RoleRow, SchemaVersion


async def refusal(url):
    """Return the one line with which a database is refused."""
    with pytest.raises(ConfigError, match=r"database.url: ") as caught:
        await Database(Secret(url)).open()
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_a_new_database_gets_the_tables_and_their_version(database):
    assert (await database.read(SchemaVersion.get)).version == SCHEMA_VERSION


async def test_a_file_is_read_while_it_is_written(tmp_path):
    database = Database(Secret(f"sqlite:///{tmp_path}/a.db"))
    await database.open()
    with sqlite3.connect(database.place) as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
    connection.close()
    await database.close()


async def test_what_was_written_is_there_after_a_restart(database_url):
    for _ in range(2):
        database = Database(database_url)
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
    assert await refusal(f"sqlite:///{tmp_path}/{path}")


async def test_a_file_that_is_no_database_is_one_line(tmp_path):
    (tmp_path / "web.db").write_text("this is not a database at all, but long enough to be looked at" * 20)
    assert "not a database" in await refusal(f"sqlite:///{tmp_path}/web.db")


async def test_a_server_that_is_not_there_is_one_line_without_the_password(unused_tcp_port):
    said = await refusal(f"postgresql://me:hush@127.0.0.1:{unused_tcp_port}/web")
    assert said.startswith(f"postgresql://me@127.0.0.1:{unused_tcp_port}/web: database.url: cannot be opened")
    assert "is the server running" in said
    assert "hush" not in said


@pytest.mark.system
@pytest.mark.parametrize(
    ("name", "password", "reason"),
    [("postgres", "hush", "password authentication failed"), ("absent", None, 'database "absent" does not exist')],
)
async def test_a_server_that_turns_us_away_is_one_line_without_the_password(postgres, name, password, reason):
    said = await refusal(postgres.url(name, password) if password else postgres.url(name))
    assert reason in said
    assert "hush" not in said
    assert "p@ss" not in said


async def test_a_parameter_that_the_driver_does_not_know_is_one_line():
    with pytest.raises(ConfigError, match=r'database\.url: invalid connection option "prefer_psycopg3"'):
        check_driver(database_place(Secret("postgresql://me:hush@db/web?prefer_psycopg3=1")))


async def test_without_the_driver_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match="pip install 'psycopg") as caught:
        check_driver(database_place(Secret("postgresql://me:hush@db/web")))
    assert "hush" not in str(caught.value)
    check_driver(database_place(Secret("sqlite:///web.db")))


@pytest.mark.system
async def test_text_that_is_longer_than_its_column_is_told_to_who_entered_it(postgres):
    database = Database(Secret(postgres.new_database()))
    await database.open()
    with pytest.raises(Invalid, match="too long"):
        await database.write(RoleRow.create, name="x" * 65)
    await database.close()


async def test_it_knows_whether_it_answers(database_url):
    database = Database(database_url)
    await database.open()
    assert await database.answers()
    await database.close()
    assert not await database.answers()


async def test_who_waits_too_long_for_the_write_lock_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setattr("web_service.db._BUSY_SECONDS", 0.05)
    database = Database(Secret(f"sqlite:///{tmp_path}/web.db"))
    await database.open()
    other = sqlite3.connect(database.place, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        await database.write(RoleRow.create, name="late")
    other.execute("ROLLBACK")
    other.close()
    assert await database.write(RoleRow.create, name="in time")
    await database.close()


async def test_the_file_is_for_its_owner_only(tmp_path):
    path = tmp_path / "new" / "web.db"
    database = Database(Secret(f"sqlite:///{path}"))
    await database.open()
    assert await database.write(RoleRow.create, name="kept")
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in (path.parent, *path.parent.iterdir())}
    await database.close()
    assert modes == {"new": 0o700, "web.db": 0o600, "web.db-wal": 0o600, "web.db-shm": 0o600}


async def test_a_file_that_everybody_could_read_is_closed_to_them(tmp_path):
    path = tmp_path / "web.db"
    path.touch()
    path.chmod(0o664)
    tmp_path.chmod(0o755)
    database = Database(Secret(f"sqlite:///{path}"))
    await database.open()
    await database.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
