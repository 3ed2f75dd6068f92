"""One request after another over one kept connection: how long an answer takes, without connecting."""

import re
import socket
import time
import urllib.parse
from typing import Final

from scripts.benchmark.load import Failed

_LEAST, _MOST = 3, 200
_SECONDS: Final = 1.0
_PIECE_BYTES: Final = 1 << 18
_LENGTH: Final = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_END: Final = b"\r\n\r\n"
_LAST_CHUNK: Final = b"\r\n0\r\n\r\n"
_GOOD: Final = b"HTTP/1.1 200"


def answer_seconds(url: str, headers: dict[str, str], varied: str = "") -> float:
    """Return the median time of an answer to the same request, or with `varied` to requests that all differ."""
    parts = urllib.parse.urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [f"GET {path} HTTP/1.1", f"Host: {parts.netloc}", *(f"{name}: {value}" for name, value in headers.items())]
    times: list[float] = []
    began = time.perf_counter()
    with socket.create_connection((str(parts.hostname), parts.port or 80), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while len(times) < _LEAST or (len(times) < _MOST and time.perf_counter() - began < _SECONDS):
            more = [f"X-Request-Id: {varied}{len(times)}"] if varied else []
            request = "\r\n".join([*lines, *more, "", ""]).encode()
            asked = time.perf_counter()
            connection.sendall(request)
            _receive(connection)
            times.append(time.perf_counter() - asked)
    return sorted(times)[len(times) // 2]


def _receive(connection: socket.socket) -> None:
    answer = b""
    while not _is_whole(answer):
        piece = connection.recv(_PIECE_BYTES)
        if not piece:
            raise Failed("the connection was closed")
        answer += piece
    if not answer.startswith(_GOOD):
        raise Failed(f"answered with {answer[:40]!r}")


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(_END)
    length = _LENGTH.search(head)
    return bool(end) and (len(body) >= int(length[1]) if length else answer.endswith(_LAST_CHUNK))
