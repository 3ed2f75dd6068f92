"""Trying a change of rules before it is made: who would lose or gain what they asked for in the last days.

The change is made in a transaction, the rights of everybody are read as they would be, and the transaction is undone.
So what is tried is the very code that would make the change.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from web_service.access import Rule, decide
from web_service.accounts import load_users, public_rules
from web_service.asked import AskedFor, Times
from web_service.audit import SYSTEM
from web_service.db import Database
from web_service.models import UserRow
from web_service.roles import RuleDraft, add_rule, delete_rule, edit_rule

DAYS: Final = 14
"""So many days are looked at."""

_Rights = Mapping[str, tuple[Rule, ...]]
"""The rules that count for each open account by name; the empty name is for who has not signed in."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that was asked for and is allowed before the change only, or after it only (`gained`)."""

    user: str
    address: str
    repository: str
    action: str
    gained: bool
    times: int
    last: int


@dataclass(frozen=True, slots=True)
class Trial:
    """What would be different, losses first, among so many different requests of so many days."""

    differences: tuple[Difference, ...]
    looked_at: int
    days: int


class _Undo(Exception):
    """Ends the transaction of a trial without a trace."""

    def __init__(self, before: _Rights, after: _Rights) -> None:
        super().__init__()
        self.before = before
        self.after = after


class Simulation:
    """Tries changes of rules; raises what the change itself would raise."""

    def __init__(self, database: Database, asked: AskedFor) -> None:
        self._database = database
        self._asked = asked

    async def add_rule(self, role_id: int, draft: RuleDraft) -> Trial:
        """Try a new rule."""
        return await self._try(lambda: add_rule(role_id, draft, SYSTEM))

    async def edit_rule(self, role_id: int, rule_id: int, draft: RuleDraft) -> Trial:
        """Try another content of a rule."""
        return await self._try(lambda: edit_rule(role_id, rule_id, draft, SYSTEM))

    async def delete_rule(self, role_id: int, rule_id: int) -> Trial:
        """Try to do without a rule."""
        return await self._try(lambda: delete_rule(role_id, rule_id, SYSTEM))

    async def _try(self, change: Callable[[], object]) -> Trial:
        asked = await self._asked.since(DAYS)
        try:
            await self._database.write(_change_and_undo, change)
        except _Undo as undo:
            differences = await self._database.read(_compare, asked, undo.before, undo.after)
            return Trial(differences, len(asked), DAYS)
        raise AssertionError("a trial is always undone")


def _change_and_undo(change: Callable[[], object]) -> None:
    before = _rights()
    change()
    raise _Undo(before, _rights())


def _rights() -> _Rights:
    users = load_users(UserRow.select().where(UserRow.enabled))
    return {"": public_rules() or (), **{user.name: user.rules for user in users}}


def _compare(asked: Iterable[Times], before: _Rights, after: _Rights) -> tuple[Difference, ...]:
    """Return what differs. Runs in a thread of the database, for it may be much to compute."""
    found = []
    for one in asked:
        was, will_be = (_allows(rights, one) for rights in (before, after))
        if was != will_be:
            what = one.asked
            found.append(
                Difference(what.user, what.address, what.repository, what.action, will_be, one.times, one.last)
            )
    return tuple(sorted(found, key=lambda one: (one.gained, -one.last, one.user, one.repository, one.action)))


def _allows(rights: _Rights, one: Times) -> bool:
    rules = rights.get(one.asked.user, ())
    return bool(decide(rules, one.asked.repository, one.asked.address, (one.asked.action,)).granted)
