"""The body of a request, taken from its connection below the framework.

The framework hands bodies over in small pieces, each through its parser, a queue and the event loop. For what may be
large the connection (`express`) keeps the bytes after the head for itself, and this is who reads them: part by part in
the event loop, and what is more than a little in turns of a thread, straight from the socket (`receiving`).
TLS, and bodies that are small or marked off in some rarer way, are left to the framework.
"""

import asyncio
import select
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from aiohttp import web

from registry_service.api.framing import BadFraming, Framing
from registry_service.receiving import Body, Source

_MOST_WAITING_BYTES: Final = 256 << 10
_ENOUGH_BYTES: Final = 64 << 10
_PATIENCE_MS: Final = 2
_GATHERING_SECONDS: Final = 0.005
_WENT_AWAY: Final = "the client went away before the end of its body"
IDLE_SECONDS: Final = 60.0
"""A body that brings nothing for so long is given up."""


class Disconnected(Exception):
    """The client went away before its body was complete; `status` is what the answer is, or what the log says."""

    status = 499


class FellSilent(Disconnected):
    """The client is there, but sends nothing any more."""

    status = 408


class Malformed(Disconnected):
    """Where the body ends cannot be told."""

    status = 400


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
        self._is_lost = self._is_left = self._is_told = False
        self._source: SocketSource | None = None

    def feed(self, data: bytes) -> None:
        """Take what the connection has received."""
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
            self._go_on()
            if part:
                yield part
        if self._framing.error is not None:
            raise self._framing.error

    def source(self, transport: asyncio.BaseTransport) -> "SocketSource | None":
        """Return where a thread can take the rest from, None when that is not worth while."""
        if self._framing.ended or self._is_lost or self._source is not None:
            return None
        self._hold()
        connection: socket.socket = transport.get_extra_info("socket").dup()
        self._source = SocketSource(connection, self._framing, self._waiting)
        self._waiting = bytearray()
        return self._source

    def leave(self) -> None:
        """Read no more: what still comes of the body is thrown away, so that the client can hear the answer."""
        self._is_left = True
        if self._source is not None:
            self._waiting = self._source.close()
            self._source = None
        self._go_on()
        self._skip()

    async def _wait(self) -> None:
        async with _some_patience():
            while not self._waiting:
                if self._is_lost:
                    raise ConnectionResetError(_WENT_AWAY)
                self._arrived.clear()
                await self._arrived.wait()

    def _skip(self) -> None:
        if not self._framing.ended:
            self._unwrapped()
        self._tell_the_end()

    def _unwrapped(self) -> bytes:
        waiting, self._waiting = self._waiting, bytearray()
        with memoryview(waiting) as view:
            kept = self._framing.unwrap(view)
        del waiting[kept:]
        return bytes(waiting)

    def _tell_the_end(self) -> None:
        """Tell the connection, once."""
        if self._framing.ended and not self._is_told:
            self._is_told = True
            self._finish(None if self._framing.error is not None else self._framing.rest + self._waiting)


class SocketSource:
    """The rest of a body, as a thread takes it from the socket; see receiving.Source. `waiting` has come already."""

    def __init__(self, connection: socket.socket, framing: Framing, waiting: bytearray) -> None:
        self._connection = connection
        self._framing = framing
        self._waiting = waiting
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._taken = 0
        self._error: Exception | None = None
        self.dry = False

    @property
    def ended(self) -> bool:
        """Tell whether all of the body was taken."""
        return self._framing.ended and self._framing.error is None

    async def ready(self) -> None:
        """Wait until something can be taken; raises Disconnected when the body is broken off."""
        error = self._error or self._framing.error
        if error is not None:
            raise _broken_off(error) from error
        if not self.dry:
            return
        if self._taken < _MOST_WAITING_BYTES:
            await asyncio.sleep(_GATHERING_SECONDS)  # a client on a slow line: fewer turns, that do more
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._connection, arrived.set)
        try:
            async with _some_patience():
                await arrived.wait()
        finally:
            loop.remove_reader(self._connection)
        self.dry, self._taken = False, 0

    def read_into(self, view: memoryview) -> int:
        """Fill a view and return with how many bytes; less when the connection runs dry, breaks or ends."""
        filled = 0
        try:
            while filled < len(view) and not self._framing.ended:
                count = self._receive(view[filled:], patient=filled < _ENOUGH_BYTES)
                if count == 0:
                    break
                filled += self._framing.unwrap(view[filled : filled + count])
        except OSError as error:
            self._error = error
        self.dry = self.dry or self._error is not None or self._framing.error is not None
        self._taken += filled
        return filled

    def stop(self) -> None:
        """Let whoever reads in a thread come back at once; the connection is of no more use."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> bytearray:
        """Let go of the connection, which stays open, and return what has come and was not taken."""
        self._connection.close()
        return self._waiting

    def _receive(self, view: memoryview, *, patient: bool) -> int:
        """Read some bytes; 0 when there are none for now."""
        room = self._framing.room(len(view))
        if self._waiting:
            count = min(room, len(self._waiting))
            view[:count] = self._waiting[:count]
            del self._waiting[:count]
            return count
        while True:
            try:
                count = self._connection.recv_into(view, room)
            except BlockingIOError:
                if not patient:
                    return 0
                if not self._poll.poll(_PATIENCE_MS):
                    self.dry = True
                    return 0
                continue
            if count == 0:
                raise ConnectionResetError(_WENT_AWAY)
            return count


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
            raise _broken_off(error) from error

    @property
    def has_source(self) -> bool:
        """See Body."""
        return self._raw is not None

    def source(self) -> Source | None:
        """See Body."""
        transport = self._request.transport
        return self._raw.source(transport) if self._raw is not None and transport is not None else None


def _broken_off(error: Exception) -> Disconnected:
    kind = Malformed if isinstance(error, BadFraming) else Disconnected
    return kind(str(error) or type(error).__name__)


def leave_body(request: web.Request) -> None:
    """Read no more of a request's body."""
    raw: RawBody | None = getattr(request.protocol, "body", None)
    if raw is not None:
        raw.leave()


async def _parts_of(request: web.Request) -> AsyncGenerator[bytes, None]:
    """Yield what the framework has; one of many small chunks in larger parts, for their joining is cheaper there."""
    content, is_chunked = request.content, request.content_length is None
    while True:
        async with _some_patience():
            part = await content.readany() if is_chunked else (await content.readchunk())[0]
        if not part:
            return
        yield part


@asynccontextmanager
async def _some_patience() -> AsyncGenerator[None, None]:
    """Give up on a client that sends nothing; raises FellSilent."""
    try:
        async with asyncio.timeout(IDLE_SECONDS):
            yield
    except TimeoutError as error:
        raise FellSilent(f"nothing came for {IDLE_SECONDS:g} seconds") from error
