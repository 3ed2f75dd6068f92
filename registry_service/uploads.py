"""Upload sessions: bytes arrive in any number of requests, a digest closes them.

An upload belongs to no process: its bytes and what is known of them lie in the storage, so POST, PATCH and PUT may
reach different workers or replicas. After each request the digest of everything so far is kept beside the bytes, so
that closing an upload needs no second read; only an upload that changes its process between two PATCHes is read again.

Source: OCI distribution-spec 1.1, "Pushing a blob monolithically" and "in chunks".
"""

import asyncio
import hashlib
import uuid
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from registry_service import layout
from registry_service.errors import Code, RegistryError
from registry_service.registry import Registry, layer_links
from registry_service.storage.driver import Driver, KeyNotFound, StorageFull, WrongOffset
from shared.names import Digest

if TYPE_CHECKING:
    from hashlib import _Hash

BATCH_BYTES: Final = 1 << 20
"""Bytes that are hashed and written at a time: enough that a thread hop costs nothing beside them."""
_AT_ONCE_BYTES: Final = 16 << 10
"""Hashing so much takes less than a thread hop."""
_REMEMBERED_HASHES: Final = 256
_CANONICAL: Final = "sha256"
_UNKNOWN: Final = -1
_MOMENT: Final = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Upload:
    """An open upload: `offset` is the number of bytes received."""

    repository: str
    id: str
    offset: int


@dataclass
class _Running:
    """Hashes of the first `offset` bytes of an upload, ready to go on."""

    hashes: "tuple[_Hash, ...]"
    offset: int

    def update(self, batch: bytearray) -> None:
        for one in self.hashes:
            one.update(batch)

    def digests(self) -> dict[str, Digest]:
        return {one.name: Digest(one.name, one.hexdigest()) for one in self.hashes}


class Uploads:
    """The uploads of one registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._driver = registry.driver
        self._boot_id = _read_boot_id()
        self._running: OrderedDict[str, _Running] = OrderedDict()

    async def start(self, name: str, algorithm: str = _CANONICAL) -> Upload:
        """Open an upload; `algorithm` is what its digest will probably be of, so that one reading suffices."""
        upload = Upload(name, str(uuid.uuid4()), 0)
        if algorithm != _CANONICAL:
            self._keep(upload, _new_running(_CANONICAL, algorithm))
        now = datetime.now(UTC).strftime(_MOMENT)
        # Not durable, for an upload promises nothing before its end: after a power cut the client begins anew.
        await self._driver.append(layout.upload_started(name, upload.id), 0, now.encode())
        return upload

    async def get(self, name: str, upload_id: str) -> Upload:
        """Return an open upload of a repository; raises BLOB_UPLOAD_UNKNOWN."""
        if not _is_uuid(upload_id):
            raise RegistryError(Code.BLOB_UPLOAD_UNKNOWN)
        try:
            await self._driver.stat(layout.upload_started(name, upload_id))
        except KeyNotFound:
            raise RegistryError(Code.BLOB_UPLOAD_UNKNOWN) from None
        return Upload(name, upload_id, await self._size(name, upload_id))

    async def began(self, name: str, upload_id: str) -> datetime | None:
        """Return when an open upload of a repository began, None for one that is not there."""
        return await started_at(self._driver, name, upload_id) if _is_uuid(upload_id) else None

    async def receive(self, upload: Upload, body: AsyncIterator[bytes], *, closing: bool = False) -> Upload:
        """Add a request body to an upload, and return the upload as it then is; `closing` when its end follows at once.

        What arrived before the body broke off is kept. Raises RANGE_INVALID when another request adds at the same
        time, and whatever `body` raises.
        """
        running = self._resume(upload)
        written = upload.offset
        try:
            async with aclosing(_batches(body)) as batches:
                async for batch in batches:
                    await self._store(upload, written, batch, running)
                    written += len(batch)
        except WrongOffset as error:
            raise RegistryError(Code.RANGE_INVALID, {"offset": error.size}) from None
        except KeyNotFound:
            raise RegistryError(Code.BLOB_UPLOAD_UNKNOWN) from None
        finally:
            if running is not None and running.offset == written > upload.offset:
                await self._remember(upload, running, here_only=closing)
        return Upload(upload.repository, upload.id, written)

    async def commit(self, upload: Upload, digest: Digest) -> Digest:
        """Close an upload as the blob `digest` of its repository, and return the canonical digest.

        Raises DIGEST_INVALID when the bytes have another digest; the upload is then gone.
        """
        if upload.offset == 0:
            await self._touch(upload)
        algorithms = list(dict.fromkeys((_CANONICAL, digest.algorithm)))
        digests = await self._known_digests(upload)
        if not digests.keys() >= set(algorithms):
            digests = await self._read_digests(upload, algorithms)
        if digests[digest.algorithm] != digest:
            await self.cancel(upload)
            detail = {"expected": str(digest), "actual": str(digests[digest.algorithm])}
            raise RegistryError(Code.DIGEST_INVALID, detail)
        canonical = digests[_CANONICAL]
        data, links = (
            layout.upload_data(upload.repository, upload.id),
            layer_links(upload.repository, digest, canonical),
        )
        try:
            await self._driver.move(data, layout.blob(canonical), upload.offset, links)
        except WrongOffset as error:
            raise RegistryError(Code.RANGE_INVALID, {"offset": error.size}) from None
        except KeyNotFound:
            raise RegistryError(Code.BLOB_UPLOAD_UNKNOWN) from None
        await self._registry.note_source(upload.repository, digest, canonical)
        await self.cancel(upload, durable=False)
        return canonical

    async def cancel(self, upload: Upload, *, durable: bool = True) -> None:
        """Forget an upload and its bytes; unless it is `durable`, a power cut may leave it to be purged."""
        self._running.pop(upload.id, None)
        try:
            await self._driver.delete(layout.upload(upload.repository, upload.id), durable=durable)
        except KeyNotFound:
            return

    async def _size(self, name: str, upload_id: str) -> int:
        try:
            return (await self._driver.stat(layout.upload_data(name, upload_id))).size
        except KeyNotFound:
            return 0

    async def _store(self, upload: Upload, offset: int, batch: bytearray, running: _Running | None) -> None:
        """Write and hash a batch beside each other."""
        key = layout.upload_data(upload.repository, upload.id)
        if running is None:
            await self._driver.append(key, offset, batch)
            return
        # Until both are done, and for ever when one fails, the hash may count bytes that are not stored.
        running.offset = _UNKNOWN
        if len(batch) <= _AT_ONCE_BYTES:
            running.update(batch)
            await self._driver.append(key, offset, batch)
        else:
            hashing = asyncio.to_thread(running.update, batch)
            results = await asyncio.gather(self._driver.append(key, offset, batch), hashing, return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    raise result
        running.offset = offset + len(batch)

    def _resume(self, upload: Upload) -> _Running | None:
        """Return the hashes to go on with, or None when only a second read can tell the digest."""
        running = self._running.pop(upload.id, None)
        if running is not None and running.offset == upload.offset:
            return running
        return _new_running(_CANONICAL) if upload.offset == 0 else None

    def _keep(self, upload: Upload, running: _Running) -> None:
        self._running[upload.id] = running
        while len(self._running) > _REMEMBERED_HASHES:
            self._running.popitem(last=False)

    async def _remember(self, upload: Upload, running: _Running, *, here_only: bool) -> None:
        self._keep(upload, running)
        if here_only:
            return
        text = " ".join([self._boot_id, *map(str, running.digests().values())])
        try:
            # Not made durable: after a power cut the boot id no longer fits, and the bytes are read again.
            await self._driver.append(
                layout.upload_digest(upload.repository, upload.id, running.offset), 0, text.encode()
            )
        except (WrongOffset, StorageFull, OSError):
            return

    async def _known_digests(self, upload: Upload) -> dict[str, Digest]:
        """Return the digests of all bytes so far as the last request left them, if they can be believed."""
        running = self._running.get(upload.id)
        if running is not None and running.offset == upload.offset:
            return running.digests()
        try:
            key = layout.upload_digest(upload.repository, upload.id, upload.offset)
            boot_id, *texts = (await self._driver.read(key)).decode("ascii", "replace").split(" ")
            digests = [Digest.parse(text) for text in texts] if boot_id == self._boot_id else []
        except (KeyNotFound, ValueError):
            return {}
        return {digest.algorithm: digest for digest in digests}

    async def _read_digests(self, upload: Upload, algorithms: list[str]) -> dict[str, Digest]:
        hashes = {algorithm: hashlib.new(algorithm) for algorithm in algorithms}
        key = layout.upload_data(upload.repository, upload.id)
        try:
            async for chunk in self._driver.stream(key, 0, upload.offset):
                await asyncio.to_thread(_update_all, list(hashes.values()), chunk)
        except KeyNotFound:
            raise RegistryError(Code.BLOB_UPLOAD_UNKNOWN) from None
        return {algorithm: Digest(algorithm, one.hexdigest()) for algorithm, one in hashes.items()}

    async def _touch(self, upload: Upload) -> None:
        """Give an upload without a byte its empty file, for there are empty blobs."""
        try:
            await self._driver.append(layout.upload_data(upload.repository, upload.id), 0, b"")
        except WrongOffset as error:
            raise RegistryError(Code.RANGE_INVALID, {"offset": error.size}) from None


async def started_at(driver: Driver, name: str, upload_id: str) -> datetime | None:
    """Return when an upload began, to the second; None where that is not known."""
    try:
        text = (await driver.read(layout.upload_started(name, upload_id))).decode("ascii", "replace")
        return datetime.strptime(text, _MOMENT).replace(tzinfo=UTC)
    except (KeyNotFound, ValueError):
        return None


def _new_running(*algorithms: str) -> _Running:
    return _Running(tuple(hashlib.new(algorithm) for algorithm in algorithms), 0)


def _update_all(hashes: list["_Hash"], chunk: bytes) -> None:
    for one in hashes:
        one.update(chunk)


async def _batches(body: AsyncIterator[bytes]) -> AsyncGenerator[bytearray, None]:
    """Collect chunks of any size into batches worth a thread hop; a body that breaks off yields its last part."""
    batch = bytearray()
    try:
        async for chunk in body:
            batch += chunk
            if len(batch) >= BATCH_BYTES:
                yield batch
                batch = bytearray()
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _read_boot_id() -> str:
    """Return a name of this run of the machine, or of this process where the system tells none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(uuid.uuid4())
