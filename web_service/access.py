"""Who may do what: rules x (repository, address, requested actions) -> granted actions, with the reason. No I/O.

A rule says: from these addresses, on these repositories, this level. Rules add up and never take away; their order
means nothing. What is granted is what was requested and is allowed. The program we replace granted what is allowed
whatever was requested.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.globs import InvalidGlob, compile_glob
from shared.names import InvalidName, check_repository
from web_service.errors import N_, Problem

LOCAL: Final = "local"
"""The address under which the console asks whether a user may delete."""

CONSOLE: Final = "registry-web"
"""The subject under which the console itself reads the registry; no user may have this name."""

ANY_ACTION: Final = "*"


class Level(StrEnum):
    """What a rule allows, as it is stored and chosen."""

    NONE = "none"
    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"
    ADMIN = "admin"
    UI_DELETE = "ui-delete"


ACTIONS: Final[dict[Level, tuple[str, ...]]] = {
    Level.NONE: (),
    Level.PULL: ("pull",),
    Level.PUSH: ("pull", "push"),
    # As in Docker's token specification a deletion needs `delete` alone; who cleans up must be able to look (pull),
    # but need not be able to replace an image (push).
    Level.DELETE: ("pull", "delete"),
    Level.ADMIN: ("pull", "push", "delete", ANY_ACTION),
    Level.UI_DELETE: ("ui-delete",),
}
"""The actions of each level; `*` stands for every action of the registry."""


class Unusable(Problem):
    """The pattern cannot stand in a rule; the message goes on after "it"."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a role. `address` is a glob, a network or an address; `repository` a glob."""

    address: str
    repository: str
    level: Level
    role: str = ""

    def applies(self, repository: str, address: str) -> bool:
        """Return whether the rule speaks of this repository and this address."""
        return address_matches(self.address, address) and _glob_matches(self.repository, repository)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was granted, in the order of the request, and why, for the log."""

    granted: tuple[str, ...]
    reason: str


def allowed_actions(rules: Iterable[Rule], repository: str, address: str) -> tuple[str, ...]:
    """Return all that the rules allow on a repository from an address, in rule order, without repetition."""
    matching = (rule for rule in rules if rule.applies(repository, address))
    return tuple(dict.fromkeys(action for rule in matching for action in ACTIONS[rule.level]))


def decide(rules: Iterable[Rule], repository: str, address: str, requested: Iterable[str]) -> Decision:
    """Return the requested actions that are allowed."""
    try:
        check_repository(repository)
    except InvalidName:
        return Decision((), "not a repository name")
    matching = [rule for rule in rules if rule.applies(repository, address)]
    if not matching:
        return Decision((), "no rule applies")
    allowed = {action for rule in matching for action in ACTIONS[rule.level]}
    granted = tuple(action for action in requested if action in allowed or _covered(action, allowed))
    roles = ",".join(dict.fromkeys(rule.role for rule in matching if rule.role))
    return Decision(granted, f"roles {roles}" if roles else "rules apply")


def readable(rules: Iterable[Rule], address: str) -> tuple[str, ...]:
    """Return the globs of all repositories that may be pulled from an address."""
    reading = (rule for rule in rules if "pull" in ACTIONS[rule.level] and address_matches(rule.address, address))
    return tuple(dict.fromkeys(rule.repository for rule in reading))


def check_repository_glob(pattern: str) -> str:
    """Return the pattern when it can be used in a rule; raises Unusable."""
    if not pattern:
        raise Unusable(N_("is empty; ** stands for every repository"))
    _check_glob(pattern)
    return pattern


def check_address(pattern: str) -> str:
    """Return the address pattern when it can be used in a rule; raises Unusable."""
    if not pattern:
        raise Unusable(N_("is empty; * stands for every address"))
    if "/" in pattern and _network(pattern) is None:
        raise Unusable(N_("is not a network such as 10.0.0.0/8 or 2001:db8::/32"))
    _check_glob(pattern)
    return pattern


def _check_glob(pattern: str) -> None:
    try:
        compile_glob(pattern)
    except InvalidGlob as error:
        raise Unusable(error.message, **error.values) from None


def address_matches(pattern: str, address: str) -> bool:
    """Return whether an address is meant by a network, by an address in any spelling, or by a glob."""
    client = _address(address)
    if client is not None:
        network = _network(pattern)
        if network is not None:
            return client.version == network.version and client in network
        address = str(client)
    return _glob_matches(pattern, address)


def _covered(action: str, allowed: set[str]) -> bool:
    return ANY_ACTION in allowed and action != "ui-delete"


def _glob_matches(pattern: str, value: str) -> bool:
    try:
        return compile_glob(pattern).matches(value)
    except InvalidGlob:  # written before patterns were checked, or by hand: it means nothing
        return False


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
