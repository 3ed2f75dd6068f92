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
from collections.abc import AsyncIterable, Awaitable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from registry_service import layout
from registry_service.errors import Code, RegistryError
from registry_service.hashes import Running, begin_hashes, update_all
from registry_service.receiving import BATCH_BYTES, PIECE_BYTES, Batch, Body, Source, Turn, batches_of
from registry_service.registry import layer_links, source_notes
from registry_service.storage.driver import Changed, Driver, KeyNotFound, Move, State, StorageFull, WrongOffset
from shared.names import Digest

_AT_ONCE_BYTES: Final = 128 << 10
"""Hashing so much takes less than a thread hop."""
_TURNS_AT_ONCE: Final = 8
"""Threads that take large bodies from their connections; more would only disturb each other."""
_MOST_READINGS: Final = 3
_REMEMBERED_HASHES: Final = 256
_CANONICAL: Final = "sha256"
_UNKNOWN: Final = -1
_MOMENT: Final = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Upload:
    """An open upload: `offset` is the number of bytes received; `tail` the last of them, where they are not stored."""

    repository: str
    id: str
    offset: int
    tail: bytes | bytearray = b""


@dataclass(frozen=True, slots=True)
class _Read:
    """The digests of an upload's bytes by algorithm, and the state of those that are stored when they were hashed."""

    digests: dict[str, Digest]
    state: State | None


class Uploads:
    """The uploads of one registry."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._boot_id = _read_boot_id()
        self._running: OrderedDict[str, Running] = OrderedDict()
        self._turns = asyncio.Semaphore(_TURNS_AT_ONCE)
        self._buffers: list[bytearray] = []

    async def start(self, name: str, algorithm: str = _CANONICAL) -> Upload:
        """Open an upload; `algorithm` is what its digest will probably be of, so that one reading suffices."""
        upload = Upload(name, str(uuid.uuid4()), 0)
        if algorithm != _CANONICAL:
            self._keep(upload, begin_hashes(_CANONICAL, algorithm))
        now = datetime.now(UTC).strftime(_MOMENT)
        # Not durable, for an upload promises nothing before its end: after a power cut the client begins anew.
        await self._driver.append(layout.upload_begun(name, upload.id), 0, f"{now} {name}".encode())
        return upload

    async def get(self, name: str, upload_id: str) -> Upload:
        """Return an open upload of a repository; raises BLOB_UPLOAD_UNKNOWN."""
        if not _is_uuid(upload_id):
            raise RegistryError(Code.BLOB_UPLOAD_UNKNOWN)
        known = (layout.upload_begun(name, upload_id), layout.upload_started(name, upload_id))
        if await self._size(known[0]) is None and await self._size(known[1]) is None:
            raise RegistryError(Code.BLOB_UPLOAD_UNKNOWN)
        return Upload(name, upload_id, await self._size(layout.upload_data(name, upload_id)) or 0)

    async def began(self, name: str, upload_id: str) -> datetime | None:
        """Return when an open upload of a repository began, None for one that is not there."""
        return await started_at(self._driver, name, upload_id) if _is_uuid(upload_id) else None

    async def receive(self, upload: Upload, body: AsyncIterable[bytes], *, closing: Digest | None = None) -> Upload:
        """Add a request body to an upload, and return the upload as it then is.

        With a digest, `closing`, the commit follows at once, and the last bytes may be left to it. What arrived before
        the body broke off is kept. Raises RANGE_INVALID when another request adds at the same time, and whatever `body`
        raises.
        """
        running = self._resume(upload)
        written, tail = upload.offset, Batch()
        in_turns = body if isinstance(body, Body) and body.has_source else None
        try:
            with _refused():
                async with aclosing(
                    batches_of(body, BATCH_BYTES if in_turns is None else _AT_ONCE_BYTES + 1)
                ) as batches:
                    async for batch in batches:
                        source = in_turns.source() if in_turns is not None and batch.size > _AT_ONCE_BYTES else None
                        if source is not None:
                            written = await self._take_turn(upload, written, source, running, batch.parts)
                            batch.parts = []
                        elif closing is not None and _may_wait(batch, running, written, closing):
                            tail = batch
                        else:
                            await self._store(upload, written, batch, running)
                            written += batch.size
                        while source is not None and not source.ended:
                            await source.ready()
                            written = await self._take_turn(upload, written, source, running)
        except Exception:
            if tail.size:
                with _refused():
                    await self._store(upload, written, tail, running)
                written += tail.size
            raise
        finally:
            if running is not None and running.offset == written > upload.offset:
                await self._remember(upload, running, here_only=closing is not None)
        if tail.size and running is not None:
            running.update(tail.parts)
            running.offset = written + tail.size
            self._keep(upload, running)
        return Upload(upload.repository, upload.id, written + tail.size, b"".join(tail.parts))

    async def commit(self, upload: Upload, digest: Digest) -> Digest:
        """Close an upload as the blob `digest` of its repository, and return the canonical digest.

        Raises DIGEST_INVALID when the bytes have another digest; the upload is then gone.
        """
        if upload.offset == 0:
            with _refused():  # there are empty blobs
                await self._driver.append(layout.upload_data(upload.repository, upload.id), 0, b"")
        read = await self._known(upload)
        for _ in range(_MOST_READINGS):
            if read is None or not read.digests.keys() >= {_CANONICAL, digest.algorithm}:
                read = await self._read(upload, {_CANONICAL, digest.algorithm})
            await self._check(upload, read, digest)
            with _refused(), suppress(Changed):
                await self._driver.move(_move(upload, digest, read))
                self._running.pop(upload.id, None)
                return read.digests[_CANONICAL]
            read = None  # other bytes are stored now than those that were hashed
        raise RegistryError(Code.RANGE_INVALID, {"offset": upload.offset})

    async def _check(self, upload: Upload, read: _Read, digest: Digest) -> None:
        actual = read.digests[digest.algorithm]
        if actual != digest:
            await self.cancel(upload)
            raise RegistryError(Code.DIGEST_INVALID, {"expected": str(digest), "actual": str(actual)})

    async def cancel(self, upload: Upload) -> None:
        """Forget an upload and its bytes."""
        self._running.pop(upload.id, None)
        for key in _traces(upload):
            with suppress(KeyNotFound):
                await self._driver.delete(key)

    async def _size(self, key: str) -> int | None:
        try:
            return (await self._driver.stat(key)).size
        except KeyNotFound:
            return None

    async def _store(self, upload: Upload, offset: int, batch: Batch, running: Running | None) -> None:
        """Write and hash a batch beside each other."""
        key = layout.upload_data(upload.repository, upload.id)
        if offset == 0 and batch.size >= BATCH_BYTES:
            await self._tell_the_go_registry(upload)
        if running is None or running.offset != offset:
            await self._driver.append(key, offset, batch.parts)
            return
        # Until both are done, and for ever when one fails, the hash may count bytes that are not stored.
        running.offset = _UNKNOWN
        writing = self._driver.append(key, offset, batch.parts, expected=running.state)
        try:
            if batch.size <= _AT_ONCE_BYTES:
                running.update(batch.parts)
                running.state = await writing
            else:
                running.state = await _beside(writing, asyncio.to_thread(running.update, batch.parts))
        except Changed:  # the hash is of other bytes: these are read again at the end
            await self._driver.append(key, offset, batch.parts)
            return
        running.offset = offset + batch.size

    async def _take_turn(
        self, upload: Upload, offset: int, source: Source, running: Running | None, head: Sequence[bytes] = ()
    ) -> int:
        """Let a thread store and hash what comes for a while, after `head`; return how much is stored then."""
        key = layout.upload_data(upload.repository, upload.id)
        counts = running if running is not None and running.offset == offset else None
        async with self._turns:
            buffer = self._buffers.pop() if self._buffers else bytearray(PIECE_BYTES)
            turn = Turn(source, buffer, head, self._turns.locked)
            try:
                if counts is not None:
                    # Until it is over, and for ever when it fails, the hash may count bytes that are not stored.
                    counts.offset = _UNKNOWN
                    with suppress(Changed):  # the hash is of other bytes: these are read again at the end
                        end = self._driver.appending(key, offset, expected=counts.state)
                        counts.state = await turn.take(end, counts.hashes)
                        counts.offset = offset + turn.taken
                        return counts.offset
                await turn.take(self._driver.appending(key, offset), ())
            finally:
                self._buffers.append(buffer)
        if offset == 0 and not source.ended:
            await self._tell_the_go_registry(upload)
        return offset + turn.taken

    async def _tell_the_go_registry(self, upload: Upload) -> None:
        """Let the Go registry find a large upload, should it take the tree back, and purge it."""
        with suppress(KeyNotFound, WrongOffset):
            begun = await self._driver.read(layout.upload_begun(upload.repository, upload.id))
            moment, _, _ = begun.partition(b" ")
            await self._driver.append(layout.upload_started(upload.repository, upload.id), 0, moment)

    def _resume(self, upload: Upload) -> Running | None:
        """Return the hashes to go on with, or None when only a second read can tell the digest."""
        running = self._running.pop(upload.id, None)
        if running is not None and running.offset == upload.offset:
            return running
        return begin_hashes(_CANONICAL) if upload.offset == 0 else None

    def _keep(self, upload: Upload, running: Running) -> None:
        self._running[upload.id] = running
        while len(self._running) > _REMEMBERED_HASHES:
            self._running.popitem(last=False)

    async def _remember(self, upload: Upload, running: Running, *, here_only: bool) -> None:
        self._keep(upload, running)
        if here_only or running.offset < BATCH_BYTES:
            return  # another process reads so little once more
        state = ":".join(map(str, running.state or ()))
        text = " ".join([self._boot_id, state, *map(str, running.digests().values())])
        try:
            # Not made durable: after a power cut the boot id no longer fits, and the bytes are read again.
            await self._driver.append(
                layout.upload_digest(upload.repository, upload.id, running.offset), 0, text.encode()
            )
        except (WrongOffset, StorageFull, OSError):
            return

    async def _known(self, upload: Upload) -> _Read | None:
        """Return the digests of all bytes so far as the last request left them, if they can be believed."""
        running = self._running.get(upload.id)
        if running is not None and running.offset == upload.offset:
            return _Read(running.digests(), running.state)
        try:
            key = layout.upload_digest(upload.repository, upload.id, upload.offset)
            boot_id, state, *texts = (await self._driver.read(key)).decode("ascii", "replace").split(" ")
            digests = [Digest.parse(text) for text in texts]
            numbers = tuple(map(int, state.split(":")))
        except (KeyNotFound, ValueError):
            return None
        return _Read({one.algorithm: one for one in digests}, numbers) if boot_id == self._boot_id else None

    async def _read(self, upload: Upload, algorithms: set[str]) -> _Read:
        """Read all bytes once more; their state is looked at before, so that none come between unseen."""
        hashes = {algorithm: hashlib.new(algorithm) for algorithm in algorithms}
        key, stored = layout.upload_data(upload.repository, upload.id), upload.offset - len(upload.tail)
        with _refused():
            state = (await self._driver.stat(key)).state if stored or not upload.tail else None
            if stored <= _AT_ONCE_BYTES:
                update_all(list(hashes.values()), (await self._driver.read(key))[:stored] if stored else b"")
            else:
                async for chunk in self._driver.stream(key, 0, stored):
                    await asyncio.to_thread(update_all, list(hashes.values()), chunk)
        update_all(list(hashes.values()), upload.tail)
        return _Read({algorithm: Digest(algorithm, one.hexdigest()) for algorithm, one in hashes.items()}, state)


async def started_at(driver: Driver, name: str, upload_id: str) -> datetime | None:
    """Return when an upload began, to the second; None where that is not known."""
    for key in (layout.upload_begun(name, upload_id), layout.upload_started(name, upload_id)):
        with suppress(KeyNotFound):
            return moment_of(await driver.read(key))
    return None


def moment_of(begun: bytes) -> datetime | None:
    """Return the time that the notes of an upload begin with, None for what is none."""
    text, _, _ = begun.decode("ascii", "replace").partition(" ")
    try:
        return datetime.strptime(text, _MOMENT).replace(tzinfo=UTC)
    except ValueError:
        return None


@contextmanager
def _refused() -> Iterator[None]:
    """Say in the registry's words what the storage refuses."""
    try:
        yield
    except WrongOffset as error:
        raise RegistryError(Code.RANGE_INVALID, {"offset": error.size}) from None
    except KeyNotFound:
        raise RegistryError(Code.BLOB_UPLOAD_UNKNOWN) from None


async def _beside(writing: Awaitable[State], hashing: Awaitable[None]) -> State:
    """Wait for both, whichever fails, and return the state of what was written."""
    state, hashed = await asyncio.gather(writing, hashing, return_exceptions=True)
    for result in (hashed, state):
        if isinstance(result, BaseException):
            raise result
    assert isinstance(state, tuple)  # noqa: S101 - for the type checker
    return state


def _move(upload: Upload, digest: Digest, read: _Read) -> Move:
    """Return what makes a blob of an upload, and nothing else of it remains."""
    name, canonical = upload.repository, read.digests[_CANONICAL]
    return Move(
        layout.upload_data(name, upload.id),
        layout.blob(canonical),
        upload.offset,
        tail=upload.tail,
        state=read.state,
        beside=layer_links(name, digest, canonical),
        # The note of the upload's begin becomes that of where the blob can be found.
        renamed={layout.upload_begun(name, upload.id): layout.source(canonical, name)},
        hints=source_notes(name, digest, canonical),
        leaves=[layout.upload(name, upload.id)],
    )


def _traces(upload: Upload) -> tuple[str, str]:
    """Return every key of an upload; the first makes it known."""
    return layout.upload_begun(upload.repository, upload.id), layout.upload(upload.repository, upload.id)


def _may_wait(batch: Batch, running: Running | None, offset: int, digest: Digest) -> bool:
    """Tell whether the end of a body can be stored with the commit: no other batch follows one so small."""
    if running is None or running.offset != offset or batch.size > _AT_ONCE_BYTES or batch.size >= BATCH_BYTES:
        return False
    return {_CANONICAL, digest.algorithm} <= {one.name for one in running.hashes}


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
