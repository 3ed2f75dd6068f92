"""From version 1 as it was released, with data in it, to the tables of today; and not back."""

import asyncio
import hashlib
import sqlite3
import sys

import pytest

from shared.config import ConfigError, Secret
from tests.kit.actors import ADMIN
from tests.kit.services import ROOT
from web_service import db, migrations
from web_service.access import Level
from web_service.access_tokens import AccessTokens, Draft
from web_service.cli import run
from web_service.db import Database
from web_service.events import Event, Events, Wanted
from web_service.groups import Groups
from web_service.migrations import _WITH_LASTING_IDS, SCHEMA_VERSION, STEPS, bring_up_to_date
from web_service.models import TABLES, SchemaVersion
from web_service.refresh_tokens import RefreshTokens
from web_service.roles import Roles, RuleDraft
from web_service.sessions import Sessions
from web_service.users import Users

NOW = 1_700_000_000
# {id} is a number that counts by itself, {int} any number: the words that differ.
VERSION_1 = """
CREATE TABLE "schema_version" ("id" {id} NOT NULL PRIMARY KEY, "version" {int} NOT NULL);
CREATE TABLE "users" ("id" {id} NOT NULL PRIMARY KEY, "name" VARCHAR(64) NOT NULL,
    "password_hash" VARCHAR(255) NOT NULL, "enabled" {bool} NOT NULL, "default_password" {bool} NOT NULL,
    "language" VARCHAR(16) NOT NULL, "created" {int} NOT NULL);
CREATE UNIQUE INDEX "userrow_name" ON "users" ("name");
CREATE TABLE "roles" ("id" {id} NOT NULL PRIMARY KEY, "name" VARCHAR(64) NOT NULL, "special" {bool} NOT NULL,
    "enabled" {bool} NOT NULL);
CREATE UNIQUE INDEX "rolerow_name" ON "roles" ("name");
CREATE TABLE "rules" ("id" {id} NOT NULL PRIMARY KEY, "role_id" {int} NOT NULL, "address" VARCHAR(255) NOT NULL,
    "repository" VARCHAR(255) NOT NULL, "level" VARCHAR(16) NOT NULL, "comment" VARCHAR(255) NOT NULL,
    FOREIGN KEY ("role_id") REFERENCES "roles" ("id") ON DELETE CASCADE);
CREATE INDEX "rulerow_role_id" ON "rules" ("role_id");
CREATE TABLE "grants" ("user_id" {int} NOT NULL, "role_id" {int} NOT NULL, PRIMARY KEY ("user_id", "role_id"),
    FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE,
    FOREIGN KEY ("role_id") REFERENCES "roles" ("id") ON DELETE CASCADE);
CREATE INDEX "grantrow_user_id" ON "grants" ("user_id");
CREATE INDEX "grantrow_role_id" ON "grants" ("role_id");
CREATE TABLE "sessions" ("token_hash" VARCHAR(64) NOT NULL PRIMARY KEY, "user_id" {int} NOT NULL,
    "created" {int} NOT NULL, "expires" {int} NOT NULL,
    FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE);
CREATE INDEX "sessionrow_user_id" ON "sessions" ("user_id");
CREATE INDEX "sessionrow_expires" ON "sessions" ("expires");
CREATE TABLE "events" ("id" {id} NOT NULL PRIMARY KEY, "event_id" VARCHAR(128) NOT NULL, "time" {int} NOT NULL,
    "user" VARCHAR(255) NOT NULL, "action" VARCHAR(32) NOT NULL, "repository" VARCHAR(255) NOT NULL,
    "tag" VARCHAR(128) NOT NULL, "digest" VARCHAR(160) NOT NULL, "media_type" VARCHAR(255) NOT NULL,
    "address" VARCHAR(64) NOT NULL, "user_agent" TEXT NOT NULL);
CREATE UNIQUE INDEX "eventrow_event_id" ON "events" ("event_id");
CREATE INDEX "eventrow_time" ON "events" ("time");
CREATE INDEX "eventrow_user" ON "events" ("user");
CREATE INDEX "eventrow_repository" ON "events" ("repository");

INSERT INTO "schema_version" ("version") VALUES (1);
INSERT INTO "users" ("name", "password_hash", "enabled", "default_password", "language", "created")
    VALUES ('boss', 'hash', '1', '0', 'zh-CN', 5);
INSERT INTO "roles" ("name", "special", "enabled") VALUES ('UI_ADMIN', '1', '1'), ('team', '0', '1');
INSERT INTO "rules" ("role_id", "address", "repository", "level", "comment")
    VALUES (2, '10.*', 'team/**', 'push', 'ours');
INSERT INTO "grants" ("user_id", "role_id") VALUES (1, 1), (1, 2);
INSERT INTO "sessions" VALUES ('{token}', 1, 5, 1700000100);
INSERT INTO "events" ("event_id", "time", "user", "action", "repository", "tag", "digest", "media_type", "address",
    "user_agent") VALUES ('e1', 7, 'boss', 'push', 'team/app', '1.0', 'sha256:1', 'm', '10.0.0.1', 'docker');
"""
TOKEN = hashlib.sha256(b"token").hexdigest()
KINDS = {
    "sqlite": {"id": "INTEGER", "int": "INTEGER", "bool": "INTEGER", "token": TOKEN},
    "postgresql": {"id": "BIGSERIAL", "int": "BIGINT", "bool": "BOOLEAN", "token": TOKEN},
}


@pytest.fixture
def version_1(database_url, request):
    """A database as version 1 made it, with a bit of everything in it."""
    kind, _, rest = database_url.value.partition("://")
    script = VERSION_1.format(**KINDS[kind])
    if kind == "sqlite":
        with sqlite3.connect(rest[1:]) as connection:
            connection.executescript(script)
        connection.close()
    else:
        request.getfixturevalue("postgres").query(script, database=rest.rpartition("/")[2])
    return database_url


@pytest.fixture
async def opened():
    """Return a function that opens databases, which are closed at the end."""
    databases = []

    async def opened(url):
        databases.append(Database(url))
        await databases[-1].open()
        return databases[-1]

    yield opened
    for database in databases:
        await database.close()


def shape(database):
    """Return the columns and indexes of every table."""
    tables = [model._meta.table_name for model in TABLES]
    columns = {
        (table, one.name, one.data_type, one.null, one.primary_key)
        for table in tables
        for one in database.get_columns(table)
    }
    indexes = {
        (table, one.name, tuple(one.columns), one.unique) for table in tables for one in database.get_indexes(table)
    }
    return columns, indexes


async def test_version_1_becomes_the_present_version_with_all_its_data(version_1, opened):
    database = await opened(version_1)
    assert (await database.read(SchemaVersion.get)).version == SCHEMA_VERSION
    users = Users(database)
    (boss,) = await users.all()
    assert (boss.name, boss.language, boss.created, boss.is_admin, boss.enabled) == ("boss", "zh-CN", 5, True, True)
    assert (await users.look_up("boss"))[0].password_hash == "hash"
    team = next(role for role in await Roles(database).all() if role.name == "team")
    assert [(rule.address, rule.repository, rule.level, rule.comment) for rule in team.rules] == [
        ("10.*", "team/**", Level.PUSH, "ours")
    ]
    assert [holder.name for holder in team.holders] == ["boss"]
    assert await Sessions(database, 60, lambda: NOW).user("token") == boss
    kept = Event("e1", 7, "boss", "push", "team/app", "1.0", "sha256:1", "m", "10.0.0.1", "docker")
    assert (await Events(database).page(Wanted())).events == (kept,)
    assert (await users.create("new", "hash", by=ADMIN)).id == 2


OPEN = """
import asyncio, sys
from shared.config import Secret
from web_service.db import Database

async def opened():
    database = Database(Secret(sys.argv[1]))
    sys.stdin.read(1)  # all start when the test says so
    await database.open()
    await database.close()

asyncio.run(opened())
"""


async def test_of_several_processes_that_start_at_once_one_takes_the_steps(version_1, opened):
    command = [sys.executable, "-W", "error", "-c", OPEN, version_1.value]
    pipes = {"stdin": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
    processes = [await asyncio.create_subprocess_exec(*command, cwd=ROOT, **pipes) for _ in range(4)]
    ends = await asyncio.gather(*(process.communicate(b"!") for process in processes))
    assert [error for _, error in ends] == [b""] * 4
    assert [process.returncode for process in processes] == [0] * 4
    assert (await (await opened(version_1)).read(SchemaVersion.get)).version == SCHEMA_VERSION


async def test_an_old_database_gets_the_shape_of_a_new_one(version_1, opened):
    database = await opened(version_1)
    migrated = await database.read(shape, database._engine.database)
    await database.write(database._engine.database.drop_tables, TABLES)
    await database.write(bring_up_to_date, database._engine.database)
    assert await database.read(shape, database._engine.database) == migrated


async def made_and_deleted(database):
    """Return the numbers of two of everything, of which the first is deleted before the second is made."""
    users, roles, groups = Users(database), Roles(database), Groups(database)
    tokens, refresh = AccessTokens(database), RefreshTokens(database, 1000)
    keeper, kept = await users.create("keeper", "hash", by=ADMIN), await roles.create("kept", by=ADMIN)
    found = []
    for round_ in ("first", "second"):
        user, role = await users.create(round_, "hash", by=ADMIN), await roles.create(round_, by=ADMIN)
        group = await groups.create(round_, by=ADMIN)
        rule = await roles.add_rule(kept.id, RuleDraft("*", "x", "pull"), by=ADMIN)
        token, _ = await tokens.create(keeper.id, Draft(round_, 1), by=ADMIN)
        await refresh.create(keeper.id, "docker", by=ADMIN)
        (client,) = await refresh.of_user(keeper.id)
        found.append([one.id for one in (user, role, group, rule, token, client)])
        await users.delete(user.id, by=ADMIN)
        await roles.delete_rule(kept.id, rule.id, by=ADMIN)
        await roles.delete(role.id, by=ADMIN)
        await groups.delete(group.id, by=ADMIN)
        await tokens.revoke(keeper.id, token.id, by=ADMIN)
        await refresh.revoke(keeper.id, client.id, by=ADMIN)
    return found


async def test_the_number_of_something_deleted_is_never_given_again(database, users):
    first, second = await made_and_deleted(database)
    assert all(one < other for one, other in zip(first, second, strict=True))


async def test_nor_is_it_in_a_database_that_was_old(version_1, opened):
    first, second = await made_and_deleted(await opened(version_1))
    assert all(one < other for one, other in zip(first, second, strict=True))


async def test_tables_of_sqlite_that_were_made_anew_refer_to_each_other_as_before(tmp_path, opened):
    path = tmp_path / "test.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(VERSION_1.format(**KINDS["sqlite"]))
    connection.close()
    database = await opened(Secret(f"sqlite:///{path}"))
    boss = await Users(database).named("boss")
    await Users(database).create("other", "hash", by=ADMIN)
    with sqlite3.connect(path) as connection:
        made = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        referred = {row[2] for table in made for row in connection.execute(f'PRAGMA foreign_key_list("{table}")')}
        connection.execute("PRAGMA foreign_keys = 1")
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.execute("DELETE FROM users WHERE id = ?", (boss.id,))
        left = [connection.execute(f'SELECT COUNT(*) FROM "{one}"').fetchone()[0] for one in ("grants", "sessions")]
    connection.close()
    assert referred == {"users", "roles", "groups"}
    assert left == [0, 0]
    assert not [name for name in made if name.startswith("old_")]
    assert {name for name, sql in made.items() if sql and "AUTOINCREMENT" in sql} == set(_WITH_LASTING_IDS)


async def test_steps_are_taken_once_and_in_order(database):
    taken = []
    steps = (*STEPS, lambda _: taken.append("next"), lambda _: taken.append("last"))
    for _ in range(2):
        await database.write(bring_up_to_date, database._engine.database, steps)
    assert taken == ["next", "last"]
    assert (await database.read(SchemaVersion.get)).version == SCHEMA_VERSION + 2


async def test_a_step_that_fails_leaves_the_database_as_it_was(version_1, opened, monkeypatch):
    def half(database):
        database.execute_sql('ALTER TABLE "users" ADD COLUMN "half" INTEGER')
        database.execute_sql('DROP TABLE "nothing"')

    with monkeypatch.context() as change:
        change.setattr(db, "bring_up_to_date", lambda database: bring_up_to_date(database, (*STEPS, half)))
        with pytest.raises(ConfigError, match=r"cannot be opened \(.*nothing"):
            await opened(version_1)
    database = await opened(version_1)
    columns, _ = await database.read(shape, database._engine.database)
    assert "half" not in {name for _, name, *_ in columns}


async def test_a_newer_database_is_left_alone(database_url, opened):
    database = await opened(database_url)
    await database.write(SchemaVersion.update(version=99).execute)
    with pytest.raises(ConfigError, match=f"its schema is 99, and this program knows none after {SCHEMA_VERSION};"):
        await opened(database_url)


def test_a_newer_database_stops_the_start_with_one_line_and_exit_code_2(tmp_path, capsys, unused_tcp_port):
    with sqlite3.connect(tmp_path / "web.db") as connection:
        connection.executescript(VERSION_1.format(**KINDS["sqlite"]))
        connection.execute("UPDATE schema_version SET version = 99")
    connection.close()
    config = tmp_path / "config.yml"
    config.write_text(f"database: {{url: 'sqlite:///{tmp_path}/web.db'}}")
    assert run(["serve", str(config)], {"WEB_HTTP_ADDR": f"127.0.0.1:{unused_tcp_port}"}) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert f"{tmp_path}/web.db: database.url: was written by a newer version" in said[0]
    assert "schema is 99" in said[0]
    assert f"none after {SCHEMA_VERSION}" in said[0]


@pytest.mark.parametrize("statement", ["DELETE FROM schema_version", "UPDATE schema_version SET version = 0"])
async def test_a_database_without_a_version_is_refused(database_url, opened, statement):
    database = await opened(database_url)
    await database.write(lambda: database._engine.database.execute_sql(statement))
    with pytest.raises(ConfigError, match="names no version"):
        await opened(database_url)


async def test_the_tables_of_another_program_are_not_taken_for_ours(version_1, opened):
    database = await opened(version_1)
    await database.write(lambda: database._engine.database.execute_sql("DROP TABLE schema_version"))
    with pytest.raises(ConfigError, match=r"cannot be opened \(.*already exists"):
        await opened(version_1)


def test_every_step_says_which_version_it_leads_to():
    assert [int(step.__doc__.partition(":")[0]) for step in STEPS] == list(range(2, migrations.SCHEMA_VERSION + 1))
