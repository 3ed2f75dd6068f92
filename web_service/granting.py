"""What a registry token grants: of the scopes that were asked for, what its asker may. Pure.

What is granted is what was asked for and is allowed, by the rules and by the limits of an access token; nothing is a
valid grant.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from shared.tokens import CATALOG_SCOPE_NAME, LIST_ACTION, REPOSITORY, Scope
from web_service.access import Rule, decide, readable, unreadable
from web_service.limits import Limits, narrowed, within

_EVERYTHING: Final = "*"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, from where, and what counts for them; no `name` means that nobody has signed in."""

    name: str
    address: str
    rules: tuple[Rule, ...]
    limits: Limits = ()
    is_admin: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided on one action on a repository."""

    repository: str
    action: str
    allowed: bool


@dataclass(frozen=True, slots=True)
class Granted:
    """The scopes of a token, what else may be read and what of it may not, and how that came about.

    `verdicts` are on repositories and within the limits; `reason` is that of the last scope, for the log.
    """

    scopes: tuple[Scope, ...]
    readable: tuple[str, ...]
    unreadable: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    reason: str


def grant(asker: Asker, wanted: Sequence[Scope]) -> Granted:
    """Decide on everything that was asked for."""
    scopes: list[Scope] = []
    verdicts: list[Verdict] = []
    reason = ""
    for scope in wanted:
        actions = _catalog_actions(asker, scope)
        if scope.type == REPOSITORY:
            asked = within(asker.limits, asker.name, scope.name, scope.actions)
            decision = decide(asker.rules, scope.name, asker.address, asked)
            actions = decision.granted
            reason = decision.reason if asked else "limits of the access token"
            verdicts += [Verdict(scope.name, action, action in actions) for action in asked]
        if actions:
            scopes.append(Scope(scope.type, scope.name, actions))
    return Granted(tuple(scopes), *_readable(asker, scopes), tuple(verdicts), reason)


def _readable(asker: Asker, granted: Iterable[Scope]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what else may be pulled and what of it may not, where the registry has a use for it: mounting, listing."""
    useful = any("push" in scope.actions or LIST_ACTION in scope.actions for scope in granted)
    more = narrowed(asker.limits, asker.name, readable(asker.rules, asker.address)) if useful else ()
    return more, unreadable(asker.rules, asker.address) if more else ()


def _catalog_actions(asker: Asker, scope: Scope) -> tuple[str, ...]:
    """Return what may be done with the catalog: an administrator sees it whole, others what they may pull.

    An administrator to whom something is denied, or who has signed in with a limited token, is one of the others.
    """
    if scope.type != "registry" or scope.name != CATALOG_SCOPE_NAME or _EVERYTHING not in scope.actions:
        return ()
    whole = asker.is_admin and not asker.limits and not unreadable(asker.rules, asker.address)
    return (_EVERYTHING,) if whole else (LIST_ACTION,)
