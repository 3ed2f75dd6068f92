"""Roles: named sets of rules that are granted to users.

UI_USER and UI_ADMIN are special: they open the console, hold no rules and can be neither disabled nor deleted. The
role `anonymous` is special too: its rules count for everybody who has not signed in, and let everybody else do as much.
It is granted to nobody, can be neither renamed nor deleted, and is disabled until an administrator wants it.
"""

import re
from dataclasses import dataclass
from itertools import count
from typing import Final

from web_service.access import LOCAL, Level
from web_service.db import Database
from web_service.errors import N_, Conflict, Invalid, NotFound, Refused
from web_service.models import GrantRow, RoleRow, RuleRow, UserRow
from web_service.patterns import Unusable, check_address, check_repository_glob

UI_USER: Final = "UI_USER"
UI_ADMIN: Final = "UI_ADMIN"
ANONYMOUS: Final = "anonymous"

_NAME = re.compile(r"\w[\w .@+-]{0,63}")
_LONGEST_COMMENT: Final = 255


@dataclass(frozen=True, slots=True)
class RoleRule:
    """A rule with its place in the database and the note of who wrote it."""

    id: int
    address: str
    repository: str
    level: Level
    comment: str


@dataclass(frozen=True, slots=True)
class Holder:
    """A user who has a role."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Role:
    """A role with its rules and its holders."""

    id: int
    name: str
    special: bool
    enabled: bool
    rules: tuple[RoleRule, ...]
    holders: tuple[Holder, ...]

    @property
    def is_anonymous(self) -> bool:
        """Whether its rules count for those who have not signed in."""
        return self.special and self.name == ANONYMOUS

    @property
    def has_rules(self) -> bool:
        """Whether it allows or denies something, and can be switched on and off."""
        return not self.special or self.is_anonymous


@dataclass(frozen=True, slots=True)
class RuleDraft:
    """A rule as it was entered."""

    address: str
    repository: str
    level: str
    comment: str = ""


class Roles:
    """All that can be asked and done about roles; every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Role]:
        """Return every role, by name."""
        return await self._database.read(lambda: [_load(row) for row in RoleRow.select().order_by(RoleRow.name)])

    async def get(self, role_id: int) -> Role:
        """Return one role; raises NotFound."""
        return await self._database.read(lambda: _load(role_row(role_id)))

    async def create(self, name: str) -> Role:
        """Add a role without rules; raises Invalid or Conflict."""
        return await self._database.write(_create, name)

    async def rename(self, role_id: int, name: str) -> None:
        """Give a role another name; raises Invalid, Conflict, or Refused for a special one."""
        await self._database.write(_rename, role_id, name)

    async def delete(self, role_id: int) -> Role:
        """Remove a role from all its holders and altogether, and return what it was; raises Refused."""
        return await self._database.write(_delete, role_id)

    async def set_enabled(self, role_id: int, *, enabled: bool) -> None:
        """Let a role count or not; raises Refused for one that opens the console."""
        await self._database.write(_set_enabled, role_id, enabled)

    async def add_rule(self, role_id: int, draft: RuleDraft) -> None:
        """Add a rule; raises Invalid or Refused."""
        await self._database.write(_add_rule, role_id, draft)

    async def edit_rule(self, role_id: int, rule_id: int, draft: RuleDraft) -> None:
        """Replace a rule; raises Invalid or NotFound."""
        await self._database.write(_edit_rule, role_id, rule_id, draft)

    async def delete_rule(self, role_id: int, rule_id: int) -> None:
        """Remove a rule; raises NotFound."""
        await self._database.write(lambda: _rule_row(role_id, rule_id).delete_instance())


def role_row(role_id: int) -> RoleRow:
    """Return the row of a role; raises NotFound. For the modules that hold rows."""
    row: RoleRow | None = RoleRow.get_or_none(RoleRow.id == role_id)
    if row is None:
        raise NotFound(N_("There is no such role."))
    return row


def seed_roles() -> None:
    """Make the roles of a new installation, with the names and rules that users of the old program know."""
    for name in (UI_USER, UI_ADMIN):
        RoleRow.create(name=name, special=True)
    for name, address, level, comment in (
        ("read-all", "*", Level.PULL, ""),
        ("write-all", "*", Level.PUSH, ""),
        ("UI_DELETE", LOCAL, Level.UI_DELETE, "Allows deletion in the console"),
    ):
        RuleRow.create(
            role=RoleRow.create(name=name), address=address, repository="**", level=level.value, comment=comment
        )
    add_anonymous_role()


def add_anonymous_role() -> None:
    """Make the role `anonymous`, disabled, in a database that lacks it; an ordinary role of that name steps aside."""
    row: RoleRow | None = RoleRow.get_or_none(RoleRow.name == ANONYMOUS)
    if row is not None and row.special:
        return
    if row is not None:
        taken = {role.name for role in RoleRow.select()}
        row.name = next(name for name in (f"{ANONYMOUS}-{number}" for number in count(1)) if name not in taken)
        row.save()
    RoleRow.create(name=ANONYMOUS, special=True, enabled=False)


def _load(row: RoleRow) -> Role:
    rules = RuleRow.select().where(RuleRow.role == row.id).order_by(RuleRow.id)
    holders = UserRow.select().join(GrantRow).where(GrantRow.role == row.id).order_by(UserRow.name)
    return Role(
        row.id,
        row.name,
        row.special,
        row.enabled,
        tuple(RoleRule(rule.id, rule.address, rule.repository, Level(rule.level), rule.comment) for rule in rules),
        tuple(Holder(user.id, user.name) for user in holders),
    )


def _with_rules(role_id: int) -> RoleRow:
    row = role_row(role_id)
    if row.special and row.name != ANONYMOUS:
        raise Refused(
            N_("The role %(name)s opens the console; it cannot be changed, disabled or deleted."), name=row.name
        )
    return row


def _ordinary(role_id: int) -> RoleRow:
    row = _with_rules(role_id)
    if row.special:
        raise Refused(N_("The role %(name)s is built in; it can be neither renamed nor deleted."), name=row.name)
    return row


def _new_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Invalid(N_("A role name has up to 64 letters, digits, spaces or . _ - @ + and starts with a letter."))
    if RoleRow.select().where(RoleRow.name == name).exists():
        raise Conflict(N_("There is already a role named %(name)s."), name=name)
    return name


def _create(name: str) -> Role:
    return _load(RoleRow.create(name=_new_name(name)))


def _rename(role_id: int, name: str) -> None:
    row = _ordinary(role_id)
    if row.name != name:
        row.name = _new_name(name)
        row.save()


def _delete(role_id: int) -> Role:
    row = _ordinary(role_id)
    role = _load(row)
    row.delete_instance()
    return role


def _set_enabled(role_id: int, enabled: bool) -> None:
    row = _with_rules(role_id)
    row.enabled = enabled
    row.save()


def _add_rule(role_id: int, draft: RuleDraft) -> None:
    RuleRow.create(role=_with_rules(role_id), **_checked(draft))


def _edit_rule(role_id: int, rule_id: int, draft: RuleDraft) -> None:
    row = _rule_row(role_id, rule_id)
    for name, value in _checked(draft).items():
        setattr(row, name, value)
    row.save()


def _rule_row(role_id: int, rule_id: int) -> RuleRow:
    row: RuleRow | None = RuleRow.get_or_none((RuleRow.id == rule_id) & (RuleRow.role == role_id))
    if row is None:
        raise NotFound(N_("There is no such rule."))
    return row


def _checked(draft: RuleDraft) -> dict[str, str]:
    try:
        level = Level(draft.level)
    except ValueError:
        raise Invalid(N_("Choose one of the levels for the rule.")) from None
    try:
        address = check_address(draft.address.strip())
    except Unusable as error:
        raise Invalid(
            N_("The address %(text)s cannot be used: it %(reason)s."), text=draft.address, reason=error
        ) from None
    try:
        repository = check_repository_glob(draft.repository.strip())
    except Unusable as error:
        raise Invalid(
            N_("The repository %(text)s cannot be used: it %(reason)s."), text=draft.repository, reason=error
        ) from None
    if len(draft.comment) > _LONGEST_COMMENT:
        raise Invalid(N_("A comment has at most %(most)d characters."), most=_LONGEST_COMMENT)
    return {"address": address, "repository": repository, "level": level.value, "comment": draft.comment.strip()}
