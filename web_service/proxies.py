"""Who is really asking: the forwarding headers, believed from trusted proxies only. No I/O."""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from web_service.config import Network


@dataclass(frozen=True, slots=True)
class Client:
    """The far end of a request, and the address bar of its browser."""

    address: str
    scheme: str
    host: str


def identify(peer: str, scheme: str, host: str, headers: Mapping[str, str], trusted: Iterable[Network]) -> Client:
    """Return the client behind `peer`: the last forwarded address that is not a trusted proxy itself."""
    networks = tuple(trusted)
    if not _is_trusted(peer, networks):
        return Client(_plain(peer), scheme, host)
    chain = [part.strip() for part in headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    address = peer
    for hop in reversed(chain):
        if not _is_address(hop):
            break
        address = hop
        if not _is_trusted(hop, networks):
            break
    forwarded = headers.get("X-Forwarded-Proto", "").partition(",")[0].strip().lower()
    return Client(
        _plain(address),
        forwarded if forwarded in ("http", "https") else scheme,
        headers.get("X-Forwarded-Host", "").partition(",")[0].strip() or host,
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _plain(text: str) -> str:
    """Return an address in one spelling; an IPv4 address seen through an IPv6 socket is an IPv4 address."""
    if not _is_address(text):
        return text
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _is_trusted(text: str, networks: tuple[Network, ...]) -> bool:
    if not _is_address(text):
        return False
    address = ipaddress.ip_address(_plain(text))
    return any(address.version == network.version and address in network for network in networks)
