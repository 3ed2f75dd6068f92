"""The version of the schema, and the small steps by which an older database reaches it.

A new database is made from `models` at once. One that is there is taken forward step by step, all in the transaction
that reads its version: of several processes that start at the same moment one does it, and the others find it done.
A step speaks SQL that both SQLite and PostgreSQL understand, and is never changed once it was released.
"""

from collections.abc import Callable
from typing import Any, Final

from peewee import SqliteDatabase

from shared.config import ConfigError
from web_service.models import TABLES, SchemaVersion

Step = Callable[[Any], object]


def _find_events_by_action(database: Any) -> None:
    """2: the newest deletions, say, are found without a look at every event."""
    database.execute_sql('CREATE INDEX "eventrow_action_time" ON "events" ("action", "time")')


def _let_machines_in(database: Any) -> None:
    """3: robots, groups, access tokens, refresh tokens, the audit trail, and what was asked for."""
    _execute(
        database,
        """
        ALTER TABLE "users" ADD COLUMN "robot" {bool} NOT NULL DEFAULT '0';

        CREATE TABLE "groups" ("id" {id} NOT NULL PRIMARY KEY, "name" VARCHAR(64) NOT NULL,
            "comment" VARCHAR(255) NOT NULL);
        CREATE UNIQUE INDEX "grouprow_name" ON "groups" ("name");

        CREATE TABLE "members" ("group_id" {int} NOT NULL, "user_id" {int} NOT NULL,
            PRIMARY KEY ("group_id", "user_id"),
            FOREIGN KEY ("group_id") REFERENCES "groups" ("id") ON DELETE CASCADE,
            FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE);
        CREATE INDEX "memberrow_group_id" ON "members" ("group_id");
        CREATE INDEX "memberrow_user_id" ON "members" ("user_id");

        CREATE TABLE "group_grants" ("group_id" {int} NOT NULL, "role_id" {int} NOT NULL,
            PRIMARY KEY ("group_id", "role_id"),
            FOREIGN KEY ("group_id") REFERENCES "groups" ("id") ON DELETE CASCADE,
            FOREIGN KEY ("role_id") REFERENCES "roles" ("id") ON DELETE CASCADE);
        CREATE INDEX "groupgrantrow_group_id" ON "group_grants" ("group_id");
        CREATE INDEX "groupgrantrow_role_id" ON "group_grants" ("role_id");

        CREATE TABLE "access_tokens" ("id" {id} NOT NULL PRIMARY KEY, "user_id" {int} NOT NULL,
            "name" VARCHAR(64) NOT NULL, "secret_hash" VARCHAR(64) NOT NULL, "hint" VARCHAR(16) NOT NULL,
            "limits" TEXT NOT NULL, "api" VARCHAR(16) NOT NULL, "created" {int} NOT NULL, "expires" {int} NOT NULL,
            "last_used" {int} NOT NULL, "last_address" VARCHAR(64) NOT NULL,
            FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE);
        CREATE INDEX "accesstokenrow_user_id" ON "access_tokens" ("user_id");
        CREATE UNIQUE INDEX "accesstokenrow_secret_hash" ON "access_tokens" ("secret_hash");
        CREATE UNIQUE INDEX "accesstokenrow_user_id_name" ON "access_tokens" ("user_id", "name");

        CREATE TABLE "refresh_tokens" ("id" {id} NOT NULL PRIMARY KEY, "user_id" {int} NOT NULL,
            "secret_hash" VARCHAR(64) NOT NULL, "client" VARCHAR(255) NOT NULL, "created" {int} NOT NULL,
            "expires" {int} NOT NULL, "last_used" {int} NOT NULL, "last_address" VARCHAR(64) NOT NULL,
            FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE);
        CREATE INDEX "refreshtokenrow_user_id" ON "refresh_tokens" ("user_id");
        CREATE UNIQUE INDEX "refreshtokenrow_secret_hash" ON "refresh_tokens" ("secret_hash");
        CREATE INDEX "refreshtokenrow_expires" ON "refresh_tokens" ("expires");

        CREATE TABLE "audit" ("id" {id} NOT NULL PRIMARY KEY, "time" {int} NOT NULL, "actor" VARCHAR(255) NOT NULL,
            "via" VARCHAR(16) NOT NULL, "address" VARCHAR(64) NOT NULL, "action" VARCHAR(32) NOT NULL,
            "subject" VARCHAR(255) NOT NULL, "old" TEXT NOT NULL, "new" TEXT NOT NULL);
        CREATE INDEX "auditrow_time" ON "audit" ("time");
        CREATE INDEX "auditrow_actor" ON "audit" ("actor");
        CREATE INDEX "auditrow_action" ON "audit" ("action");

        CREATE TABLE "asked" ("day" {int} NOT NULL, "user" VARCHAR(64) NOT NULL, "address" VARCHAR(64) NOT NULL,
            "repository" VARCHAR(255) NOT NULL, "action" VARCHAR(32) NOT NULL, "allowed" {bool} NOT NULL,
            "times" {int} NOT NULL, "last" {int} NOT NULL,
            PRIMARY KEY ("day", "user", "address", "repository", "action", "allowed"));
        """,
    )


_ID: Final = '"id" INTEGER NOT NULL PRIMARY KEY'
_WITH_LASTING_IDS: Final = ("users", "roles", "groups", "rules", "access_tokens", "refresh_tokens")
_THAT_REFER_TO_THEM: Final = ("grants", "members", "group_grants", "sessions")


def _give_ids_once(database: Any) -> None:
    """4: SQLite gives the number of a deleted user, role, group, rule or token to no new one; PostgreSQL never did.

    Only a new table can do that. It comes with all that refer to it, for a table takes along what refers to it.
    """
    if not _is_sqlite(database):
        return
    tables = (*_WITH_LASTING_IDS, *_THAT_REFER_TO_THEM)  # none refers to a later one
    made = {table: _sql_of(database, "table", table)[0] for table in tables}
    indexes = [sql for table in tables for sql in _sql_of(database, "index", table)]
    for table in tables:
        database.execute_sql(f'ALTER TABLE "{table}" RENAME TO "old_{table}"')
    for table, sql in made.items():
        database.execute_sql(sql.replace(_ID, f"{_ID} AUTOINCREMENT", 1) if table in _WITH_LASTING_IDS else sql)
        database.execute_sql(f'INSERT INTO "{table}" SELECT * FROM "old_{table}"')  # noqa: S608 - names of ours
    for table in reversed(tables):
        database.execute_sql(f'DROP TABLE "old_{table}"')
    for sql in indexes:
        database.execute_sql(sql)


def _sql_of(database: Any, kind: str, table: str) -> list[str]:
    """Return by which statements a table, or its indexes, were made in SQLite."""
    query = "SELECT sql FROM sqlite_master WHERE type = ? AND tbl_name = ? AND sql IS NOT NULL ORDER BY name"
    return [row[0] for row in database.execute_sql(query, (kind, table))]


def _is_sqlite(database: Any) -> bool:
    return isinstance(database, SqliteDatabase)


def _execute(database: Any, script: str) -> None:
    """Run statements in which {id}, {int} and {bool} stand for the types that databases call by different names."""
    sqlite = {"id": "INTEGER", "int": "INTEGER", "bool": "INTEGER"}
    postgresql = {"id": "BIGSERIAL", "int": "BIGINT", "bool": "BOOLEAN"}
    for statement in script.format(**(sqlite if _is_sqlite(database) else postgresql)).split(";"):
        if statement.strip():
            database.execute_sql(statement)


STEPS: Final[tuple[Step, ...]] = (_find_events_by_action, _let_machines_in, _give_ids_once)
"""The first leads from version 1 to version 2."""

SCHEMA_VERSION: Final = 1 + len(STEPS)


def bring_up_to_date(database: Any, steps: tuple[Step, ...] = STEPS) -> None:
    """Make the tables, or take those that are there forward; runs in a transaction. Raises ConfigError."""
    newest = 1 + len(steps)
    if not database.table_exists(SchemaVersion):
        database.create_tables(TABLES, safe=False)  # tables of another program are not taken for ours
        SchemaVersion.create(version=newest)
        return
    row = SchemaVersion.get_or_none()
    if row is None or row.version < 1:
        raise ConfigError("its table schema_version names no version: it was not made by this program")
    if row.version > newest:
        raise ConfigError(
            f"was written by a newer version of this program: its schema is {row.version}, and this program knows "
            f"none after {newest}; start the newer program"
        )
    for step in steps[row.version - 1 :]:
        step(database)
    if row.version < newest:
        SchemaVersion.update(version=newest).execute()
