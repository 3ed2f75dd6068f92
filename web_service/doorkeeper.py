"""Who came in and who was turned away, for the audit trail: the same thing once an hour.

A client that keeps a password shows it with each of fifty layers, and a script may try for ever what it may not. The
first time there is a line, at once; what repeats itself within the hour has none, and costs nothing but a look into
the memory. `asked` counts how often. Of one account from one place there are so many lines an hour at most, and the
last of them says so: who fills the trail fills it a little.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.texts import clean
from shared.tokens import REPOSITORY, Scope
from web_service.actors import Actor
from web_service.audit import Audit, Line
from web_service.authentication import Login
from web_service.opaque import masked
from web_service.repeats import Repeats, Turn
from web_service.throttle import place_of

SIGNED_IN: Final = "signin"
SCOPE_REFUSED: Final = "scope.refused"
REQUEST_REFUSED: Final = "request.refused"

MOST_SIGN_INS: Final = 1000
MOST_REFUSALS: Final = 200
"""Lines an hour of one account from one place, as `throttle` understands it."""
FURTHER: Final = {"further": "not recorded one by one"}
"""What the last of these lines says."""
_LONGEST: Final = 255
_LONGEST_PATH: Final = 4096
_LONGEST_ACTION: Final = 32


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something that is to be written, and what it is remembered by."""

    line: Line
    what: tuple[object, ...]
    account: tuple[object, ...]


class Doorkeeper:
    """Says which lines are due, without waiting for anything, and writes them."""

    def __init__(self, audit: Audit, clock: Callable[[], float] = time.monotonic) -> None:
        self._audit = audit
        self._repeats = Repeats(clock)

    def signed_in(self, by: Actor, login: Login, *, again: bool = False) -> list[Sighting]:
        """Return the line that is due for a program that was let in; `again` also for one that was here lately."""
        shown = credential(login)
        return self._due(by, SIGNED_IN, by.name, shown, tuple(shown.values()), again=again)

    def scopes_refused(
        self, by: Actor, login: Login | None, wanted: Iterable[Scope], granted: Iterable[Scope]
    ) -> list[Sighting]:
        """Return the lines that are due for what was asked for and not granted."""
        given = {(scope.type, scope.name): scope.actions for scope in granted}
        found: list[Sighting] = []
        for scope in wanted:
            allowed = given.get((scope.type, scope.name), ())
            refused = sorted(action[:_LONGEST_ACTION] for action in scope.actions if action not in allowed)
            if refused:
                token = limited(login)
                new = {"refused": refused, **({"granted": list(allowed)} if allowed else {}), **token}
                found += self._due(by, SCOPE_REFUSED, _subject(scope), new, (*refused, *token.values()))
        return found

    def request_refused(self, by: Actor, login: Login | None, method: str, path: str, reason: str) -> list[Sighting]:
        """Return the line that is due for a request that its sender may not make."""
        new = {"reason": reason, **limited(login)}
        return self._due(by, REQUEST_REFUSED, f"{method} {_written(path)}", new, tuple(new.values()))

    async def write(self, sightings: Sequence[Sighting]) -> None:
        """Write lines, all or none; those of none are due again. Raises Unavailable."""
        try:
            await self._audit.record_all([one.line for one in sightings])
        except BaseException:
            for one in sightings:
                self._repeats.take_back(one.what, one.account)
            raise

    def _due(
        self,
        by: Actor,
        action: str,
        subject: str,
        new: Mapping[str, Any],
        told_by: tuple[object, ...],
        *,
        again: bool = False,
    ) -> list[Sighting]:
        """Return the line if it is due; beside who, where and what it is `told_by` something from others."""
        who, subject = (by.user_id, by.name, by.via.value), clean(subject)[:_LONGEST]
        what = (action, who, by.address, subject, told_by)
        if not again and self._repeats.is_recent(what):
            return []
        is_refusal = action != SIGNED_IN
        account = (is_refusal, who, place_of(by.address))
        turn = self._repeats.turn(what, account, MOST_REFUSALS if is_refusal else MOST_SIGN_INS)
        if turn is Turn.NO:
            return []
        line = Line(by, action, subject, {**new, **FURTHER} if turn is Turn.LAST else new)
        return [Sighting(line, what, account)]


def credential(login: Login) -> dict[str, object]:
    """Return with what somebody signed in, as it may be written down."""
    if login.token is not None:
        return {"credential": "access token", "token": login.token.name, "token_id": login.token.id}
    if login.refresh_token is not None:
        held = login.refresh_token
        return {"credential": "refresh token", "client": held.client, "token_id": held.id}
    return {"credential": "password"}


def limited(login: Login | None) -> dict[str, object]:
    """Return the access token that somebody came with, for it may less than its owner."""
    return {"token": login.token.name, "token_id": login.token.id} if login and login.token else {}


def _subject(scope: Scope) -> str:
    name = _written(scope.name)
    return name if scope.type == REPOSITORY else f"{scope.type}:{name}"


def _written(path: str) -> str:
    """Return a path as it may be written down: no part of it is a secret."""
    return "/".join(map(masked, path[:_LONGEST_PATH].split("/")))
