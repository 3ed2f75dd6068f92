"""What the doorkeeper may write down: who came in, and what was refused to whom, as a line of the audit trail."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.texts import clean
from shared.tokens import REPOSITORY, Scope
from web_service.actors import Actor
from web_service.audit import Line
from web_service.authentication import Login
from web_service.opaque import masked
from web_service.throttle import place_of

SIGNED_IN: Final = "signin"
SCOPE_REFUSED: Final = "scope.refused"
REQUEST_REFUSED: Final = "request.refused"

_LONGEST: Final = 255
_LONGEST_PATH: Final = 4096
_LONGEST_ACTION: Final = 32


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something that can be written, what it is known again by, and on whose account it goes."""

    line: Line
    what: tuple[object, ...]
    account: tuple[object, ...]

    @property
    def is_refusal(self) -> bool:
        """Whether somebody was turned away."""
        return self.line.action != SIGNED_IN


def signed_in(by: Actor, login: Login) -> Sighting:
    """Return a program that was let in."""
    shown = credential(login)
    return _sighting(by, SIGNED_IN, by.name, shown, tuple(shown.values()))


def scopes_refused(by: Actor, login: Login | None, wanted: Iterable[Scope], granted: Iterable[Scope]) -> list[Sighting]:
    """Return what was asked for and not granted."""
    given = {(scope.type, scope.name): scope.actions for scope in granted}
    found: list[Sighting] = []
    for scope in wanted:
        allowed = given.get((scope.type, scope.name), ())
        refused = sorted(action[:_LONGEST_ACTION] for action in scope.actions if action not in allowed)
        if refused:
            token = limited(login)
            new = {"refused": refused, **({"granted": list(allowed)} if allowed else {}), **token}
            found.append(_sighting(by, SCOPE_REFUSED, _subject(scope), new, (*refused, *token.values())))
    return found


def request_refused(by: Actor, login: Login | None, method: str, path: str, reason: str) -> Sighting:
    """Return a request that its sender may not make."""
    new = {"reason": reason, **limited(login)}
    return _sighting(by, REQUEST_REFUSED, f"{method} {_written(path)}", new, tuple(new.values()))


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


def _sighting(by: Actor, action: str, subject: str, new: Mapping[str, Any], told_by: tuple[object, ...]) -> Sighting:
    """Return a line; beside who, where and what it is `told_by` something from others."""
    who, subject = (by.user_id, by.name, by.via.value), clean(subject)[:_LONGEST]
    what = (action, who, by.address, subject, told_by)
    return Sighting(Line(by, action, subject, new), what, (action != SIGNED_IN, who, place_of(by.address)))


def _subject(scope: Scope) -> str:
    name = _written(scope.name)
    return name if scope.type == REPOSITORY else f"{scope.type}:{name}"


def _written(path: str) -> str:
    """Return a path as it may be written down: no part of it is a secret."""
    return "/".join(map(masked, path[:_LONGEST_PATH].split("/")))
