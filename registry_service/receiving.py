"""How the bytes of a body come to their hash and to the storage: in batches, or in turns.

In batches the event loop receives, and threads hash and write beside each other: so it is for small bodies, and for
those of which only the framework has the bytes. But bytes that go from hand to hand leave the caches of the processor
on the way, and every hand costs a change of threads. In a turn one thread takes from the connection what a client
sends, hashes it and writes it, piece by piece, each of which fits into a cache: that is nearly twice as fast. A turn
ends when the connection has run dry, or after some bytes or some time, so that a few threads serve many clients.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from registry_service.hashes import update_all
from registry_service.storage.driver import Appending, State

if TYPE_CHECKING:
    from hashlib import _Hash

BATCH_BYTES: Final = 1 << 20
"""Bytes that are hashed and written at a time: enough that a thread hop costs nothing beside them."""
PIECE_BYTES: Final = 512 << 10
"""Bytes that a turn receives, hashes and writes at a time."""
_TURN_BYTES: Final = 16 << 20
_TURN_SECONDS: Final = 0.25


@dataclass(slots=True)
class Batch:
    """Bytes as they arrived, in parts, for joining them would copy them; `size` is how many there are."""

    parts: list[bytes] = field(default_factory=list)
    size: int = 0


async def batches_of(body: AsyncIterable[bytes], size: int) -> AsyncGenerator[Batch, None]:
    """Collect parts of any size into batches of at least `size` bytes; a body that breaks off yields its last ones."""
    batch = Batch()
    try:
        async for part in body:
            batch.parts.append(part)
            batch.size += len(part)
            if batch.size >= size:
                yield batch
                batch = Batch()
    except Exception:
        if batch.size:
            yield batch
        raise
    if batch.size:
        yield batch


class Source(Protocol):
    """Where a turn takes its bytes from; `dry` when for now no more comes."""

    dry: bool

    @property
    def ended(self) -> bool:
        """Tell whether all of the body was taken."""

    async def ready(self) -> None:
        """Wait until there is something to take; raises what has broken the body off."""

    def read_into(self, view: memoryview, *, patient: bool) -> int:
        """Fill a view, in a thread, and return with how many bytes; raises nothing.

        Who is patient may wait for a moment when nothing is there.
        """

    def stop(self) -> None:
        """Let whoever reads in a thread come back at once."""


class Body(ABC):
    """The body of a request: an iterator of its parts, of which the rest may be taken in turns."""

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the parts as they arrive; raises what breaks the body off."""

    @property
    @abstractmethod
    def has_source(self) -> bool:
        """Tell whether turns are possible, unless all has arrived already."""

    @abstractmethod
    def source(self) -> Source | None:
        """Return where turns can take the rest from, None when nothing is left for them."""


class Turn:
    """One turn of a thread: `head` has been received already, `taken` is how many bytes are stored after it.

    `is_wanted` tells whether others wait for the thread.
    """

    def __init__(self, source: Source, buffer: bytearray, head: Sequence[bytes], is_wanted: Callable[[], bool]) -> None:
        self._source = source
        self._is_wanted = is_wanted
        self._buffer = buffer
        self._head = head
        self.taken = 0

    async def take(self, opened: AbstractContextManager[Appending], hashes: Sequence["_Hash"]) -> State:
        """Add to a key what comes, and return the state in which the key is then.

        Who is cancelled waits until the thread has ended.
        """
        working = asyncio.ensure_future(asyncio.to_thread(self._run, opened, hashes))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            self._source.stop()
            while not working.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([working])
            raise

    def _run(self, opened: AbstractContextManager[Appending], hashes: Sequence["_Hash"]) -> State:
        source, view = self._source, memoryview(self._buffer)
        with opened as end:
            for part in self._head:
                self._add(memoryview(part), end, hashes)
            until = time.monotonic() + _TURN_SECONDS
            while self.taken < _TURN_BYTES and time.monotonic() < until and not source.ended and not source.dry:
                count = source.read_into(view, patient=not self._is_wanted())
                self._add(view[:count], end, hashes)
            return end.state()

    def _add(self, piece: memoryview, end: Appending, hashes: Sequence["_Hash"]) -> None:
        update_all(hashes, piece)
        end.write(piece)
        self.taken += len(piece)
