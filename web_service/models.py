"""The tables. Rows are read and written in the domain modules (users, roles, sessions, events) and stay there.

Times are whole seconds since the epoch, UTC. Who changes a table adds a step to `migrations`.
"""

from typing import Any, Final

from peewee import (
    SQL,
    AutoField,
    BooleanField,
    CharField,
    CompositeKey,
    ForeignKeyField,
    IntegerField,
    Model,
    NodeList,
    SqliteDatabase,
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


class _LastingId(AutoField):
    """A number that is given once: what a page of a deleted row says means no other row. PostgreSQL does so anyway."""

    def ddl(self, ctx: Any) -> Any:
        """Return what is said of the column where its table is made."""
        said = super().ddl(ctx)
        is_sqlite = isinstance(self.model._meta.database, SqliteDatabase)  # noqa: SLF001 - the library's public name
        return NodeList((said, SQL("AUTOINCREMENT"))) if is_sqlite else said


class SchemaVersion(Model):
    """One row: which shape the tables have."""

    version = IntegerField()

    class Meta:
        """Where it is."""

        table_name = "schema_version"


class UserRow(Model):
    """Who may sign in: a person with a password, or a robot, which has only access tokens.

    `default_password` is set while the first user still has the well-known password.
    """

    id = _LastingId()
    name = _Name(max_length=64, unique=True)
    password_hash = _Name(max_length=255)
    enabled = BooleanField(default=True)
    default_password = BooleanField(default=False)
    robot = BooleanField(default=False)
    language = _Name(max_length=16, default="")
    created = IntegerField()

    class Meta:
        """Where it is."""

        table_name = "users"


class RoleRow(Model):
    """A named set of rules; a special one opens parts of the console instead."""

    id = _LastingId()
    name = _Name(max_length=64, unique=True)
    special = BooleanField(default=False)
    enabled = BooleanField(default=True)

    class Meta:
        """Where it is."""

        table_name = "roles"


class RuleRow(Model):
    """One line of a role."""

    id = _LastingId()
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


class GroupRow(Model):
    """A named set of users who share roles."""

    id = _LastingId()
    name = _Name(max_length=64, unique=True)
    comment = _Name(max_length=255, default="")

    class Meta:
        """Where it is."""

        table_name = "groups"


class MemberRow(Model):
    """A user belongs to a group."""

    user_id: int
    group_id: int
    group = ForeignKeyField(GroupRow, backref="members", on_delete="CASCADE")
    user = ForeignKeyField(UserRow, backref="memberships", on_delete="CASCADE")

    class Meta:
        """Where it is."""

        table_name = "members"
        primary_key = CompositeKey("group", "user")


class GroupGrantRow(Model):
    """All members of a group have a role."""

    group_id: int
    group = ForeignKeyField(GroupRow, backref="grants", on_delete="CASCADE")
    role = ForeignKeyField(RoleRow, backref="group_grants", on_delete="CASCADE")

    class Meta:
        """Where it is."""

        table_name = "group_grants"
        primary_key = CompositeKey("group", "role")


class AccessTokenRow(Model):
    """A credential for machines; of the secret only the hash is kept, and its beginning, by which people know it.

    `limits` is JSON, a list of [glob, level]; empty for all that its owner may do. `expires` and `last_used` are 0 for
    never.
    """

    id = _LastingId()
    user_id: int
    user = ForeignKeyField(UserRow, backref="access_tokens", on_delete="CASCADE")
    name = _Name(max_length=64)
    secret_hash = _Name(max_length=64, unique=True)
    hint = _Name(max_length=16)
    limits = _Prose(default="")
    api = _Name(max_length=16, default="none")
    created = IntegerField()
    expires = IntegerField(default=0)
    last_used = IntegerField(default=0)
    last_address = _Name(max_length=64, default="")

    class Meta:
        """Where it is."""

        table_name = "access_tokens"
        indexes = ((("user", "name"), True),)


class RefreshTokenRow(Model):
    """What a client keeps instead of the password; only its hash is kept here. It expires when it is not used."""

    id = _LastingId()
    user_id: int
    user = ForeignKeyField(UserRow, backref="refresh_tokens", on_delete="CASCADE")
    secret_hash = _Name(max_length=64, unique=True)
    client = _Name(max_length=255, default="")
    created = IntegerField()
    expires = IntegerField(index=True)
    last_used = IntegerField()
    last_address = _Name(max_length=64, default="")

    class Meta:
        """Where it is."""

        table_name = "refresh_tokens"


class AuditRow(Model):
    """Something that a person or a program did here. `old` and `new` are JSON objects, empty where there is nothing."""

    id = AutoField()
    time = IntegerField(index=True)
    actor = _Name(max_length=255, index=True)
    via = _Name(max_length=16)
    address = _Name(max_length=64, default="")
    action = _Name(max_length=32, index=True)
    subject = _Name(max_length=255, default="")
    old = _Prose(default="")
    new = _Prose(default="")

    class Meta:
        """Where it is."""

        table_name = "audit"


class AskedRow(Model):
    """How often, on one day, somebody asked for one action on a repository, and whether it was allowed.

    `day` is days since the epoch; an empty `user` is somebody who has not signed in.
    """

    day = IntegerField()
    user = _Name(max_length=64)
    address = _Name(max_length=64)
    repository = _Name(max_length=255)
    action = _Name(max_length=32)
    allowed = BooleanField()
    times = IntegerField(default=0)
    last = IntegerField()

    class Meta:
        """Where it is."""

        table_name = "asked"
        primary_key = CompositeKey("day", "user", "address", "repository", "action", "allowed")


TABLES: Final[tuple[type[Model], ...]] = (
    SchemaVersion,
    UserRow,
    RoleRow,
    RuleRow,
    GrantRow,
    SessionRow,
    EventRow,
    GroupRow,
    MemberRow,
    GroupGrantRow,
    AccessTokenRow,
    RefreshTokenRow,
    AuditRow,
    AskedRow,
)
