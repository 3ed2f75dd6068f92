"""Users: who may sign in and with which roles. The last administrator cannot be lost."""

import re
import time
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from web_service import roles
from web_service.access import CONSOLE, Level, Rule, Subject
from web_service.config import DEFAULT_ADMIN_PASSWORD
from web_service.db import Database
from web_service.errors import N_, Conflict, Invalid, NotFound, Refused, Unavailable
from web_service.models import GrantRow, RoleRow, RuleRow, SessionRow, UserRow
from web_service.passwords import hash_password

FIRST_ADMIN: Final = "admin"

_NAME = re.compile(r"\w[\w.@+-]{0,63}")


@dataclass(frozen=True, slots=True)
class HeldRole:
    """A role as its holder sees it; a disabled one grants nothing."""

    id: int
    name: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class User:
    """A user with all that decides on rights. `created` is epoch seconds.

    `rules` are those of the user's enabled roles and, marked as public, those of the role `anonymous`.
    """

    id: int
    name: str
    enabled: bool
    default_password: bool
    language: str
    created: int
    roles: tuple[HeldRole, ...]
    rules: tuple[Rule, ...]

    @property
    def is_admin(self) -> bool:
        """Whether users and roles may be changed."""
        return any(role.enabled and role.name == roles.UI_ADMIN for role in self.roles)

    @property
    def may_browse(self) -> bool:
        """Whether the console shows more than the user's own account."""
        return self.is_admin or any(role.enabled and role.name == roles.UI_USER for role in self.roles)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a password is checked against."""

    user_id: int
    password_hash: str
    enabled: bool


class Users:
    """All that can be asked and done about users; every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def seed(self, password: str) -> bool:
        """Make the first administrator and the roles in an empty database; return whether it was empty."""
        return await self._database.write(_seed, password, hash_password(password))

    async def all(self) -> list[User]:
        """Return every user, by name."""
        return await self._database.read(lambda: load_users(UserRow.select().order_by(UserRow.name)))

    async def get(self, user_id: int) -> User:
        """Return one user; raises NotFound."""
        return await self._database.read(lambda: _one(_row(user_id)))

    async def named(self, name: str) -> User | None:
        """Return the user of that name."""
        found = await self._database.read(lambda: load_users(UserRow.select().where(UserRow.name == name)))
        return found[0] if found else None

    async def anonymous(self) -> tuple[Rule, ...] | None:
        """Return what counts for who has not signed in; None while everybody has to."""
        return await self._database.read(_anonymous)

    async def subject(self, name: str) -> Subject:
        """Return of whom a decision can be explained: a user, or nobody for no name; raises NotFound."""
        return await self._database.read(_subject, name)

    async def credentials(self, name: str) -> Credentials | None:
        """Return what is needed to check a password."""
        return await self._database.read(_credentials, name)

    async def create(self, name: str, password_hash: str, *, enabled: bool = True) -> User:
        """Add a user without roles; raises Invalid or Conflict."""
        return await self._database.write(_create, check_name(name), password_hash, enabled)

    async def rename(self, user_id: int, name: str) -> User:
        """Give a user another name and return what it is now; raises Invalid or Conflict. Sessions go on."""
        return await self._database.write(_rename, user_id, check_name(name))

    async def set_password(self, user_id: int, password_hash: str) -> None:
        """Replace the password and end all sessions of the user."""
        await self._database.write(_set_password, user_id, password_hash)

    async def set_enabled(self, user_id: int, *, enabled: bool, by: int) -> None:
        """Open or close an account; closing ends its sessions. Raises Refused for oneself and the last admin."""
        await self._database.write(_set_enabled, user_id, enabled, by)

    async def set_language(self, user_id: int, language: str) -> None:
        """Remember the language a user chose."""
        await self._database.write(_set_language, user_id, language)

    async def delete(self, user_id: int, *, by: int) -> User:
        """Remove a user and return what it was. Raises Refused for oneself and the last admin."""
        return await self._database.write(_delete, user_id, by)

    async def grant(self, user_id: int, role_id: int) -> None:
        """Give a role; giving it twice changes nothing. Raises Refused for `anonymous`, which is everybody's."""
        await self._database.write(_grant, user_id, role_id)

    async def revoke(self, user_id: int, role_id: int) -> None:
        """Take a role away; raises Refused for UI_ADMIN of the last administrator."""
        await self._database.write(_revoke, user_id, role_id)

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


def load_users(rows: Iterable[UserRow]) -> list[User]:
    """Return the users of the rows; five queries, however many they are. For the modules that hold rows."""
    users = list(rows)
    ids = [row.id for row in users]
    held: dict[int, list[HeldRole]] = {user_id: [] for user_id in ids}
    grants = GrantRow.select(GrantRow, RoleRow).join(RoleRow).where(GrantRow.user.in_(ids)).order_by(RoleRow.name)
    for grant in grants:
        held[grant.user_id].append(HeldRole(grant.role.id, grant.role.name, grant.role.enabled))
    rules = _rules({role.id: role for roles_ in held.values() for role in roles_ if role.enabled})
    public = [replace(rule, public=True) for rule in _anonymous() or ()]
    return [
        User(
            row.id,
            row.name,
            row.enabled,
            row.default_password,
            row.language,
            row.created,
            tuple(held[row.id]),
            (*(replace(rule, user=row.name) for role in held[row.id] for rule in rules.get(role.id, ())), *public),
        )
        for row in users
    ]


def _rules(held: dict[int, HeldRole]) -> dict[int, list[Rule]]:
    found: dict[int, list[Rule]] = {}
    for row in RuleRow.select().where(RuleRow.role.in_(list(held))).order_by(RuleRow.id):
        role = held[row.role_id]
        rule = Rule(row.address, row.repository, Level(row.level), role.name, enabled=role.enabled)
        found.setdefault(row.role_id, []).append(rule)
    return found


def _anonymous_role() -> HeldRole | None:
    row = RoleRow.get_or_none((RoleRow.name == roles.ANONYMOUS) & RoleRow.special)
    return None if row is None else HeldRole(row.id, row.name, row.enabled)


def _anonymous() -> tuple[Rule, ...] | None:
    role = _anonymous_role()
    return tuple(_rules({role.id: role}).get(role.id, ())) if role and role.enabled else None


def _subject(name: str) -> Subject:
    row: UserRow | None = UserRow.get_or_none(UserRow.name == name) if name else None
    role = _anonymous_role()
    public = [rule for found in _rules({role.id: role} if role else {}).values() for rule in found]
    if name and row is None:
        raise NotFound(N_("There is no user named %(name)s."), name=name)
    if row is None:
        shut = "" if role and role.enabled else N_("The role anonymous is disabled: everybody has to sign in.")
        return Subject("", tuple(public), shut, N_("Nobody deletes in the console without signing in."))
    user = _one(row)
    rules = [
        replace(rule, user=name) for found in _rules({one.id: one for one in user.roles}).values() for rule in found
    ]
    return Subject(
        name,
        (*rules, *(replace(rule, public=True) for rule in public)),
        "" if user.enabled else N_("This account is disabled."),
        "" if user.may_browse else N_("The account does not include the console (role UI_USER)."),
    )


def _row(user_id: int) -> UserRow:
    row: UserRow | None = UserRow.get_or_none(UserRow.id == user_id)
    if row is None:
        raise NotFound(N_("There is no such user."))
    return row


def _one(row: UserRow) -> User:
    return load_users([row])[0]


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
    GrantRow.create(user=row, role=RoleRow.get(RoleRow.name == roles.UI_ADMIN))
    return True


def _credentials(name: str) -> Credentials | None:
    row = UserRow.get_or_none(UserRow.name == name)
    return None if row is None else Credentials(row.id, row.password_hash, row.enabled)


def _create(name: str, password_hash: str, enabled: bool) -> User:
    _check_free(name)
    return _one(
        UserRow.create(name=name, password_hash=password_hash, enabled=enabled, created=int(time.time())),
    )


def _rename(user_id: int, name: str) -> User:
    row = _row(user_id)
    if row.name != name:
        _check_free(name)
        row.name = name
        row.save()
    return _one(row)


def _check_free(name: str) -> None:
    if UserRow.select().where(UserRow.name == name).exists():
        raise Conflict(N_("There is already a user named %(name)s."), name=name)


def _set_password(user_id: int, password_hash: str) -> None:
    row = _row(user_id)
    row.password_hash, row.default_password = password_hash, False
    row.save()
    _end_sessions(user_id)


def _set_enabled(user_id: int, enabled: bool, by: int) -> None:
    row = _row(user_id)
    if not enabled:
        if user_id == by:
            raise Refused(N_("You cannot disable your own account."))
        _keep_an_admin(user_id)
        _end_sessions(user_id)
    row.enabled = enabled
    row.save()


def _set_language(user_id: int, language: str) -> None:
    row = _row(user_id)
    row.language = language
    row.save()


def _delete(user_id: int, by: int) -> User:
    row = _row(user_id)
    if user_id == by:
        raise Refused(N_("You cannot delete your own account."))
    _keep_an_admin(user_id)
    user = _one(row)
    row.delete_instance()
    return user


def _grant(user_id: int, role_id: int) -> None:
    user, role = _row(user_id), roles.role_row(role_id)
    if role.special and role.name == roles.ANONYMOUS:
        raise Refused(N_("The role anonymous counts for everybody; it is granted to nobody."))
    GrantRow.insert(user=user, role=role).on_conflict_ignore().execute()


def _revoke(user_id: int, role_id: int) -> None:
    if roles.role_row(role_id).name == roles.UI_ADMIN:
        _keep_an_admin(user_id)
    GrantRow.delete().where((GrantRow.user == user_id) & (GrantRow.role == role_id)).execute()


def _keep_an_admin(without: int) -> None:
    """See that somebody can still administer when this user no longer does; raises Refused."""
    admins = (
        GrantRow.select(UserRow.id)
        .join(RoleRow)
        .switch(GrantRow)
        .join(UserRow)
        .where((RoleRow.name == roles.UI_ADMIN) & UserRow.enabled)
    )
    ids = {row.user.id for row in admins}
    if ids == {without}:
        raise Refused(N_("This is the last administrator; make somebody else an administrator first."))


def _end_sessions(user_id: int) -> None:
    SessionRow.delete().where(SessionRow.user == user_id).execute()


def _default_password_in_use() -> bool:
    return bool(UserRow.select().where(UserRow.default_password & UserRow.enabled).exists())
