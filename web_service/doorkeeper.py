"""Who came in and who was turned away, for the audit trail: the same thing once an hour.

A client that keeps a password shows it with each of fifty layers, and a script may try for ever what it may not. The
first time there is a line, at once; what repeats itself within the hour has none, and costs nothing but a look into
the memory. `asked` counts how often. Of one account from one place there are so many lines an hour at most, and the
last of them says so: who fills the trail fills it a little.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from shared.tokens import Scope
from web_service import sightings
from web_service.actors import Actor
from web_service.audit import Audit
from web_service.authentication import Login
from web_service.repeats import Repeats, Turn
from web_service.sightings import Sighting

MOST_SIGN_INS: Final = 1000
MOST_REFUSALS: Final = 200
"""Lines an hour of one account from one place, as `throttle` understands it."""
FURTHER: Final = {"further": "not recorded one by one"}
"""What the last of these lines says."""


class Doorkeeper:
    """Says which lines are due, without waiting for anything, and writes them."""

    def __init__(self, audit: Audit, clock: Callable[[], float] = time.monotonic) -> None:
        self._audit = audit
        self._repeats = Repeats(clock)

    def signed_in(self, by: Actor, login: Login, *, again: bool = False) -> list[Sighting]:
        """Return the line that is due for a program that was let in; `again` also for one that was here lately."""
        return self.due([sightings.signed_in(by, login)], again=again)

    def scopes_refused(
        self, by: Actor, login: Login | None, wanted: Iterable[Scope], granted: Iterable[Scope]
    ) -> list[Sighting]:
        """Return the lines that are due for what was asked for and not granted."""
        return self.due(sightings.scopes_refused(by, login, wanted, granted))

    def request_refused(self, by: Actor, login: Login | None, method: str, path: str, reason: str) -> list[Sighting]:
        """Return the line that is due for a request that its sender may not make."""
        return self.due([sightings.request_refused(by, login, method, path, reason)])

    def due(self, seen: Iterable[Sighting], *, again: bool = False) -> list[Sighting]:
        """Return which of these lines are due; `again` also of what was written lately."""
        found: list[Sighting] = []
        for one in seen:
            if not again and self._repeats.is_recent(one.what):
                continue
            turn = self._repeats.turn(one.what, one.account, MOST_REFUSALS if one.is_refusal else MOST_SIGN_INS)
            if turn is Turn.LAST:
                found.append(replace(one, line=replace(one.line, new={**one.line.new, **FURTHER})))
            elif turn is Turn.YES:
                found.append(one)
        return found

    async def write(self, due: Sequence[Sighting]) -> None:
        """Write lines, all or none; those of none are due again. Raises Unavailable."""
        try:
            await self._audit.record_all([one.line for one in due])
        except BaseException:
            for one in due:
                self._repeats.take_back(one.what, one.account)
            raise
