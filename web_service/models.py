"""The tables. Rows are read and written in the domain modules (users, roles, sessions, events) and stay there.

Times are whole seconds since the epoch, UTC. Who changes a table adds a step to `migrations`.
"""

from typing import Any, Final

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

from shared.texts import clean


class _Name(CharField):
    """Text of limited length, stored and looked for in its storable form."""

    def db_value(self, value: Any) -> Any:
        """Return what is bound to the statement."""
        return clean(value) if isinstance(value, str) else value


class _Prose(TextField):
    """Text of any length, stored in its storable form."""

    def db_value(self, value: Any) -> Any:
        """Return what is bound to the statement."""
        return clean(value) if isinstance(value, str) else value


class SchemaVersion(Model):
    """One row: which shape the tables have."""

    version = IntegerField()

    class Meta:
        """Where it is."""

        table_name = "schema_version"


class UserRow(Model):
    """Who may sign in. `default_password` is set while the first user still has the well-known password."""

    id = AutoField()
    name = _Name(max_length=64, unique=True)
    password_hash = _Name(max_length=255)
    enabled = BooleanField(default=True)
    default_password = BooleanField(default=False)
    language = _Name(max_length=16, default="")
    created = IntegerField()

    class Meta:
        """Where it is."""

        table_name = "users"


class RoleRow(Model):
    """A named set of rules; a special one opens parts of the console instead."""

    id = AutoField()
    name = _Name(max_length=64, unique=True)
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
    address = _Name(max_length=255)
    repository = _Name(max_length=255)
    level = _Name(max_length=16)
    comment = _Name(max_length=255, default="")

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

    token_hash = _Name(max_length=64, primary_key=True)
    user = ForeignKeyField(UserRow, backref="sessions", on_delete="CASCADE")
    created = IntegerField()
    expires = IntegerField(index=True)

    class Meta:
        """Where it is."""

        table_name = "sessions"


class EventRow(Model):
    """Something that happened in the registry. `event_id` is the registry's own and makes a repeat harmless."""

    id = AutoField()
    event_id = _Name(max_length=128, unique=True)
    time = IntegerField(index=True)
    user = _Name(max_length=255, index=True)
    action = _Name(max_length=32)
    repository = _Name(max_length=255, index=True)
    tag = _Name(max_length=128, default="")
    digest = _Name(max_length=160, default="")
    media_type = _Name(max_length=255, default="")
    address = _Name(max_length=64, default="")
    user_agent = _Prose(default="")

    class Meta:
        """Where it is."""

        table_name = "events"
        indexes = ((("action", "time"), False),)


TABLES: Final[tuple[type[Model], ...]] = (SchemaVersion, UserRow, RoleRow, RuleRow, GrantRow, SessionRow, EventRow)
