"""The sockets on which the registry listens, and their TLS."""

import errno
import socket
import ssl
from collections.abc import Iterable, Sequence
from typing import Any, Final

from registry_service.config import HTTP, TLS, split_address
from shared.config import ConfigError

Door = list[socket.socket]
"""What one process listens on: a socket for each address."""
BACKLOG: Final = 1024
"""Connections that may wait until a process accepts them; the system may allow fewer."""
_NO_IPV6: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_MINIMUM_TLS: Final = {"tls1.2": ssl.TLSVersion.TLSv1_2, "tls1.3": ssl.TLSVersion.TLSv1_3}


def listen(http: HTTP) -> list[socket.socket]:
    """Return a listening socket for each address that `http.addr` stands for; raises ConfigError."""
    return _doors(http, 1)[0]


def listen_apart(
    http: HTTP, number: int, before: Sequence[Sequence[socket.socket]] = ()
) -> list[Sequence[socket.socket]]:
    """Return so many doors to one address, those `before` among them; raises ConfigError.

    The system shares connections out evenly between doors (SO_REUSEPORT), which it would not do for processes at one
    door: there who is awake takes all.
    """
    if len(before) >= number:
        return list(before)
    if not before:
        # That a port belongs to another program shows only without SO_REUSEPORT.
        probe = _doors(http, 1)
        port = probe[0][0].getsockname()[1]
        close(probe[0])
    else:
        port = before[0][0].getsockname()[1]
    return [*before, *_doors(http, number - len(before), port)]


def _doors(http: HTTP, number: int, shared_port: int | None = None) -> list[Door]:
    host, port = split_address(http.addr)
    doors: list[Door] = []
    try:
        for _ in range(number):
            doors.append([])
            _open_door(doors[-1], host, port if shared_port is None else shared_port, shared=shared_port is not None)
    except (OSError, OverflowError) as error:
        close([one for door in doors for one in door])
        raise ConfigError(f"http.addr: cannot listen on {http.addr}: {reason_of(error)}") from error
    return doors


def _open_door(door: Door, host: str | None, port: int, *, shared: bool) -> None:
    for family, address in _addresses(host, port):
        # A port that the system chose for the first address is that of the others as well.
        chosen = door[0].getsockname()[1] if door else port
        try:
            door.append(_listen_on(family, (address[0], chosen, *address[2:]), shared=shared))
        except OSError as error:
            if not door or error.errno not in _NO_IPV6:
                raise


def close(sockets: Iterable[socket.socket]) -> None:
    """Close sockets."""
    for one in sockets:
        one.close()


def url_of(http: HTTP, sockets: Sequence[socket.socket]) -> str:
    """Return the URL under which the sockets can be reached."""
    host, _ = split_address(http.addr)
    scheme = "https" if http.tls is not None and http.tls.certificate is not None else "http"
    host = f"[{host}]" if host and ":" in host else host
    return f"{scheme}://{host or '0.0.0.0'}:{sockets[0].getsockname()[1]}"  # noqa: S104


def tls_context(http: HTTP) -> ssl.SSLContext | None:
    """Return the server's TLS, None for plain HTTP; raises ConfigError."""
    tls = http.tls
    if tls is None or tls.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = _MINIMUM_TLS[tls.minimumtls]
    _load(context, tls)
    return context


def reason_of(error: Exception) -> str:
    """Return what the system says, without the address that libraries repeat in it."""
    return (getattr(error, "strerror", None) or str(error)).rpartition(": ")[2]


def _load(context: ssl.SSLContext, tls: TLS) -> None:
    assert tls.certificate is not None  # noqa: S101 - what makes the caller ask
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except ssl.SSLError as error:
        raise ConfigError(
            f"http.tls: {tls.certificate} and {tls.key} are not a certificate and its key: {error.reason}"
        ) from error
    except OSError as error:
        raise ConfigError(f"http.tls: {tls.certificate} or {tls.key} cannot be read: {error.strerror}") from error


def _addresses(host: str | None, port: int) -> list[tuple[int, tuple[Any, ...]]]:
    """Return family and address of everything to bind, IPv4 first; without a host every interface."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    known = dict.fromkeys((int(family), tuple(address)) for family, *_, address in found)
    return sorted(known, key=lambda one: one[0] != socket.AF_INET)


def _listen_on(family: int, address: tuple[Any, ...], *, shared: bool) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(address)
        one.listen(BACKLOG)
        one.setblocking(False)
    except BaseException:
        one.close()
        raise
    return one
