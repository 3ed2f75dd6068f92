"""The body of a request, taken from its connection below the framework.

The framework hands bodies over in small pieces, each through its parser, a queue and the event loop. For what may be
large the `connection` keeps the bytes after the head for itself, and this is who reads them: part by part in the event
loop, and what is more than a little in turns of a thread, straight from the socket (`receiving`, `sources`). TLS, and
bodies that are small or marked off in some rarer way, are left to the framework.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Final

from aiohttp import web

from registry_service.api.framing import BadFraming, Framing
from registry_service.api.interruptions import WENT_AWAY, broken_off, some_patience
from registry_service.api.sources import SocketSource
from registry_service.receiving import Body, Source

_MOST_WAITING_BYTES: Final = 256 << 10
_AT_ONCE_BYTES: Final = 64 << 10
"""What is unwrapped at a time in the event loop: chunks of single bytes take long."""
_MOST_SKIPPED_BYTES: Final = 256 << 10
_LINGER_SECONDS: Final = 2.0
"""How long a client may go on sending, and hear its answer, before the connection is closed."""


class RawBody:
    """The bytes after the head of one request.

    `hold` and `go_on` tell the connection to stop reading and to begin again; `finish` tells it that the body has
    ended, with what has come behind it, None when that cannot be understood.
    """

    def __init__(
        self,
        framing: Framing,
        hold: Callable[[], None],
        go_on: Callable[[], None],
        finish: Callable[[bytes | None], None],
    ) -> None:
        self._framing = framing
        self._hold, self._go_on, self._finish = hold, go_on, finish
        self._waiting = bytearray()
        self._arrived = asyncio.Event()
        self._is_lost = self._is_left = self._is_deaf = self._is_told = False
        self._skipped = 0
        self._source: SocketSource | None = None

    def feed(self, data: bytes) -> None:
        """Take what the connection has received."""
        if self._is_deaf:
            return
        self._waiting += data
        if self._is_left:
            self._skip()
            return
        if len(self._waiting) > _MOST_WAITING_BYTES:
            self._hold()
        self._arrived.set()

    def lose(self) -> None:
        """Learn that the connection is gone."""
        self._is_lost = True
        self._arrived.set()
        if self._source is not None:
            self._source.stop()

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives, unless its source was taken; raises ConnectionError or BadFraming."""
        while not self._framing.ended:
            if not self._waiting:
                await self._wait()
            part = self._unwrapped()
            self._tell_the_end()
            if part:
                yield part
            if self._waiting:
                await asyncio.sleep(0)
            elif not self._framing.ended:
                self._go_on()
        if self._framing.error is not None:
            raise self._framing.error

    def source(self, transport: asyncio.BaseTransport) -> "SocketSource | None":
        """Return where a thread can take the rest from, None when that is not worth while."""
        if self._framing.ended or self._is_lost or self._source is not None:
            return None
        try:
            self._source = SocketSource(transport.get_extra_info("socket"), self._framing, self._waiting)
        except OSError:  # too many files are open: the event loop reads on
            return None
        self._hold()
        self._waiting = bytearray()
        return self._source

    def leave(self) -> bool:
        """Read no more, and return whether another request may follow.

        What still comes is thrown away, so that the client can hear the answer. The end of many chunks is not looked
        for: that could take long, and most clients hang up.
        """
        self._is_left = True
        if self._source is not None:
            self._waiting = self._source.close()
            self._source = None
        self._skip()
        if not self._framing.ended:
            self._go_on()
        return not self._is_deaf

    async def _wait(self) -> None:
        async with some_patience():
            while not self._waiting:
                if self._is_lost:
                    raise ConnectionResetError(WENT_AWAY)
                self._arrived.clear()
                await self._arrived.wait()

    def _skip(self) -> None:
        """Look for the end of a body that nobody wants, if that cannot take long."""
        self._skipped += len(self._waiting)
        if self._framing.is_costly and self._skipped > _MOST_SKIPPED_BYTES:
            self._is_deaf = True
            self._waiting.clear()
            asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._give_up)
            return
        while self._waiting and not self._framing.ended:
            self._unwrapped()
        self._tell_the_end()

    def _give_up(self) -> None:
        if not self._is_told:
            self._is_told = True
            self._finish(None)

    def _unwrapped(self) -> bytes:
        part, self._waiting = self._waiting[:_AT_ONCE_BYTES], self._waiting[_AT_ONCE_BYTES:]
        with memoryview(part) as view:
            kept = self._framing.unwrap(view)
        return bytes(part[:kept])

    def _tell_the_end(self) -> None:
        """Tell the connection, once."""
        if self._framing.ended and not self._is_told:
            self._is_told = True
            self._finish(None if self._framing.error is not None else self._framing.rest + self._waiting)


class RequestBody(Body):
    """The body of a request to the framework, whoever reads it from the connection."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._raw: RawBody | None = getattr(request.protocol, "body", None)

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """See Body; raises Disconnected."""
        request = self._request
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            async for part in self._raw.parts() if self._raw is not None else _parts_of(request):
                yield part
        except (web.RequestPayloadError, ConnectionError, BadFraming) as error:
            raise broken_off(error) from error

    @property
    def has_source(self) -> bool:
        """See Body."""
        return self._raw is not None

    def source(self) -> Source | None:
        """See Body."""
        transport = self._request.transport
        return self._raw.source(transport) if self._raw is not None and transport is not None else None


def leave_body(request: web.Request) -> bool:
    """Read no more of a request's body, and return whether another request may follow."""
    raw: RawBody | None = getattr(request.protocol, "body", None)
    return raw is None or raw.leave()


async def _parts_of(request: web.Request) -> AsyncGenerator[bytes, None]:
    """Yield what the framework has; one of many small chunks in larger parts, for their joining is cheaper there."""
    content, is_chunked = request.content, request.content_length is None
    if content.is_eof():  # all of it has come, so nobody has to be waited for
        if part := content.read_nowait():
            yield part
        return
    while True:
        async with some_patience():
            part = await content.readany() if is_chunked else (await content.readchunk())[0]
        if not part:
            return
        yield part
