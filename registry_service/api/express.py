"""The express lane: a request that came before, byte for byte, gets the answer that it got, if that still holds.

Clients ask for the same manifests, small blobs and lists again and again. The long way through the framework is the
only one that decides anything; what it answered is remembered here, under the bytes of the whole request, token
included, with what the answer rests on: links, sizes and folders in the storage (`Driver.mark`), and the claims of the
token. When the same bytes come again, all of that is looked at anew, and the answer leaves at once, without a task, a
route, a request object. A link that moved, a token that expired or an event to record sends the request the long way.
Both leave the same line in the log.
"""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.web_protocol import RequestHandler

from registry_service.api.requests import TRUSTED, address_of, client_address, connection_address
from registry_service.auth import TokenAuth
from registry_service.chains import TokenRefused
from registry_service.registry import Witness
from registry_service.storage.driver import Driver, Mark
from shared.logs import LineTemplate
from shared.tokens import Claims

WITNESSES: Final = web.RequestKey[Sequence[Witness] | None]("witnesses")
"""Set by a handler whose answer depends on these alone, and on nothing that would have to be recorded."""

_MOST_REQUEST_BYTES: Final = 8 << 10
_MOST_BODY_BYTES: Final = 64 << 10
_MOST_BYTES: Final = 16 << 20
_MOST_SEEN: Final = 10_000
_OVERHEAD_BYTES: Final = 1 << 10
_MARK_BYTES: Final = 1 << 9
_WHOLE: Final = re.compile(rb"(?:GET|HEAD) /[^\r\n]* HTTP/1\.1\r\n(?:[^\r\n]+\r\n)+\r\n")
_HAS_MORE: Final = re.compile(rb"\r\n(?:content-length|transfer-encoding|upgrade|expect)[ \t]*:", re.IGNORECASE)
_STATUSES: Final = (200, 304)
_DATE: Final = "Date"


@dataclass(frozen=True, slots=True)
class _Answer:
    """What was answered: `before` and `after` the date; `marks` and `claims` are what it rests on."""

    marks: tuple[Mark, ...]
    token: str
    claims: Claims | None
    before: bytes
    after: bytes
    log: LineTemplate | None
    size: int


class Express:
    """The remembered answers of one process, within a bound of bytes."""

    def __init__(self, driver: Driver, auth: TokenAuth | None) -> None:
        self._driver = driver
        self._auth = auth
        self._answers: dict[bytes, _Answer] = {}
        self._seen: dict[int, None] = {}
        self._bytes = 0
        self._second = 0
        self._date = b""
        self.closed = False
        """Set when connections are to end: only the long way says so to clients."""

    def find(self, request: bytes) -> _Answer | None:
        """Return the answer to a request, if everything that it rests on is as it was."""
        found = self._answers.get(request)
        if found is None or self.closed:
            return None
        if found.claims is not None:
            assert self._auth is not None  # noqa: S101 - there are no claims without it
            try:
                proven = self._auth.verify(found.token) is found.claims
            except TokenRefused:
                proven = False
            if not proven:
                self._forget(request)
                return None
        unchanged = self._driver.unchanged
        for mark in found.marks:
            if not unchanged(mark):
                self._forget(request)
                return None
        return found

    def date(self) -> bytes:
        """Return the value of the Date header."""
        now = int(time.time())
        if now != self._second:
            self._second, self._date = now, rfc822_formatted_time().encode()
        return self._date

    def wants(self, request: web.Request, response: web.Response) -> bool:
        """Tell whether an answer, complete but for its sending, is one to remember: one that is given again."""
        raw = getattr(request.protocol, "raw", None)
        if raw is None or request.get(WITNESSES) is None or request.can_read_body:
            return False
        if response.status not in _STATUSES or not response.keep_alive or raw in self._answers:
            return False
        # The line in the log names the other end of the connection, so that must be the client.
        is_direct = not request.app[TRUSTED] or client_address(request) == connection_address(request)
        return is_direct and self._has_been_seen(raw)

    def learn(self, request: web.Request, response: web.Response, log: LineTemplate | None) -> None:
        """Remember an answer that is wanted, if it holds."""
        raw: bytes = request.protocol.raw  # type: ignore[attr-defined]
        witnesses = request.get(WITNESSES) or ()
        body = b"" if request.method == "HEAD" or response.body is None else response.body
        marks = [self._driver.mark(key, known) for key, known in witnesses]
        if not isinstance(body, bytes) or len(body) > _MOST_BODY_BYTES or any(mark is None for mark in marks):
            return
        token, claims = self._proof(request)
        before, after = _head(response)
        answer = _Answer(
            tuple(mark for mark in marks if mark is not None), token, claims, before, after + body, log, len(raw)
        )
        self._answers[raw] = answer
        self._bytes += _weight(answer)
        while self._bytes > _MOST_BYTES:
            self._forget(next(iter(self._answers)))

    def _proof(self, request: web.Request) -> tuple[str, Claims | None]:
        if self._auth is None:
            return "", None
        token = request.headers.get("Authorization", "").partition(" ")[2].strip()
        return token, self._auth.verify(token)

    def _has_been_seen(self, raw: bytes) -> bool:
        """Tell whether a request comes again: one that comes once is not worth remembering."""
        number = hash(raw)
        if number in self._seen:
            return True
        self._seen[number] = None
        if len(self._seen) > _MOST_SEEN:
            del self._seen[next(iter(self._seen))]
        return False

    def _forget(self, request: bytes) -> None:
        self._bytes -= _weight(self._answers.pop(request))


EXPRESS: Final = web.AppKey("express", Express)


class Connection(RequestHandler):
    """A connection of the framework with the express lane before it."""

    __slots__ = ("_express", "_log", "_peer", "_template", "_whole", "raw")

    def __init__(self, manager: web.Server, express: Express, **options: Any) -> None:
        super().__init__(manager, **options)
        self._express = express
        self._peer = ""
        self._template: LineTemplate | None = None
        self._log: Callable[[], None]
        """Logs the line of `_template` for this connection: the next request is mostly as the last one was."""
        self._whole = True
        """Whether every byte so far belongs to whole requests without a body: the next one begins a request."""
        self.raw: bytes | None = None
        """The bytes of the request that is being answered, where they are known."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self._peer = address_of(peer[0], peer[1])

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        waiter = self._waiter
        idle = waiter is not None and not waiter.done() and not self._messages
        if self._whole:
            if idle and not (self._close or self._force_close):
                answer = self._express.find(data)
                if answer is not None and self._send(answer):
                    return
            self._whole = len(data) <= _MOST_REQUEST_BYTES and is_whole(data)
        self.raw = data if idle and self._whole else None
        super().data_received(data)

    def _send(self, answer: _Answer) -> bool:
        """Send an answer, unless the client is slow to read: that is waited for on the long way."""
        transport = self.transport
        if transport is None or transport.get_write_buffer_size():
            return False
        express = self._express
        transport.write(b"".join((answer.before, express.date(), answer.after)))
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if answer.log is not None:
            if answer.log is not self._template:
                self._template, self._log = answer.log, answer.log.addressed(self._peer)
            self._log()
        return True


def is_whole(data: bytes) -> bool:
    """Tell whether bytes are one request, from its first to its last, without a body or anything that follows."""
    return data.endswith(b"\r\n\r\n") and _WHOLE.fullmatch(data) is not None and _HAS_MORE.search(data) is None


def _weight(answer: _Answer) -> int:
    marks = len(answer.marks) * _MARK_BYTES
    return _OVERHEAD_BYTES + marks + answer.size + len(answer.before) + len(answer.after)


def _head(response: web.Response) -> tuple[bytes, bytes]:
    """Return the head of a response as it goes out, before its date and after it."""
    lines = [f"{name}: {value}" for name, value in response.headers.items() if name != _DATE]
    start = "\r\n".join([f"HTTP/1.1 {response.status} {response.reason}", *lines, f"{_DATE}: "])
    return start.encode(), b"\r\n\r\n"
