"""Users: who may sign in and with which roles. The last administrator cannot be lost."""

import hashlib
import re
import time
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Final

from web_service import roles
from web_service.access import CONSOLE, Rule, Subject
from web_service.accounts import User, load_user, load_users, public_rules, subject_named
from web_service.actors import Actor
from web_service.administrators import UI_ADMIN, change, check_an_admin_is_left
from web_service.audit import record
from web_service.config import DEFAULT_ADMIN_PASSWORD
from web_service.db import Database
from web_service.errors import N_, Conflict, Invalid, NotFound, Outdated, Refused, Unavailable
from web_service.models import (
    GrantRow,
    RefreshTokenRow,
    RoleRow,
    SessionRow,
    UserRow,
)
from web_service.passwords import hash_password
from web_service.unchanged import Unchanged

FIRST_ADMIN: Final = "admin"

_LONGEST_ROLE: Final = 64

_NAME = re.compile(r"\w[\w.@+-]{0,63}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a password is checked against."""

    user_id: int
    password_hash: str
    enabled: bool


class Users:
    """All that can be asked and done about users; every method is one transaction, recorded in the audit trail."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._looked_up = Unchanged[tuple[Credentials, User]](database, clock)

    async def seed(self, password: str) -> bool:
        """Make the first administrator and the roles in an empty database; return whether it was empty."""
        return await self._database.write(_seed, password, hash_password(password))

    async def all(self) -> list[User]:
        """Return every user, robots among them, by name."""
        return await self._database.read(lambda: load_users(UserRow.select().order_by(UserRow.name)))

    async def get(self, user_id: int) -> User:
        """Return one user; raises NotFound."""
        return await self._database.read(lambda: load_user(user_row(user_id)))

    async def named(self, name: str) -> User | None:
        """Return the user of that name."""
        found = await self._database.read(lambda: load_users(UserRow.select().where(UserRow.name == name)))
        return found[0] if found else None

    async def anonymous(self) -> tuple[Rule, ...] | None:
        """Return what counts for who has not signed in; None while everybody has to."""
        return await self._database.read(public_rules)

    async def subject(self, name: str) -> Subject:
        """Return of whom a decision can be explained: a user, or nobody for no name; raises NotFound."""
        return await self._database.read(subject_named, name)

    async def look_up(self, name: str) -> tuple[Credentials, User] | None:
        """Return a person and what the password is checked against, as long as that is unchanged; robots have none."""
        return await self._looked_up.get(name, partial(_look_up, name))

    async def create(self, name: str, password_hash: str, *, by: Actor, enabled: bool = True) -> User:
        """Add a person without roles; raises Invalid or Conflict."""
        return await change(self._database, by, _create, check_name(name), password_hash, enabled, by)

    async def create_robot(self, name: str, rules: Collection[roles.RuleDraft] = (), *, by: Actor) -> User:
        """Add a robot; with rules, also a role of its own that holds them. Raises Invalid or Conflict."""
        return await change(self._database, by, add_robot, name, rules, by)

    async def rename(self, user_id: int, name: str, *, by: Actor) -> User:
        """Give a user another name and return what it is now; raises Invalid or Conflict. Sessions go on."""
        return await change(self._database, by, _rename, user_id, check_name(name), by)

    async def set_password(self, user_id: int, password_hash: str, *, by: Actor) -> None:
        """Replace the password; all sessions and refresh tokens of the user end. Raises Refused for a robot."""
        await change(self._database, by, _set_password, user_id, password_hash, by)

    async def renew_hash(self, user_id: int, old_hash: str, new_hash: str) -> bool:
        """Store the same password under another hash, unless it was changed in the meantime; return whether it was."""
        is_renewed = await self._database.write(_renew_hash, user_id, old_hash, new_hash)
        self._looked_up.forget()  # the old hash has left no line in the audit trail
        return is_renewed

    async def set_enabled(self, user_id: int, *, enabled: bool, by: Actor) -> None:
        """Open or close an account; closing ends its sessions. Raises Refused for oneself and the last admin."""
        await change(self._database, by, _set_enabled, user_id, enabled, by)

    async def change(self, user_id: int, *, name: str | None = None, enabled: bool | None = None, by: Actor) -> User:
        """Rename, and open or close, an account as one change; None leaves as it is. Raises what these raise."""
        name = None if name is None else check_name(name)
        return await change(self._database, by, _change, user_id, name, enabled, by)

    async def set_language(self, user_id: int, language: str) -> None:
        """Remember the language a user chose."""
        await self._database.write(_set_language, user_id, language)

    async def delete(self, user_id: int, *, by: Actor) -> User:
        """Remove a user and return what it was. Raises Refused for oneself and the last admin."""
        return await change(self._database, by, _delete, user_id, by)

    async def grant(self, user_id: int, role_id: int, *, by: Actor) -> None:
        """Give a role; giving it twice changes nothing. Raises Refused for `anonymous`, which is everybody's."""
        await change(self._database, by, _grant, user_id, role_id, by)

    async def revoke(self, user_id: int, role_id: int, *, by: Actor) -> None:
        """Take a role away; raises Refused for UI_ADMIN of the last administrator."""
        await change(self._database, by, _revoke, user_id, role_id, by)

    async def default_password_in_use(self) -> bool:
        """Return whether the first administrator can still be signed in to by anybody, as far as can be known now."""
        try:
            return await self._database.read(_default_password_in_use)
        except Unavailable:  # every page of an administrator asks, also the one that says so
            return False


def check_name(name: str) -> str:
    """Return a user name in its normal form; raises Invalid."""
    name = unicodedata.normalize("NFC", name)
    if not _NAME.fullmatch(name):
        raise Invalid(N_("A user name has up to 64 letters, digits or . _ - @ + and starts with a letter or digit."))
    if name.casefold() == CONSOLE:
        raise Invalid(N_("The name %(name)s is reserved for the console itself."), name=CONSOLE)
    return name


def user_row(user_id: int) -> UserRow:
    """Return the row of a user; raises NotFound. For the modules that hold rows."""
    row: UserRow | None = UserRow.get_or_none(UserRow.id == user_id)
    if row is None:
        raise NotFound(N_("There is no such user."))
    return row


def check_let_in(user_id: int, password_hash: str) -> None:
    """See within a transaction that the password by which somebody was let in is still theirs; raises Outdated.

    What ends with a password must not begin after its end. For the modules that hold rows.
    """
    held = (UserRow.id == user_id) & (UserRow.password_hash == password_hash) & UserRow.enabled
    if not UserRow.select().where(held).exists():
        raise Outdated


def add_robot(name: str, rules: Collection[roles.RuleDraft], by: Actor) -> User:
    """Add a robot within a transaction; raises Invalid or Conflict. For the modules that hold rows."""
    name = check_name(name)
    _check_free(name)
    row = UserRow.create(name=name, password_hash="", robot=True, created=int(time.time()))
    record(by, "robot.create", name)
    if rules:
        GrantRow.create(user=row, role=roles.add_role(_own_role(name), rules, by))
        record(by, "user.grant", name, new={"role": _own_role(name)})
    return load_user(row)


def _seed(password: str, password_hash: str) -> bool:
    if UserRow.select().exists() or RoleRow.select().exists():
        roles.add_anonymous_role()
        return False
    roles.seed_roles()
    row = UserRow.create(
        name=FIRST_ADMIN,
        password_hash=password_hash,
        default_password=password == DEFAULT_ADMIN_PASSWORD,
        created=int(time.time()),
    )
    GrantRow.create(user=row, role=RoleRow.get(RoleRow.name == UI_ADMIN))
    return True


def _look_up(name: str) -> tuple[Credentials, User] | None:
    row = UserRow.get_or_none((UserRow.name == name) & ~UserRow.robot)
    return None if row is None else (Credentials(row.id, row.password_hash, row.enabled), load_user(row))


def _create(name: str, password_hash: str, enabled: bool, by: Actor) -> User:
    _check_free(name)
    row = UserRow.create(name=name, password_hash=password_hash, enabled=enabled, created=int(time.time()))
    record(by, "user.create", name, new={"enabled": enabled})
    return load_user(row)


def _rename(user_id: int, name: str, by: Actor) -> User:
    row = user_row(user_id)
    if row.name != name:
        _check_free(name)
        record(by, "user.rename", name, old={"name": row.name}, new={"name": name})
        old, row.name = row.name, name
        row.save()
        if row.robot:
            _rename_own_role(user_id, old, name, by)
    return load_user(row)


def _rename_own_role(robot_id: int, old: str, new: str, by: Actor) -> None:
    """Let the role that was made for a robot keep its name, by which it is found when the robot is deleted."""
    own = (GrantRow.user == robot_id) & (RoleRow.name == _own_role(old)) & ~RoleRow.special
    grant = GrantRow.select().join(RoleRow).where(own).first()
    if grant is not None:
        roles.rename_role(grant.role_id, _own_role(new), by)


def _own_role(robot: str) -> str:
    """Return the name of the role that is made for a robot; a long name of it is told apart by its hash."""
    name = f"robot {robot}"
    if len(name) <= _LONGEST_ROLE:
        return name
    return f"{name[: _LONGEST_ROLE - 9]} {hashlib.sha256(robot.encode()).hexdigest()[:8]}"


def _check_free(name: str) -> None:
    if UserRow.select().where(UserRow.name == name).exists():
        raise Conflict(N_("There is already a user named %(name)s."), name=name)


def _set_password(user_id: int, password_hash: str, by: Actor) -> None:
    row = user_row(user_id)
    if row.robot:
        raise Refused(N_("A robot has no password; make an access token for it."))
    row.password_hash, row.default_password = password_hash, False
    row.save()
    _end_sessions(user_id)
    record(by, "user.password", row.name)


def _renew_hash(user_id: int, old_hash: str, new_hash: str) -> bool:
    held = (UserRow.id == user_id) & (UserRow.password_hash == old_hash)
    return bool(UserRow.update(password_hash=new_hash).where(held).execute())


def _set_enabled(user_id: int, enabled: bool, by: Actor) -> None:
    row = user_row(user_id)
    if not enabled and user_id == by.user_id:
        raise Refused(N_("You cannot disable your own account."))
    if row.enabled != enabled:
        record(by, "user.enable" if enabled else "user.disable", row.name)
    row.enabled = enabled
    row.save()
    if not enabled:
        check_an_admin_is_left()
        _end_sessions(user_id)


def _change(user_id: int, name: str | None, enabled: bool | None, by: Actor) -> User:
    if name is not None:
        _rename(user_id, name, by)
    if enabled is not None:
        _set_enabled(user_id, enabled, by)
    return load_user(user_row(user_id))


def _set_language(user_id: int, language: str) -> None:
    row = user_row(user_id)
    row.language = language
    row.save()


def _delete(user_id: int, by: Actor) -> User:
    row = user_row(user_id)
    if user_id == by.user_id:
        raise Refused(N_("You cannot delete your own account."))
    user = load_user(row)
    row.delete_instance()
    check_an_admin_is_left()
    if user.robot:
        roles.drop_role_of_nobody(_own_role(user.name), by)
    held = [role.name for role in user.roles if not role.group]
    record(by, "robot.delete" if user.robot else "user.delete", user.name, old={"roles": held})
    return user


def _grant(user_id: int, role_id: int, by: Actor) -> None:
    user, role = user_row(user_id), roles.role_row(role_id)
    roles.check_grantable(role)
    if GrantRow.insert(user=user, role=role).on_conflict_ignore().as_rowcount().execute():
        record(by, "user.grant", user.name, new={"role": role.name})


def _revoke(user_id: int, role_id: int, by: Actor) -> None:
    role = roles.role_row(role_id)
    if not GrantRow.delete().where((GrantRow.user == user_id) & (GrantRow.role == role_id)).execute():
        return
    if role.name == UI_ADMIN:
        check_an_admin_is_left()
    record(by, "user.revoke", user_row(user_id).name, old={"role": role.name})


def _end_sessions(user_id: int) -> None:
    SessionRow.delete().where(SessionRow.user == user_id).execute()
    RefreshTokenRow.delete().where(RefreshTokenRow.user == user_id).execute()


def _default_password_in_use() -> bool:
    return bool(UserRow.select().where(UserRow.default_password & UserRow.enabled).exists())
