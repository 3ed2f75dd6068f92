"""Who administers, and whether who acts still may: asked within the transaction of a change, so that it holds with it.

A request may take its time between the look at its sender's rights and the change that it makes; in between the sender
may be deleted, disabled, or no administrator any more. For the modules that hold rows.
"""

from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from web_service.actors import Actor
from web_service.db import Database
from web_service.errors import N_, Refused
from web_service.models import GrantRow, GroupGrantRow, MemberRow, RoleRow, UserRow

P = ParamSpec("P")
R = TypeVar("R")

UI_ADMIN: Final = "UI_ADMIN"
"""The special role that lets administer."""


async def change(database: Database, by: Actor, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a function that writes, after a look at who acts, as one transaction; raises Refused, or what it raises."""

    def checked() -> R:
        check_actor(by)
        return function(*args, **kwargs)

    return await database.write(checked)


def check_actor(by: Actor) -> None:
    """See that who acts is still there, open, and an administrator where that is needed; raises Refused.

    The name is looked at as well as the id, for older versions gave the id of a deleted user to a new one.
    """
    if not by.user_id:
        return
    row: UserRow | None = UserRow.get_or_none(UserRow.id == by.user_id)
    if row is None or row.name != by.name or not row.enabled:
        raise Refused(N_("Your account was closed or renamed in the meantime; nothing was changed."))
    if by.as_admin and by.user_id not in administrators():
        raise Refused(N_("You are no administrator any more; nothing was changed."))


def administrators() -> set[int]:
    """Return the ids of all open accounts, robots among them, that administer, by themselves or through a group."""
    holds = (RoleRow.name == UI_ADMIN) & RoleRow.enabled & UserRow.enabled
    own = UserRow.select(UserRow.id).join(GrantRow).join(RoleRow).where(holds)
    by_group = (
        UserRow.select(UserRow.id)
        .join(MemberRow)
        .join(GroupGrantRow, on=(GroupGrantRow.group == MemberRow.group))
        .join(RoleRow)
        .where(holds)
    )
    return {row.id for query in (own, by_group) for row in query}


def check_an_admin_is_left() -> None:
    """See within a transaction that somebody can administer after it; raises Refused, which undoes it.

    Robots, and people who have no password yet, cannot help anybody out.
    """
    people = UserRow.select().where(UserRow.id.in_(administrators()) & ~UserRow.robot & (UserRow.password_hash != ""))
    if not people.exists():
        raise Refused(N_("This is the last administrator; make somebody else an administrator first."))
