"""What stands in a rule: globs of repositories, with the user's own name in them, and addresses. No I/O."""

import ipaddress
from typing import Final

from shared.globs import InvalidGlob, compile_glob
from web_service.errors import N_, Problem

OWN_NAME: Final = "{user}"
"""What stands for the user's own name in the repository of a rule."""

_LONGEST_NAME: Final = 64
_GLOB_CHARACTERS: Final = frozenset("*?[]{},\\")


class Unusable(Problem):
    """The pattern cannot stand in a rule; the message goes on after "it"."""


def check_repository_glob(pattern: str) -> str:
    """Return the pattern when it can be used in a rule; raises Unusable."""
    if not pattern:
        raise Unusable(N_("is empty; ** stands for every repository"))
    _check_glob(own_glob(pattern, "x" * _LONGEST_NAME))
    return pattern


def check_address(pattern: str) -> str:
    """Return the address pattern when it can be used in a rule; raises Unusable."""
    if not pattern:
        raise Unusable(N_("is empty; * stands for every address"))
    if "/" in pattern and _network(pattern) is None:
        raise Unusable(N_("is not a network such as 10.0.0.0/8 or 2001:db8::/32"))
    _check_glob(pattern)
    return pattern


def own_glob(pattern: str, user: str) -> str:
    """Return a glob with the name of a user in place of `{user}`, each of its characters standing for itself.

    Empty, which matches nothing, when a name is needed and there is none. Within a character class, or after a
    backslash, `{user}` is no variable. `{user,team}` is a group as ever.
    """
    parts, at, own = [], 0, "".join(f"\\{one}" if one in _GLOB_CHARACTERS else one for one in user)
    while at < len(pattern):
        end = at + (2 if pattern[at] == "\\" else 1)
        if pattern[at] == "[":
            end = pattern.find("]", at) + 1 or len(pattern)
        elif pattern.startswith(OWN_NAME, at):
            if not user:
                return ""
            parts.append(own)
            at += len(OWN_NAME)
            continue
        parts.append(pattern[at:end])
        at = end
    return "".join(parts)


def is_plain(pattern: str) -> bool:
    """Return whether a glob is just a name: it matches itself and nothing else."""
    return not _GLOB_CHARACTERS & set(pattern)


def _check_glob(pattern: str) -> None:
    try:
        compile_glob(pattern)
    except InvalidGlob as error:
        raise Unusable(error.message, **error.values) from None


def address_matches(pattern: str, address: str, *, broken: bool = False) -> bool:
    """Return whether an address is meant by a network, by an address in any spelling, or by a glob.

    `broken` is the answer of a pattern that cannot be read.
    """
    client = _address(address)
    if client is not None:
        network = _network(pattern)
        if network is not None:
            return client.version == network.version and client in network
        address = str(client)
    return glob_matches(pattern, address, broken=broken)


def glob_matches(pattern: str, value: str, *, broken: bool = False) -> bool:
    """Return whether a glob matches; `broken` is the answer of one that cannot be read."""
    try:
        return compile_glob(pattern).matches(value)
    except InvalidGlob:  # written before patterns were checked, or by hand
        return broken


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
