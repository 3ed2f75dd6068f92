"""Groups: users who share roles."""

import re
from dataclasses import dataclass

from web_service import roles
from web_service.actors import Actor
from web_service.administrators import change, check_an_admin_is_left
from web_service.audit import record
from web_service.db import Database
from web_service.errors import N_, Conflict, Invalid, NotFound
from web_service.models import GroupGrantRow, GroupRow, MemberRow, RoleRow, UserRow
from web_service.roles import Holder
from web_service.users import user_row

_NAME = re.compile(r"\w[\w .@+-]{0,63}")
_LONGEST_COMMENT = 255


@dataclass(frozen=True, slots=True)
class Group:
    """A group with its members and the roles that they all have."""

    id: int
    name: str
    comment: str
    members: tuple[Holder, ...]
    roles: tuple[Holder, ...]


class Groups:
    """All that can be asked and done about groups; every method is one transaction, recorded in the audit trail."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Group]:
        """Return every group, by name."""
        return await self._database.read(lambda: [_load(row) for row in GroupRow.select().order_by(GroupRow.name)])

    async def get(self, group_id: int) -> Group:
        """Return one group; raises NotFound."""
        return await self._database.read(lambda: _load(_row(group_id)))

    async def named(self, name: str) -> Group | None:
        """Return the group of that name."""
        return await self._database.read(_named, name)

    async def create(self, name: str, comment: str = "", *, by: Actor) -> Group:
        """Add a group without members; raises Invalid or Conflict."""
        return await change(self._database, by, _create, name, comment, by)

    async def update(self, group_id: int, name: str, comment: str, *, by: Actor) -> None:
        """Give a group another name and comment; raises Invalid or Conflict."""
        await change(self._database, by, _update, group_id, name, comment, by)

    async def delete(self, group_id: int, *, by: Actor) -> Group:
        """Remove a group and return what it was. Raises Refused when nobody could administer without it."""
        return await change(self._database, by, _delete, group_id, by)

    async def add_member(self, group_id: int, user_id: int, *, by: Actor) -> None:
        """Take a user in; a second time changes nothing."""
        await change(self._database, by, _add_member, group_id, user_id, by)

    async def remove_member(self, group_id: int, user_id: int, *, by: Actor) -> None:
        """Let a user go. Raises Refused for the last administrator."""
        await change(self._database, by, _remove_member, group_id, user_id, by)

    async def grant(self, group_id: int, role_id: int, *, by: Actor) -> None:
        """Give all members a role; a second time changes nothing. Raises Refused for `anonymous`."""
        await change(self._database, by, _grant, group_id, role_id, by)

    async def revoke(self, group_id: int, role_id: int, *, by: Actor) -> None:
        """Take a role from all members. Raises Refused when nobody could administer without it."""
        await change(self._database, by, _revoke, group_id, role_id, by)


def _row(group_id: int) -> GroupRow:
    row: GroupRow | None = GroupRow.get_or_none(GroupRow.id == group_id)
    if row is None:
        raise NotFound(N_("There is no such group."))
    return row


def _named(name: str) -> Group | None:
    row = GroupRow.get_or_none(GroupRow.name == name)
    return None if row is None else _load(row)


def _load(row: GroupRow) -> Group:
    members = UserRow.select().join(MemberRow).where(MemberRow.group == row.id).order_by(UserRow.name)
    held = RoleRow.select().join(GroupGrantRow).where(GroupGrantRow.group == row.id).order_by(RoleRow.name)
    return Group(
        row.id,
        row.name,
        row.comment,
        tuple(Holder(user.id, user.name) for user in members),
        tuple(Holder(role.id, role.name) for role in held),
    )


def _check(name: str, comment: str) -> None:
    if not _NAME.fullmatch(name):
        raise Invalid(N_("A group name has up to 64 letters, digits, spaces or . _ - @ + and starts with a letter."))
    if len(comment) > _LONGEST_COMMENT:
        raise Invalid(N_("A comment has at most %(most)d characters."), most=_LONGEST_COMMENT)


def _check_free(name: str) -> None:
    if GroupRow.select().where(GroupRow.name == name).exists():
        raise Conflict(N_("There is already a group named %(name)s."), name=name)


def _create(name: str, comment: str, by: Actor) -> Group:
    _check(name, comment)
    _check_free(name)
    row = GroupRow.create(name=name, comment=comment.strip())
    record(by, "group.create", name)
    return _load(row)


def _update(group_id: int, name: str, comment: str, by: Actor) -> None:
    row = _row(group_id)
    _check(name, comment)
    if row.name != name:
        _check_free(name)
    old = {"name": row.name, "comment": row.comment}
    row.name, row.comment = name, comment.strip()
    new = {"name": row.name, "comment": row.comment}
    if old != new:
        row.save()
        record(by, "group.edit", name, old=old, new=new)


def _delete(group_id: int, by: Actor) -> Group:
    row = _row(group_id)
    group = _load(row)
    row.delete_instance()
    check_an_admin_is_left()
    old = {"members": [one.name for one in group.members], "roles": [one.name for one in group.roles]}
    record(by, "group.delete", group.name, old=old)
    return group


def _add_member(group_id: int, user_id: int, by: Actor) -> None:
    group, user = _row(group_id), user_row(user_id)
    if MemberRow.insert(group=group, user=user).on_conflict_ignore().as_rowcount().execute():
        record(by, "group.join", group.name, new={"member": user.name})


def _remove_member(group_id: int, user_id: int, by: Actor) -> None:
    group, user = _row(group_id), user_row(user_id)
    if MemberRow.delete().where((MemberRow.group == group_id) & (MemberRow.user == user_id)).execute():
        check_an_admin_is_left()
        record(by, "group.leave", group.name, old={"member": user.name})


def _grant(group_id: int, role_id: int, by: Actor) -> None:
    group, role = _row(group_id), roles.role_row(role_id)
    roles.check_grantable(role)
    if GroupGrantRow.insert(group=group, role=role).on_conflict_ignore().as_rowcount().execute():
        record(by, "group.grant", group.name, new={"role": role.name})


def _revoke(group_id: int, role_id: int, by: Actor) -> None:
    group, role = _row(group_id), roles.role_row(role_id)
    if GroupGrantRow.delete().where((GroupGrantRow.group == group_id) & (GroupGrantRow.role == role_id)).execute():
        check_an_admin_is_left()
        record(by, "group.revoke", group.name, old={"role": role.name})
