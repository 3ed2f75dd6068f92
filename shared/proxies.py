"""Who is really asking: the forwarding headers, believed from trusted proxies only. No I/O.

Sources: RFC 7239 (Forwarded); the customary X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host, which count
only where there is no Forwarded.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PAIR = re.compile(r'\s*([A-Za-z]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;,\s"]*)\s*')
_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')


@dataclass(frozen=True, slots=True)
class Client:
    """The far end of a request, and scheme and host as it wrote them."""

    address: str
    scheme: str
    host: str


@dataclass(frozen=True, slots=True)
class _Hop:
    """What one proxy says of the request that it received; empty where it says nothing."""

    address: str = ""
    scheme: str = ""
    host: str = ""


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return networks such as 10.0.0.0/8; raises ValueError with the text that is none."""
    networks = []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise ValueError(f"{text!r} is not a network such as 10.0.0.0/8") from None
    return tuple(networks)


def identify(peer: str, scheme: str, host: str, headers: Mapping[str, str], trusted: Sequence[Network]) -> Client:
    """Return the client behind `peer`: the last forwarded address that is not a trusted proxy itself.

    Scheme and host are those that the proxy saw which saw that address; `headers` must not mind the case of names.
    """
    client = Client(plain_address(peer), scheme, host)
    if not trusted or not _is_trusted(peer, trusted):
        return client
    for hop in reversed(_hops(headers, peer)):
        if not _is_address(hop.address):
            break
        client = Client(plain_address(hop.address), hop.scheme or client.scheme, hop.host or client.host)
        if not _is_trusted(hop.address, trusted):
            break
    return client


@lru_cache(maxsize=4096)
def plain_address(text: str) -> str:
    """Return an address in one spelling; an IPv4 address seen through an IPv6 socket is an IPv4 address."""
    if not _is_address(text):
        return text
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _hops(headers: Mapping[str, str], peer: str) -> list[_Hop]:
    if "Forwarded" in headers:
        return [_hop(element) for element in _ELEMENT.findall(headers["Forwarded"])]
    addresses = [part.strip() for part in headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    scheme = _known_scheme(headers.get("X-Forwarded-Proto", "").partition(",")[0])
    host = headers.get("X-Forwarded-Host", "").partition(",")[0].strip()
    # These headers tell one scheme and host for the whole way, so every hop has them.
    return [_Hop(address, scheme, host) for address in addresses or [peer]]


def _hop(element: str) -> _Hop:
    pairs = {name.lower(): value.strip('"') for name, value in _PAIR.findall(element)}
    return _Hop(_without_port(pairs.get("for", "")), _known_scheme(pairs.get("proto", "")), pairs.get("host", ""))


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _known_scheme(text: str) -> str:
    scheme = text.strip().lower()
    return scheme if scheme in ("http", "https") else ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_trusted(text: str, networks: Sequence[Network]) -> bool:
    if not _is_address(text):
        return False
    address = ipaddress.ip_address(plain_address(text))
    return any(address.version == network.version and address in network for network in networks)
