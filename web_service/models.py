"""The tables. Rows are read and written in the domain modules (users, roles, sessions, events) and stay there.

Times are whole seconds since the epoch, UTC.
"""

from typing import Final

from peewee import (
    AutoField,
    BooleanField,
    CharField,
    CompositeKey,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
)

SCHEMA_VERSION: Final = 1


class SchemaVersion(Model):
    """One row: which shape the tables have."""

    version = IntegerField()

    class Meta:
        """Where it is."""

        table_name = "schema_version"


class UserRow(Model):
    """Who may sign in. `default_password` is set while the first user still has the well-known password."""

    id = AutoField()
    name = CharField(max_length=64, unique=True)
    password_hash = CharField(max_length=255)
    enabled = BooleanField(default=True)
    default_password = BooleanField(default=False)
    language = CharField(max_length=16, default="")
    created = IntegerField()

    class Meta:
        """Where it is."""

        table_name = "users"


class RoleRow(Model):
    """A named set of rules; a special one opens parts of the console instead."""

    id = AutoField()
    name = CharField(max_length=64, unique=True)
    special = BooleanField(default=False)
    enabled = BooleanField(default=True)

    class Meta:
        """Where it is."""

        table_name = "roles"


class RuleRow(Model):
    """One line of a role."""

    id = AutoField()
    role_id: int
    role = ForeignKeyField(RoleRow, backref="rules", on_delete="CASCADE")
    address = CharField(max_length=255)
    repository = CharField(max_length=255)
    level = CharField(max_length=16)
    comment = CharField(max_length=255, default="")

    class Meta:
        """Where it is."""

        table_name = "rules"


class GrantRow(Model):
    """A user has a role."""

    user_id: int
    user = ForeignKeyField(UserRow, backref="grants", on_delete="CASCADE")
    role = ForeignKeyField(RoleRow, backref="grants", on_delete="CASCADE")

    class Meta:
        """Where it is."""

        table_name = "grants"
        primary_key = CompositeKey("user", "role")


class SessionRow(Model):
    """A browser that is signed in; only the hash of its token is kept."""

    token_hash = CharField(max_length=64, primary_key=True)
    user = ForeignKeyField(UserRow, backref="sessions", on_delete="CASCADE")
    created = IntegerField()
    expires = IntegerField(index=True)

    class Meta:
        """Where it is."""

        table_name = "sessions"


class EventRow(Model):
    """Something that happened in the registry. `event_id` is the registry's own and makes a repeat harmless."""

    id = AutoField()
    event_id = CharField(max_length=128, unique=True)
    time = IntegerField(index=True)
    user = CharField(max_length=255, index=True)
    action = CharField(max_length=32)
    repository = CharField(max_length=255, index=True)
    tag = CharField(max_length=128, default="")
    digest = CharField(max_length=160, default="")
    media_type = CharField(max_length=255, default="")
    address = CharField(max_length=64, default="")
    user_agent = TextField(default="")

    class Meta:
        """Where it is."""

        table_name = "events"


TABLES: Final[tuple[type[Model], ...]] = (SchemaVersion, UserRow, RoleRow, RuleRow, GrantRow, SessionRow, EventRow)
