"""Who asks for a token: what is granted to them, and what of that is to be written down.

Working it out waits for nothing and depends on nothing but the user as read, the address and what is wanted. So it is
remembered for who comes again with the password or an access token while user and token are what was read before:
whether that is so, is looked at with every request (`unchanged`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from shared.tokens import Scope
from web_service.access import Rule
from web_service.actors import Actor, Via
from web_service.asked import Asked
from web_service.authentication import Login
from web_service.cache import Cache
from web_service.granting import Asker, Granted, grant
from web_service.sightings import Sighting, scopes_refused, signed_in

_LONGEST_LOGGED: Final = 1000
"""Characters of scopes in a log line: anybody may ask for as many as a request holds."""
_MOST_KEPT: Final = 1024
_MOST_SCOPES_KEPT: Final = 4
_LONGEST_NAME_KEPT: Final = 255
"""A longer question is not remembered: users may ask for what they like."""


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody with what they get; who has not signed in has no name, and has not `come_in`.

    `asked`, `come_in` and `refused` are for the records, `facts` for the log.
    """

    by: Actor
    granted: Granted
    limited: bool
    come_in: tuple[Sighting, ...]
    refused: tuple[Sighting, ...]
    asked: tuple[Asked, ...]
    facts: dict[str, object]


class Guests:
    """Says what guests get."""

    def __init__(self) -> None:
        self._kept = Cache[tuple[Login, Guest]](_MOST_KEPT)

    def known(self, login: Login, address: str, wanted: tuple[Scope, ...]) -> Guest:
        """Return somebody who has signed in."""
        is_short = len(wanted) <= _MOST_SCOPES_KEPT and all(len(one.name) <= _LONGEST_NAME_KEPT for one in wanted)
        if login.refresh_token is not None or not is_short:
            return _known(login, address, wanted)
        question = (login.user.id, login.token.id if login.token else 0, address, wanted)
        kept = self._kept.get(question)
        if kept is None or kept[0].user is not login.user or kept[0].token is not login.token:
            kept = (login, _known(login, address, wanted))
            self._kept.put(question, kept)
        return kept[1]

    def stranger(self, rules: tuple[Rule, ...], address: str, wanted: tuple[Scope, ...]) -> Guest:
        """Return somebody who has not signed in, for whom these rules count."""
        return _guest(Asker("", address, rules), Actor("", Via.DOCKER, address), None, wanted)


def joined(scopes: Iterable[Scope]) -> str:
    """Return scopes in one text, as clients write them."""
    return " ".join(map(str, scopes))


def logged(scopes: Iterable[Scope]) -> str:
    """Return scopes as they stand in a log line."""
    return joined(scopes)[:_LONGEST_LOGGED]


def _known(login: Login, address: str, wanted: tuple[Scope, ...]) -> Guest:
    user = login.user
    asker = Asker(user.name, address, user.rules, login.limits, user.is_admin)
    return _guest(asker, Actor(user.name, Via.DOCKER, address, user.id), login, wanted)


def _guest(asker: Asker, by: Actor, login: Login | None, wanted: tuple[Scope, ...]) -> Guest:
    granted = grant(asker, wanted)
    return Guest(
        by,
        granted,
        bool(asker.limits),
        (signed_in(by, login),) if login else (),
        tuple(scopes_refused(by, login, wanted, granted.scopes)),
        tuple(Asked(by.name, by.address, one.repository, one.action, one.allowed) for one in granted.verdicts),
        {"user": by.name, "scope": logged(wanted), "granted": logged(granted.scopes)},
    )
