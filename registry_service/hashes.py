"""The hashes of an upload so far, ready to go on."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_service.storage.driver import State
from shared.names import Digest

if TYPE_CHECKING:
    from hashlib import _Hash


@dataclass
class Running:
    """Hashes of the first `offset` bytes of an upload, ready to go on; `state` is that of the bytes that are stored.

    A name may be given to other bytes: what was hashed is known by its state only.
    """

    hashes: "tuple[_Hash, ...]"
    offset: int
    state: State | None = None

    def update(self, parts: Iterable[bytes]) -> None:
        """Count more bytes; the caller says when they are stored."""
        for part in parts:
            update_all(self.hashes, part)

    def digests(self) -> dict[str, Digest]:
        """Return the digests of what was counted, by algorithm."""
        return {one.name: Digest(one.name, one.hexdigest()) for one in self.hashes}


def begin_hashes(*algorithms: str) -> Running:
    """Return the hashes of nothing."""
    return Running(tuple(hashlib.new(algorithm) for algorithm in algorithms), 0)


def update_all(hashes: Sequence["_Hash"], chunk: bytes | bytearray | memoryview) -> None:
    """Count bytes in each of several hashes."""
    for one in hashes:
        one.update(chunk)
