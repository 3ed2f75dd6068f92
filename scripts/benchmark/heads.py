"""A load of HEAD requests, which wrk cannot make: it waits for the body that their answers announce."""

import select
import socket
import time
import urllib.parse
from typing import Final

from scripts.benchmark.load import Failed, Sample

_CONNECTIONS: Final = 32
_PATIENCE_SECONDS: Final = 5.0
_HEAD_BYTES: Final = 1 << 16
_END: Final = b"\r\n\r\n"
_GOOD: Final = b"HTTP/1.1 200"


def head_rate(url: str, headers: dict[str, str], seconds: float) -> Sample:
    """Ask for a URL by HEAD over many connections, and return answers a second; raises Failed."""
    parts = urllib.parse.urlsplit(url)
    lines = [f"HEAD {parts.path} HTTP/1.1", f"Host: {parts.netloc}", *(f"{k}: {v}" for k, v in headers.items())]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    address = (str(parts.hostname), parts.port or 80)
    sockets = [socket.create_connection(address) for _ in range(_CONNECTIONS)]
    try:
        times, took = _keep_asking({one.fileno(): one for one in sockets}, request, seconds)
    finally:
        for one in sockets:
            one.close()
    times.sort()
    return Sample(len(times) / took, times[len(times) * 99 // 100] * 1000)


def _keep_asking(sockets: dict[int, socket.socket], request: bytes, seconds: float) -> tuple[list[float], float]:
    """Return how long each answer took, and how long all of it."""
    clock = time.perf_counter
    began = clock()
    times, asked = [], dict.fromkeys(sockets, began)
    with select.epoll() as poll:
        for number, one in sockets.items():
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            poll.register(number, select.EPOLLIN)
            one.send(request)
        while (now := clock()) - began < seconds:
            ready = poll.poll(_PATIENCE_SECONDS)
            if not ready:
                raise Failed("no answer in time")
            for number, _ in ready:
                answer = sockets[number].recv(_HEAD_BYTES)
                if not (answer.startswith(_GOOD) and answer.endswith(_END)):
                    raise Failed(f"answered with {answer[:40]!r}")
                now = clock()
                times.append(now - asked[number])
                asked[number] = now
                sockets[number].send(request)
        return times, now - began
