"""Roles: named sets of rules that are granted to users.

UI_USER and UI_ADMIN are special: they open the console, hold no rules and can be neither disabled nor deleted. The
role `anonymous` is special too: its rules count for everybody who has not signed in, and let everybody else do as much.
It is granted to nobody, can be neither renamed nor deleted, and is disabled until an administrator wants it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Final

from web_service.access import LOCAL, Level
from web_service.actors import Actor
from web_service.administrators import UI_ADMIN, change
from web_service.audit import record
from web_service.db import Database
from web_service.errors import N_, Conflict, Invalid, NotFound, Refused
from web_service.models import GrantRow, GroupGrantRow, GroupRow, RoleRow, RuleRow, UserRow
from web_service.patterns import Unusable, check_address, check_repository_glob

UI_USER: Final = "UI_USER"
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
    """A user, or a group, that has a role."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Role:
    """A role with its rules and its holders: users, and groups."""

    id: int
    name: str
    special: bool
    enabled: bool
    rules: tuple[RoleRule, ...]
    holders: tuple[Holder, ...]
    groups: tuple[Holder, ...] = ()

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
    """All that can be asked and done about roles; every method is one transaction, recorded in the audit trail."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Role]:
        """Return every role, by name."""
        return await self._database.read(lambda: [_load(row) for row in RoleRow.select().order_by(RoleRow.name)])

    async def get(self, role_id: int) -> Role:
        """Return one role; raises NotFound."""
        return await self._database.read(lambda: _load(role_row(role_id)))

    async def named(self, name: str) -> Role | None:
        """Return the role of that name."""
        return await self._database.read(_named, name)

    async def create(self, name: str, *, by: Actor) -> Role:
        """Add a role without rules; raises Invalid or Conflict."""
        return await change(self._database, by, lambda: _load(add_role(name, (), by)))

    async def rename(self, role_id: int, name: str, *, by: Actor) -> None:
        """Give a role another name; raises Invalid, Conflict, or Refused for a special one."""
        await change(self._database, by, rename_role, role_id, name, by)

    async def change(self, role_id: int, *, name: str | None = None, enabled: bool | None = None, by: Actor) -> Role:
        """Rename a role and let it count or not, as one change; None leaves as it is. Raises what these raise."""
        return await change(self._database, by, _change, role_id, name, enabled, by)

    async def delete(self, role_id: int, *, by: Actor) -> Role:
        """Remove a role from all its holders and altogether, and return what it was; raises Refused."""
        return await change(self._database, by, _delete, role_id, by)

    async def set_enabled(self, role_id: int, *, enabled: bool, by: Actor) -> None:
        """Let a role count or not; raises Refused for one that opens the console."""
        await change(self._database, by, _set_enabled, role_id, enabled, by)

    async def add_rule(self, role_id: int, draft: RuleDraft, *, by: Actor) -> RoleRule:
        """Add a rule and return it; raises Invalid or Refused."""
        return await change(self._database, by, add_rule, role_id, draft, by)

    async def edit_rule(self, role_id: int, rule_id: int, draft: RuleDraft, *, by: Actor) -> RoleRule:
        """Replace a rule and return what it is now; raises Invalid or NotFound."""
        return await change(self._database, by, edit_rule, role_id, rule_id, draft, by)

    async def delete_rule(self, role_id: int, rule_id: int, *, by: Actor) -> None:
        """Remove a rule; raises NotFound."""
        await change(self._database, by, delete_rule, role_id, rule_id, by)


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


def check_grantable(role: RoleRow | Role) -> None:
    """See that a role can be given to somebody; raises Refused."""
    if role.special and role.name == ANONYMOUS:
        raise Refused(N_("The role anonymous counts for everybody; it is granted to nobody."))


def add_role(name: str, drafts: Iterable[RuleDraft], by: Actor) -> RoleRow:
    """Make a role with rules within a transaction; raises Invalid or Conflict. For the modules that hold rows."""
    row = RoleRow.create(name=_new_name(name))
    record(by, "role.create", row.name)
    for draft in drafts:
        add_rule(row.id, draft, by)
    return row


def rename_role(role_id: int, name: str, by: Actor) -> None:
    """Give a role another name within a transaction; raises as `Roles.rename`. For the modules that hold rows."""
    row = _ordinary(role_id)
    if row.name != name:
        old, row.name = row.name, _new_name(name)
        row.save()
        record(by, "role.rename", name, old={"name": old}, new={"name": name})


def drop_role_of_nobody(name: str, by: Actor) -> None:
    """Remove an ordinary role that nobody has any more. For the modules that hold rows."""
    row = RoleRow.get_or_none((RoleRow.name == name) & ~RoleRow.special)
    if row is not None and not _load(row).holders and not _load(row).groups:
        _delete(row.id, by)


def add_rule(role_id: int, draft: RuleDraft, by: Actor) -> RoleRule:
    """Add a rule within a transaction; raises Invalid or Refused. For the modules that hold rows."""
    role = _with_rules(role_id)
    row = RuleRow.create(role=role, **_checked(draft))
    record(by, "rule.add", role.name, new=_values(row))
    return _rule(row)


def edit_rule(role_id: int, rule_id: int, draft: RuleDraft, by: Actor) -> RoleRule:
    """Replace a rule within a transaction; raises Invalid or NotFound. For the modules that hold rows."""
    row = _rule_row(role_id, rule_id)
    old = _values(row)
    for name, value in _checked(draft).items():
        setattr(row, name, value)
    row.save()
    if old != _values(row):
        record(by, "rule.edit", role_row(role_id).name, old=old, new=_values(row))
    return _rule(row)


def delete_rule(role_id: int, rule_id: int, by: Actor) -> None:
    """Remove a rule within a transaction; raises NotFound. For the modules that hold rows."""
    row = _rule_row(role_id, rule_id)
    row.delete_instance()
    record(by, "rule.delete", role_row(role_id).name, old=_values(row))


def _named(name: str) -> Role | None:
    row = RoleRow.get_or_none(RoleRow.name == name)
    return None if row is None else _load(row)


def _load(row: RoleRow) -> Role:
    rules = RuleRow.select().where(RuleRow.role == row.id).order_by(RuleRow.id)
    holders = UserRow.select().join(GrantRow).where(GrantRow.role == row.id).order_by(UserRow.name)
    groups = GroupRow.select().join(GroupGrantRow).where(GroupGrantRow.role == row.id).order_by(GroupRow.name)
    return Role(
        row.id,
        row.name,
        row.special,
        row.enabled,
        tuple(_rule(rule) for rule in rules),
        tuple(Holder(user.id, user.name) for user in holders),
        tuple(Holder(group.id, group.name) for group in groups),
    )


def _rule(row: RuleRow) -> RoleRule:
    return RoleRule(row.id, row.address, row.repository, Level(row.level), row.comment)


def _values(row: RuleRow) -> dict[str, str]:
    return {name: getattr(row, name) for name in ("address", "repository", "level", "comment")}


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


def _delete(role_id: int, by: Actor) -> Role:
    row = _ordinary(role_id)
    role = _load(row)
    row.delete_instance()
    rules = [f"{rule.repository} {rule.level} {rule.address}" for rule in role.rules]
    holders = [holder.name for holder in (*role.holders, *role.groups)]
    record(by, "role.delete", role.name, old={"rules": rules, "holders": holders})
    return role


def _set_enabled(role_id: int, enabled: bool, by: Actor) -> None:
    row = _with_rules(role_id)
    if row.enabled != enabled:
        record(by, "role.enable" if enabled else "role.disable", row.name)
    row.enabled = enabled
    row.save()


def _change(role_id: int, name: str | None, enabled: bool | None, by: Actor) -> Role:
    if name is not None:
        rename_role(role_id, name, by)
    if enabled is not None:
        _set_enabled(role_id, enabled, by)
    return _load(role_row(role_id))


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
