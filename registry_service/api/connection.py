"""A connection of the framework that keeps large bodies of requests for itself, and knows where requests begin.

The framework's own way with a body is through its parser. Here the parser sees the head alone; the body is read by
`bodies`, and the next request begins with a new parser, and what came after the body.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from aiohttp.http_parser import HttpRequestParser
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import MAX_MSG_QUEUE_SIZE, RequestHandler

from registry_service.api.bodies import RawBody
from registry_service.api.framing import Chunked, Framing, Length

_REQUEST: Final = rb"(?:GET|HEAD|POST|PUT|PATCH|DELETE) /[!-~]* HTTP/1\.1\r\n"
"""Other methods may have rules of their own: after CONNECT there is no body, whatever its head says."""
_HEAD: Final = re.compile(_REQUEST + rb"(?:[A-Za-z0-9-]+:[^\r\n\0]*\r\n)+\r\n")
_ODD: Final = re.compile(rb"\r\nexpect:(?![ \t]*100-continue[ \t]*\r\n)", re.IGNORECASE)
_FRAMING: Final = re.compile(rb"\r\n(content-length|transfer-encoding|upgrade):[ \t]*([^\r\n]*)", re.IGNORECASE)
_BEGIN: Final = re.compile(_REQUEST)
_END: Final = b"\r\n\r\n"
_NUMBER: Final = re.compile(rb"[0-9]{1,18}")
_MOST_HEAD_BYTES: Final = 64 << 10
HEAD_SECONDS: Final = 60.0
"""A head that has begun is to be whole after so long."""
_LEAST_BYTES: Final = 128 << 10
"""Less is read by the framework as fast as by anybody."""


@dataclass(frozen=True, slots=True)
class Outline:
    """Where the head of a request ends, and what follows.

    `missing` bytes are yet to come, and if negative there are too many; None where only a parser can tell. With
    `framing` the body is not for the framework.
    """

    head: int
    missing: int | None = None
    framing: Framing | None = None


def outline(data: bytes) -> Outline | None:
    """Return the outline of the request that begins with these bytes, None when it is not certain."""
    head = data.find(_END, 0, _MOST_HEAD_BYTES) + len(_END)
    if head < len(_END) or _HEAD.fullmatch(data, 0, head) is None or _ODD.search(data, 0, head) is not None:
        return None
    found = _FRAMING.findall(data, 0, head)
    if not found:
        return Outline(head, head - len(data))
    if len(found) > 1:
        return None
    name, value = found[0][0].lower(), found[0][1].strip(b" \t")
    if name == b"transfer-encoding" and value.lower() == b"chunked":
        return Outline(head, framing=Chunked())
    if name != b"content-length" or _NUMBER.fullmatch(value) is None:
        return None
    length = int(value)
    missing = head + length - len(data)
    return Outline(head, missing, Length(length) if length >= _LEAST_BYTES and missing > 0 else None)


class Connection(RequestHandler):
    """See the module. `body` is what the request that is being answered brings, if not by the framework."""

    __slots__ = ("_missing", "_options", "_part", "_patience", "_payload", "body")

    def __init__(self, manager: web.Server, **options: Any) -> None:
        super().__init__(manager, **options)
        self._options = options
        self._missing: int | None = 0
        """How many bytes are to come before the next request begins, None when nobody knows."""
        self._part = bytearray()
        """The begin of a head whose end is yet to come; `_patience` runs meanwhile."""
        self._patience: asyncio.TimerHandle | None = None
        self._payload: StreamReader
        self.body: RawBody | None = None

    @property
    def is_idle(self) -> bool:
        """Tell whether the next bytes begin a request, and no other is being answered."""
        waiter = self._waiter
        waits = waiter is not None and not waiter.done() and not self._messages
        return waits and self._missing == 0 and not self._part and not (self._close or self._force_close)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self.body is not None:
            self.body.feed(data)
        elif self._part:
            self._complete(data)
        elif data and self._missing == 0:
            if data.find(_END) < 0 and self.is_idle and _BEGIN.match(data) is not None:
                self._part += data
                self._patience = self._loop.call_later(HEAD_SECONDS, self.force_close)
            else:
                self._begin(data)
        else:
            if self._missing is not None:
                self._missing = self._missing - len(data) if self._missing >= len(data) else None
            super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """See asyncio.Protocol."""
        super().connection_lost(exc)
        self._take_part()
        if self.body is not None:
            self.body.lose()

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - as the framework has it
        """See RequestHandler; after so many seconds a handler waits no longer for a body."""
        if self.body is not None and timeout is not None:
            self._loop.call_later(timeout, self.body.lose)
        await super().shutdown(timeout)

    def _complete(self, data: bytes) -> None:
        """Wait for the end of a head: only whole ones leave no doubt. The framework would wait for an hour."""
        searched = max(0, len(self._part) - len(_END) + 1)
        self._part += data
        if self._part.find(_END, searched) >= 0 or len(self._part) > _MOST_HEAD_BYTES:
            self.data_received(self._take_part())

    def _take_part(self) -> bytes:
        part = bytes(self._part)
        self._part.clear()
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        return part

    def _begin(self, data: bytes) -> None:
        """Give the framework a request, or the head of one."""
        found = outline(data)
        if found is None or found.framing is None or not self._is_plain or not self.is_idle:
            missing = None if found is None else found.missing
            self._missing = missing if missing is not None and missing >= 0 else None
            super().data_received(data)
            return
        super().data_received(data[: found.head])
        payload = self._messages[-1][1] if len(self._messages) == 1 else None
        if not isinstance(payload, StreamReader) or payload is EMPTY_PAYLOAD:  # a head that the framework refuses
            self._missing = None
            return
        self._payload = payload
        self.body = RawBody(found.framing, self._pause_transport_reading, self._resume_transport_reading, self._ended)
        if len(data) > found.head:
            self.body.feed(data[found.head :])

    def _ended(self, rest: bytes | None) -> None:
        """Go on behind a body; None when nobody knows what comes there."""
        self.body = None
        if self.transport is None:
            return
        self._parser = self._new_parser()
        self._payload.feed_eof()
        if rest is None:
            self.close()
        elif rest:
            self.data_received(rest)

    @property
    def _is_plain(self) -> bool:
        return self.transport is not None and self.transport.get_extra_info("ssl_object") is None

    def _new_parser(self) -> HttpRequestParser:
        """Return what the framework makes for a new connection."""
        return HttpRequestParser(
            self,
            self._loop,
            self._read_bufsize,
            max_line_size=self.max_line_size,
            max_field_size=self.max_field_size,
            max_headers=self.max_headers,
            payload_exception=web.RequestPayloadError,
            auto_decompress=self._options.get("auto_decompress", True),
            max_msg_queue_size=MAX_MSG_QUEUE_SIZE,
        )
