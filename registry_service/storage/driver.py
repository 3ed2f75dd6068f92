"""The storage driver: bytes under keys. A driver knows nothing of registries; layout.py knows every key.

A key is a relative path of parts joined by `/`. Keys come from layout.py only, so they are clean: no `..`, no empty
part. One contract suite (tests/registry/driver_contract.py) runs over every driver.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol


class KeyNotFound(Exception):
    """Nothing is stored under the key."""


class WrongOffset(Exception):
    """An append does not start where the stored bytes end; `size` is where they end."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class Changed(Exception):
    """A key does not hold what the writer believed it to hold; nothing was written."""


class Anything:
    """What a writer that does not care about the present content expects."""


ANYTHING: Final = Anything()

Expected = bytes | None | Anything
"""The content that a write may replace: these bytes, no key at all (None), or whatever is there."""


Data = bytes | bytearray | memoryview | Sequence[bytes]
"""Bytes, in one piece or in parts."""


class StorageFull(Exception):
    """The storage has no room left."""


State = tuple[int, ...]
"""What tells the bytes under a key from all others that were or will be there; comparable, and no more."""


@dataclass(frozen=True, slots=True)
class Stat:
    """What is known of the bytes under a key: their number, when they last changed (epoch seconds), and their state."""

    size: int
    modified: float
    state: State


@dataclass(frozen=True, slots=True)
class Move:
    """Appended bytes that get their place for good: `size` of them, from one key to another.

    `tail` are the last of them, not appended yet; where they are all, there is nothing under `source`. `state`, if
    given, is in which state those must be that are appended: these bytes are moved, or none. The small keys
    `beside` become durable with them. What follows is not made durable: `renamed`, keys that get another name and
    replace what had it, `hints`, small keys that are made where there are none, and the removal of `leaves`, keys and
    folders. Renaming is cheaper for a disk than making one file and removing another.
    """

    source: str
    target: str
    size: int
    tail: bytes | bytearray = b""
    state: State | None = None
    beside: Mapping[str, bytes] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    hints: Mapping[str, bytes] = field(default_factory=dict)
    leaves: Sequence[str] = ()


class Appending(Protocol):
    """The end of a key that one thread adds to, piece by piece, while nobody else can."""

    def write(self, piece: memoryview) -> None:
        """Add bytes; waits for the disk."""

    def state(self) -> State:
        """Return the state in which the key is now."""


Mark = tuple[str, tuple[int, ...]]
"""What a driver recognises a key and its state by; it means something to that driver only."""


Known = bytes | int | tuple[str, ...]
"""What somebody knows of a key: its bytes, or only their number; of a folder, the names in it."""


class Driver(Protocol):
    """Bytes under keys. Every write is durable when it returns, except `append`: `move` makes those durable.

    `stat` and `read` begin nothing before they first wait: who cannot wait may drop them there.
    """

    async def stat(self, key: str) -> Stat:
        """Return size and time of a key; raises KeyNotFound."""

    async def read(self, key: str) -> bytes:
        """Return all bytes of a small key; raises KeyNotFound."""

    def stream(self, key: str, start: int, length: int) -> AsyncIterator[bytes]:
        """Yield `length` bytes from offset `start`; raises KeyNotFound before the first."""

    async def write(self, key: str, data: bytes, *, expected: Expected = ANYTHING) -> None:
        """Store a small key as a whole: a reader sees the old bytes or the new ones, never a part.

        Raises Changed, and writes nothing, when the key holds something else than `expected`; no other write to the
        key, in whichever process, can come between the comparison and the writing.
        """

    async def append(self, key: str, offset: int, data: Data, *, expected: State | None = None) -> State:
        """Add bytes to the end of a key, creating it at offset 0, and return the state in which it is then.

        Raises Changed when it was in another state than `expected`, WrongOffset when the end is not `offset`, and
        KeyNotFound when there is no key that could reach so far.
        """

    def appending(self, key: str, offset: int, *, expected: State | None = None) -> AbstractContextManager[Appending]:
        """Return what a thread enters to do the same in pieces; to enter raises what `append` raises."""

    async def move(self, move: Move) -> None:
        """Make appended bytes durable under another key, replacing what is there, and small keys with them.

        All becomes durable together, which is cheaper than one by one. A crash before the return may leave any of it.
        Raises WrongOffset when the source holds another number of bytes, Changed when it is in another state than the
        move wants, and KeyNotFound when it is not there; likewise
        when `renamed` or `leaves` are given and none of them is there. Once it has begun, no append can reach the
        bytes any more.
        """

    async def children(self, folder: str) -> list[str]:
        """Return the names directly below a folder, in byte order; empty when there is no such folder."""

    async def listings(self, folders: Sequence[str]) -> list[tuple[str, ...]]:
        """Return for each folder what `children` would, for less than so many calls."""

    async def delete(self, key: str, *, durable: bool = True) -> None:
        """Remove a key, or a folder with everything below it; raises KeyNotFound.

        Unless it is `durable`, what was removed may be there again after a power cut.
        """

    def mark(self, key: str, known: Known) -> Mark | None:
        """Return what shows later that a key still holds these bytes, or so many of them, or a folder these names.

        None when it does not hold them now, has changed so lately that a change might not show, or when that cannot be
        told without waiting for a disk.
        """

    def unchanged(self, mark: Mark) -> bool:
        """Tell, without waiting, whether a key is as it was when it was marked."""

    def local_path(self, key: str) -> Path | None:
        """Return the file that holds the key's bytes, for sendfile; None when there is no such thing."""

    async def close(self) -> None:
        """Let go of everything the driver holds."""


def parts_of(data: Data) -> Sequence[bytes | bytearray | memoryview]:
    """Return the parts of some bytes."""
    return [data] if isinstance(data, bytes | bytearray | memoryview) else data
