"""Trying a change of rules before it is made: who would lose or gain what they asked for in the last days.

The change is made in a transaction, the rights of everybody are read as they would be, and the transaction is undone.
So what is tried is the very code that would make the change. Decided anew is only what a changed rule can concern.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from web_service.access import ACTIONS, Rule, covers, decide
from web_service.accounts import load_users, public_rules
from web_service.actors import SYSTEM
from web_service.asked import AskedFor, Times
from web_service.db import Database
from web_service.errors import Busy
from web_service.models import UserRow
from web_service.patterns import OWN_NAME
from web_service.roles import RuleDraft, add_rule, delete_rule, edit_rule

DAYS: Final = 14
"""So many days are looked at."""
_TURN: Final = 20
"""After so many places the others have their turn: to compute without a break would make every answer wait."""
_BREAK_SECONDS: Final = 0.0002
"""Not 0: a thread that gives way for no time may well be the next to go on."""

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


@dataclass(frozen=True, slots=True)
class _Change:
    """The rules that count for one account: those that do `before` and `after`, and those that do either way."""

    kept: tuple[Rule, ...]
    before: tuple[Rule, ...]
    after: tuple[Rule, ...]


class _Undo(Exception):
    """Ends the transaction of a trial without a trace."""

    def __init__(self, before: _Rights, after: _Rights) -> None:
        super().__init__()
        self.before = before
        self.after = after


class Simulation:
    """Tries changes of rules, one at a time; raises Busy for another, and what the change itself would raise."""

    def __init__(self, database: Database, asked: AskedFor) -> None:
        self._database = database
        self._asked = asked
        self._busy = False

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
        if self._busy:
            raise Busy
        self._busy, given_up = True, threading.Event()
        try:
            asked = await self._asked.since(DAYS)
            before, after = await self._rights(change)
            differences = await asyncio.to_thread(_compare, asked, before, after, given_up)
        finally:
            given_up.set()
            self._busy = False
        return Trial(differences, len(asked), DAYS)

    async def _rights(self, change: Callable[[], object]) -> tuple[_Rights, _Rights]:
        try:
            await self._database.write(_change_and_undo, change)
        except _Undo as undo:
            return undo.before, undo.after
        raise AssertionError("a trial is always undone")


def _change_and_undo(change: Callable[[], object]) -> None:
    before = _rights()
    change()
    raise _Undo(before, _rights())


def _rights() -> _Rights:
    users = load_users(UserRow.select().where(UserRow.enabled))
    return {"": public_rules() or (), **{user.name: user.rules for user in users}}


class _Speaking:
    """Finds the rules that apply. Most stand in a role of many users: such a pattern is matched once a repository."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._shared = {(rule.repository, rule.denies): rule for rule in rules if OWN_NAME not in rule.repository}
        self._found: dict[str, set[tuple[str, bool]]] = {}

    def applying(self, rules: Iterable[Rule], repository: str, address: str) -> list[Rule]:
        """Return the rules that apply."""
        found = self._of(repository)
        return [
            rule
            for rule in rules
            if (OWN_NAME in rule.repository or (rule.repository, rule.denies) in found)
            and rule.applies(repository, address)
        ]

    def _of(self, repository: str) -> set[tuple[str, bool]]:
        found = self._found.get(repository)
        if found is None:
            found = {key for key, rule in self._shared.items() if rule.speaks_of(repository)}
            self._found[repository] = found
        return found


def _compare(
    asked: Iterable[Times], before: _Rights, after: _Rights, given_up: threading.Event
) -> tuple[Difference, ...]:
    """Return what differs. Runs in a thread of its own, for it may be much to compute; stops when nobody waits."""
    found: list[Difference] = []
    changes = _changes(before, after)
    changed = _Speaking(rule for one in changes.values() for rule in (*one.before, *one.after))
    kept = _Speaking(rule for one in changes.values() for rule in one.kept)
    for number, (change, place) in enumerate(_places(asked, changes)):
        if number % _TURN == 0:
            time.sleep(_BREAK_SECONDS)
        if given_up.is_set():
            break
        found += _differences(change, place, changed, kept)
    return tuple(sorted(found, key=lambda one: (one.gained, -one.last, one.user, one.repository, one.action)))


def _changes(before: _Rights, after: _Rights) -> dict[str, _Change]:
    """Return what changes for whom; whose rules stay as they are is not in it."""
    found = {}
    for user in before.keys() | after.keys():
        was, will_be = before.get(user, ()), after.get(user, ())
        if was != will_be:
            kept = frozenset(was) & frozenset(will_be)
            found[user] = _Change(tuple(kept), tuple(set(was) - kept), tuple(set(will_be) - kept))
    return found


def _places(asked: Iterable[Times], changes: Mapping[str, _Change]) -> Iterator[tuple[_Change, list[Times]]]:
    """Return what one account asked for on one repository from one address, where its rules change."""
    found: dict[tuple[str, str, str], list[Times]] = {}
    for one in asked:
        what = one.asked
        if what.user in changes:
            found.setdefault((what.user, what.repository, what.address), []).append(one)
    by_user = sorted(found.items(), key=lambda item: item[0])  # what is remembered of patterns is of use for longer
    return ((changes[user], place) for (user, _, _), place in by_user)


def _differences(change: _Change, place: list[Times], changed: _Speaking, kept: _Speaking) -> Iterator[Difference]:
    """Return what is decided otherwise; nothing is decided where no rule that changes says anything."""
    repository, address = place[0].asked.repository, place[0].asked.address
    before, after = (changed.applying(rules, repository, address) for rules in (change.before, change.after))
    actions = [one.asked.action for one in place if _concern([*before, *after], one.asked.action)]
    if not actions:
        return
    others = kept.applying(change.kept, repository, address)
    was, will_be = (decide([*others, *rules], repository, address, actions).granted for rules in (before, after))
    for one in place:
        what = one.asked
        if (what.action in was) != (what.action in will_be):
            yield Difference(what.user, address, repository, what.action, what.action in will_be, one.times, one.last)


def _concern(rules: Iterable[Rule], action: str) -> bool:
    """Return whether rules that apply can give or take an action."""
    return any(rule.denies or covers(ACTIONS[rule.level], action) for rule in rules)
