"""What an access token may do at most: a part of what its owner may. Pure.

A token without limits may do all that its owner may. With limits it may do, of that, what one of them names.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from web_service.access import LOCAL, Level, Rule, allowed_actions, covers
from web_service.errors import N_, Invalid
from web_service.patterns import Unusable, check_repository_glob, glob_matches, is_plain

LEVELS: Final = (Level.PULL, Level.PUSH, Level.DELETE, Level.ADMIN)
"""What a limit may say."""
MOST: Final = 50


@dataclass(frozen=True, slots=True)
class Limit:
    """On these repositories, at most this."""

    repository: str
    level: Level

    @classmethod
    def parse(cls, text: str) -> "Limit":
        """Read `glob:level`, as in team/**:push; raises Invalid."""
        repository, _, level = text.strip().rpartition(":")
        try:
            return cls.of(repository, Level(level))
        except ValueError:
            raise Invalid(N_("A limit has the form repository:level, as in team/**:push.")) from None

    @classmethod
    def of(cls, repository: str, level: Level) -> "Limit":
        """Return a limit that can be used; raises Invalid."""
        if level not in LEVELS:
            raise Invalid(N_("A limit has one of the levels pull, push, delete and admin."))
        try:
            return cls(check_repository_glob(repository.strip()), level)
        except Unusable as error:
            raise Invalid(
                N_("The repository %(text)s cannot be used: it %(reason)s."), text=repository, reason=error
            ) from None

    def __str__(self) -> str:
        return f"{self.repository}:{self.level}"


Limits = tuple[Limit, ...]


def check_limits(limits: Sequence[Limit]) -> Limits:
    """Return limits without repetition; raises Invalid when there are too many."""
    if len(limits) > MOST:
        raise Invalid(N_("A token has at most %(most)d limits."), most=MOST)
    return tuple(dict.fromkeys(limits))


def within(limits: Limits, user: str, repository: str, actions: Iterable[str]) -> tuple[str, ...]:
    """Return which of the actions the limits leave."""
    if not limits:
        return tuple(actions)
    rules = [Rule("*", limit.repository, limit.level, user=user) for limit in limits]
    left = allowed_actions(rules, repository, LOCAL)
    return tuple(action for action in actions if covers(left, action))


def narrowed(limits: Limits, user: str, globs: Iterable[str]) -> tuple[str, ...]:
    """Return globs of what is readable within the limits: never more than is, and less where globs only overlap."""
    if not limits:
        return tuple(globs)
    own = [Rule("*", limit.repository, limit.level, user=user).glob for limit in limits]
    both = (_both(one, other) for one in globs for other in own)
    return tuple(dict.fromkeys(glob for glob in both if glob))


def _both(one: str, other: str) -> str:
    for wide, narrow in ((one, other), (other, one)):
        if wide in ("**", narrow) or (is_plain(narrow) and glob_matches(wide, narrow)):
            return narrow
    return ""


def to_text(limits: Limits) -> str:
    """Return limits as they are stored."""
    return json.dumps([[limit.repository, limit.level.value] for limit in limits]) if limits else ""


def from_text(text: str) -> Limits:
    """Read what `to_text` wrote."""
    return tuple(Limit(repository, Level(level)) for repository, level in json.loads(text)) if text else ()
