"""The rest of a large body, as threads take it from the socket."""

import asyncio
import fcntl
import select
import socket
import sys
import termios
from asyncio.trsock import TransportSocket
from contextlib import suppress
from typing import Final

from registry_service.api.framing import Framing
from registry_service.api.interruptions import WENT_AWAY, broken_off, some_patience

_LARGE_BYTES: Final = 256 << 10
_ENOUGH_BYTES: Final = 64 << 10
_PATIENCE_MS: Final = 2
_WAIT_BYTES: Final = 4 << 10
"""What a client must have sent for each wait of a thread: that makes 2 MB a second."""
_MOST_CREDIT_BYTES: Final = 64 << 10
_GATHERING_SECONDS: Final = (0.005, 0.01, 0.02, 0.04, 0.08)


class SocketSource:
    """The rest of a body, as a thread takes it from the socket; see receiving.Source. `waiting` has come already.

    The socket is the event loop's, and a descriptor of its own is made; raises OSError when there is none left.
    """

    def __init__(self, shared: TransportSocket, framing: Framing, waiting: bytearray) -> None:
        self._connection: socket.socket = shared.dup()
        self._framing = framing
        self._waiting = waiting
        self._poll = select.poll()
        self._poll.register(self._connection, select.POLLIN)
        self._taken = 0
        self._credit = _MOST_CREDIT_BYTES
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
            raise broken_off(error) from error
        if not self.dry:
            return
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._connection, arrived.set)
        try:
            async with some_patience():
                await arrived.wait()
        finally:
            loop.remove_reader(self._connection)
        if self._taken < _LARGE_BYTES:
            await self._gather()
        self.dry, self._taken = False, 0

    async def _gather(self) -> None:
        """Let something gather from a client on a slow line: fewer turns, that do more."""
        there = 0
        for seconds in _GATHERING_SECONDS:
            await asyncio.sleep(seconds)
            before, there = there, _bytes_in(self._connection)
            if there in (0, before) or there >= _LARGE_BYTES:
                return

    def read_into(self, view: memoryview, *, patient: bool) -> int:
        """Fill a view and return with how many bytes; less when the connection runs dry, breaks or ends."""
        filled = received = 0
        try:
            while received < len(view) and not self._framing.ended:
                count = self._receive(view[filled:])
                if count == 0 and filled < _ENOUGH_BYTES:
                    count = self._wait(view[filled:]) if patient else 0
                    self.dry = count == 0
                if count == 0:
                    break
                received += count
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

    def _wait(self, view: memoryview) -> int:
        """Wait a little for some bytes, unless the client sends so little that it is not worth a thread."""
        if self._credit < _WAIT_BYTES:
            return 0
        self._credit -= _WAIT_BYTES
        return self._receive(view) if self._poll.poll(_PATIENCE_MS) else 0

    def _receive(self, view: memoryview) -> int:
        """Read some bytes; 0 when there are none for now."""
        room = self._framing.room(len(view))
        if self._waiting:
            count = min(room, len(self._waiting))
            view[:count] = self._waiting[:count]
            del self._waiting[:count]
            return count
        try:
            count = self._connection.recv_into(view, room)
        except BlockingIOError:
            return 0
        if count == 0:
            raise ConnectionResetError(WENT_AWAY)
        self._credit = min(_MOST_CREDIT_BYTES, self._credit + count)
        return count


def _bytes_in(connection: socket.socket) -> int:
    """Return how many bytes can be read at once."""
    answer = fcntl.ioctl(connection, termios.FIONREAD, bytes(4))
    return int.from_bytes(answer, sys.byteorder)
