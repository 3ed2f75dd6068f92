"""Bytes in this process's memory, for trials and tests."""

import itertools
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from registry_service.storage.driver import (
    ANYTHING,
    Anything,
    Changed,
    Data,
    Expected,
    KeyNotFound,
    Known,
    Mark,
    Move,
    Stat,
    State,
    WrongOffset,
    parts_of,
)


class MemoryDriver:
    """A dictionary of keys with the driver's face."""

    def __init__(self) -> None:
        self._items: dict[str, tuple[bytearray, float]] = {}
        self._states: dict[str, int] = {}
        self._changes = itertools.count()

    async def stat(self, key: str) -> Stat:
        """See Driver."""
        data, modified = self._get(key)
        return Stat(len(data), modified, self._state(key))

    async def read(self, key: str) -> bytes:
        """See Driver."""
        return bytes(self._get(key)[0])

    async def stream(self, key: str, start: int, length: int) -> AsyncIterator[bytes]:
        """See Driver."""
        data, _ = self._get(key)
        yield bytes(data[start : start + length])

    async def write(self, key: str, data: bytes, *, expected: Expected = ANYTHING) -> None:
        """See Driver."""
        present = self._items.get(key)
        if not isinstance(expected, Anything) and (None if present is None else bytes(present[0])) != expected:
            raise Changed(key)
        self._items[key] = (bytearray(data), time.time())
        self._states[key] = next(self._changes)

    async def append(self, key: str, offset: int, data: Data, *, expected: State | None = None) -> State:
        """See Driver."""
        with self.appending(key, offset, expected=expected) as end:
            for part in parts_of(data):
                end.write(memoryview(part))
            return end.state()

    @contextmanager
    def appending(self, key: str, offset: int, *, expected: State | None = None) -> Iterator["_End"]:
        """See Driver."""
        present = self._get(key)[0] if offset else self._items.get(key, (bytearray(), 0.0))[0]
        if len(present) != offset:
            raise WrongOffset(len(present))
        if expected is not None and self._state(key) != expected:
            raise Changed(key)
        yield _End(self, key, present)

    async def move(self, move: Move) -> None:
        """See Driver."""
        if move.tail:
            await self.append(move.source, move.size - len(move.tail), move.tail, expected=move.state)
        elif move.state is not None and move.source in self._items and self._state(move.source) != move.state:
            raise Changed(move.source)
        present = len(self._get(move.source)[0])
        if present != move.size:
            raise WrongOffset(present)
        left = [one for one in self._items if _is_below(one, move.leaves) and one != move.source]
        renamed = {before: after for before, after in move.renamed.items() if before in self._items}
        self._items[move.target] = self._items.pop(move.source)
        for key, data in move.beside.items():
            await self.write(key, data)
        for before, after in renamed.items():
            self._items[after] = self._items.pop(before)
        for key, data in move.hints.items():
            self._items.setdefault(key, (bytearray(data), time.time()))
        for key in left:
            del self._items[key]
        if (move.renamed or move.leaves) and not renamed and not left:
            raise KeyNotFound(move.source)

    async def children(self, folder: str) -> list[str]:
        """See Driver."""
        prefix = f"{folder}/"
        return sorted({key[len(prefix) :].partition("/")[0] for key in self._items if key.startswith(prefix)})

    async def listings(self, folders: Sequence[str]) -> list[tuple[str, ...]]:
        """See Driver."""
        return [tuple(await self.children(folder)) for folder in folders]

    async def delete(self, key: str, *, durable: bool = True) -> None:  # noqa: ARG002
        """See Driver."""
        doomed = [one for one in self._items if _is_below(one, [key])]
        if not doomed:
            raise KeyNotFound(key)
        for one in doomed:
            del self._items[one]

    def mark(self, key: str, known: Known) -> Mark | None:
        """See Driver. Reading memory is as cheap as looking at a mark."""

    def unchanged(self, mark: Mark) -> bool:  # noqa: ARG002
        """See Driver."""
        return False

    def local_path(self, key: str) -> Path | None:  # noqa: ARG002
        """See Driver."""
        return None

    async def close(self) -> None:
        """See Driver."""
        self._items.clear()

    def put(self, key: str, data: bytearray) -> State:
        """Store bytes that have just changed, and return their state."""
        self._items[key] = (data, time.time())
        self._states[key] = next(self._changes)
        return self._state(key)

    def _state(self, key: str) -> State:
        return (self._states.get(key, -1),)

    def _get(self, key: str) -> tuple[bytearray, float]:
        try:
            return self._items[key]
        except KeyError:
            raise KeyNotFound(key) from None


class _End:
    """The end of a key; see Appending of the driver."""

    def __init__(self, driver: MemoryDriver, key: str, data: bytearray) -> None:
        self._driver, self._key, self._data = driver, key, data

    def write(self, piece: memoryview) -> None:
        """See Appending."""
        self._data += piece

    def state(self) -> State:
        """See Appending."""
        return self._driver.put(self._key, self._data)


def _is_below(key: str, folders: Sequence[str]) -> bool:
    return any(key == one or key.startswith(f"{one}/") for one in folders)
