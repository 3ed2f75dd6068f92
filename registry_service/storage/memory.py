"""Bytes in this process's memory, for trials and tests."""

import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from registry_service.storage.driver import ANYTHING, Anything, Changed, Expected, KeyNotFound, Mark, Stat, WrongOffset


class MemoryDriver:
    """A dictionary of keys with the driver's face."""

    def __init__(self) -> None:
        self._items: dict[str, tuple[bytearray, float]] = {}

    async def stat(self, key: str) -> Stat:
        """See Driver."""
        data, modified = self._get(key)
        return Stat(len(data), modified)

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

    async def append(self, key: str, offset: int, data: bytes | bytearray | memoryview) -> None:
        """See Driver."""
        present = self._get(key)[0] if offset else self._items.get(key, (bytearray(), 0.0))[0]
        if len(present) != offset:
            raise WrongOffset(len(present))
        present += data
        self._items[key] = (present, time.time())

    async def move(self, source: str, target: str, size: int, beside: Mapping[str, bytes] | None = None) -> None:
        """See Driver."""
        present = len(self._get(source)[0])
        if present != size:
            raise WrongOffset(present)
        self._items[target] = self._items.pop(source)
        for key, data in (beside or {}).items():
            await self.write(key, data)

    async def children(self, folder: str) -> list[str]:
        """See Driver."""
        prefix = f"{folder}/"
        return sorted({key[len(prefix) :].partition("/")[0] for key in self._items if key.startswith(prefix)})

    async def delete(self, key: str, *, durable: bool = True) -> None:  # noqa: ARG002
        """See Driver."""
        doomed = [one for one in self._items if one == key or one.startswith(f"{key}/")]
        if not doomed:
            raise KeyNotFound(key)
        for one in doomed:
            del self._items[one]

    def mark(self, key: str, known: bytes | int) -> Mark | None:
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

    def _get(self, key: str) -> tuple[bytearray, float]:
        try:
            return self._items[key]
        except KeyError:
            raise KeyNotFound(key) from None
