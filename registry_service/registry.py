"""What a registry does: blobs, manifests and tags of repositories, kept in a driver by the layout's keys.

Writes go bytes first, then link, then tag; removal goes the other way: a crash leaves garbage, never a dangling name.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from registry_service import layout
from registry_service.config import Platform, Validation
from registry_service.errors import Code, Problem, RegistryError
from registry_service.manifests import Manifest, ManifestInvalid, canonical_digest, parse_manifest, stored_media_type
from registry_service.storage.driver import ANYTHING, Driver, Expected, KeyNotFound, Known, StorageFull, WrongOffset
from shared.names import ALGORITHMS, Digest, InvalidDigest, Reference, Tag

T = TypeVar("T")
Witness = tuple[str, Known]
"""A key of the storage, and what is known of it."""

EMPTY_DIGEST: Final = canonical_digest(b"")
_MOST_SOURCES: Final = 100
_PARALLEL_READS: Final = 16
_CACHED_MANIFEST_BYTES: Final = 32 << 20


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob that may be read: the digest it was asked by, its size in bytes, the key of its bytes."""

    digest: Digest
    size: int
    key: str


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest as it lies in the tree: the digest it is known by here, its media type and exact bytes."""

    digest: Digest
    media_type: str
    body: bytes


class Registry:
    """The repositories in one driver."""

    def __init__(self, driver: Driver, validation: Validation | None = None) -> None:
        self.driver = driver
        self._validation = validation or Validation()
        self._manifests = _ManifestCache(_CACHED_MANIFEST_BYTES)

    async def blob(self, name: str, digest: Digest) -> Blob:
        """Return a blob of a repository; raises BLOB_UNKNOWN, also for blobs that only other repositories hold."""
        try:
            canonical = await self._follow(layout.layer_link(name, digest))
            return Blob(digest, await self._size(canonical), layout.blob(canonical))
        except KeyNotFound:
            raise RegistryError(Code.BLOB_UNKNOWN, {"digest": str(digest)}) from None

    def witnesses_of_blob(self, name: str, blob: Blob) -> tuple[Witness, ...] | None:
        """Return the keys on which the being of a blob rests, and what they hold; None where it is not so simple."""
        canonical = _canonical(blob.digest)
        link = layout.layer_link(name, blob.digest)
        return None if canonical is None else ((link, canonical), (blob.key, blob.size))

    def witnesses_of_manifest(
        self, name: str, reference: Reference, stored: StoredManifest
    ) -> tuple[Witness, ...] | None:
        """Return the keys on which the answer to a reference rests, with what they hold; None as for a blob."""
        canonical = _canonical(stored.digest)
        if canonical is None:
            return None
        link = (layout.revision_link(name, stored.digest), canonical)
        return (link, (layout.tag_link(name, reference), canonical)) if isinstance(reference, Tag) else (link,)

    async def link_blob(self, name: str, digest: Digest, canonical: Digest) -> None:
        """Make a stored blob readable through a repository, by its canonical digest and the one it is asked by."""
        for key, text in layer_links(name, digest, canonical).items():
            await self.driver.write(key, text)
        for key, text in source_notes(name, digest, canonical).items():
            with suppress(WrongOffset, StorageFull, OSError):  # noted before, or not at all
                await self.driver.append(key, 0, text)

    async def source_of(self, digest: Digest, may_pull: Callable[[str], bool]) -> str | None:
        """Return a repository that holds a blob and satisfies `may_pull`, None when none is known.

        Known are the repositories that received it from us, not those that the Go registry wrote.
        """
        folder = layout.sources(digest)
        keys = [key for key in await self.driver.children(folder) if key.startswith(f"{digest.hex}.")]
        for key in keys[:_MOST_SOURCES]:
            name = (await self.driver.read(f"{folder}/{key}")).decode("ascii", "replace").rpartition(" ")[2]
            if may_pull(name) and await self._has_content(layout.layer_link(name, digest)):
                return name
        return None

    async def mount_blob(self, name: str, digest: Digest, source: str) -> bool:
        """Link a blob of the repository `source` into another; return False when it is not there."""
        try:
            canonical = await self._follow(layout.layer_link(source, digest))
            await self._size(canonical)
        except KeyNotFound:
            return False
        await self.link_blob(name, digest, canonical)
        return True

    async def delete_blob(self, name: str, digest: Digest) -> None:
        """Take a blob out of a repository; its bytes stay until garbage collection. Raises BLOB_UNKNOWN."""
        await self.blob(name, digest)
        canonical = await self._link_or_none(layout.layer_link(name, digest))
        for one in await self._names_of(layout.layers(name), canonical) if canonical else ():
            await self._forget(layout.layer_link(name, one))

    async def resolve(self, name: str, reference: Reference) -> Digest:
        """Return the digest that a tag points to, or the digest itself; raises MANIFEST_UNKNOWN."""
        if isinstance(reference, Digest):
            return reference
        try:
            return await self._follow(layout.tag_link(name, reference))
        except KeyNotFound:
            raise RegistryError(Code.MANIFEST_UNKNOWN, {"name": name, "tag": str(reference)}) from None

    async def present(self, name: str, reference: Reference) -> Digest | None:
        """Return the digest that stands under a tag or digest now, None when there is nothing."""
        if isinstance(reference, Tag):
            return await self._link_or_none(layout.tag_link(name, reference))
        return reference if await self._link_or_none(layout.revision_link(name, reference)) else None

    async def manifest(self, name: str, reference: Reference) -> StoredManifest:
        """Return a manifest by tag or digest; raises MANIFEST_UNKNOWN."""
        digest = await self.resolve(name, reference)
        try:
            canonical = await self._follow(layout.revision_link(name, digest))
            cached = self._manifests.get(canonical)
            if cached is None:
                body = await self._read_whole(canonical)
                cached = StoredManifest(canonical, stored_media_type(body), body)
                self._manifests.add(cached)
        except KeyNotFound:
            raise RegistryError(Code.MANIFEST_UNKNOWN, {"name": name, "revision": str(digest)}) from None
        return StoredManifest(digest, cached.media_type, cached.body)

    async def put_manifest(self, name: str, reference: Reference, manifest: Manifest) -> Digest:
        """Store a manifest under a tag or its digest, and return the digest that names it.

        Raises DIGEST_INVALID when the reference is another content's digest, and MANIFEST_BLOB_UNKNOWN with every
        reference that the repository lacks.
        """
        digest = self._name_of(reference, manifest)
        await self._check_references(name, manifest)
        canonical = manifest.digest
        text = str(canonical).encode()
        await self.driver.write(layout.blob(canonical), manifest.body)
        files: dict[str, bytes] = {}
        if not await self.driver.children(layout.layers(name)):
            files[layout.layers_marker(name)] = b""
        files |= {layout.revision_link(name, one): text for one in (canonical, digest)}
        if manifest.subject is not None:
            files[layout.referrer_link(name, manifest.subject.digest, canonical)] = text
        # At once, so that the driver can wait for the disk once for all of them.
        await asyncio.gather(*(self.driver.write(key, data) for key, data in files.items()))
        return digest

    async def tag_manifest(self, name: str, tag: Tag, digest: Digest, *, expected: Expected = ANYTHING) -> None:
        """Point a tag to a stored manifest, in one step for every reader.

        `expected` is the link that the tag must hold now, None for a new tag; raises Changed otherwise.
        """
        text = str(digest).encode()
        # The history last: without the link before it, it would be a tag that leads nowhere.
        await self.driver.write(layout.tag_link(name, tag), text, expected=expected)
        await self.driver.write(layout.tag_index_link(name, tag, digest), text)

    async def tags_of(self, name: str, digest: Digest) -> list[Tag]:
        """Return the tags that point to a manifest, by whichever of its digests; raises MANIFEST_UNKNOWN."""
        names = _names_of(digest, (await self.manifest(name, digest)).body)
        tags = [Tag(text) for text in await self.driver.children(layout.tags(name))]
        held = await self.gather([partial(self._link_or_none, layout.tag_link(name, tag)) for tag in tags])
        return [tag for tag, target in zip(tags, held, strict=True) if target in names]

    async def delete_manifest(self, name: str, digest: Digest) -> list[Tag]:
        """Remove a manifest and the tags that point to it, and return those tags; raises MANIFEST_UNKNOWN."""
        manifest = await self.manifest(name, digest)
        removed = await self.tags_of(name, digest)  # looked up here, for a tag may have come since the caller looked
        for tag in removed:
            await self._forget(layout.tag(name, tag))
        await self._forget_referrer(name, manifest)
        for one in _names_of(digest, manifest.body):
            await self._forget(layout.revision_link(name, one))
        return removed

    async def delete_tag(self, name: str, tag: Tag) -> None:
        """Remove a tag and leave its manifest; raises MANIFEST_UNKNOWN."""
        await self.resolve(name, tag)
        await self._forget(layout.tag(name, tag))

    async def gather(self, calls: Iterable[Callable[[], Awaitable[T]]]) -> list[T]:
        """Run reads beside each other, a bounded number at a time, and return their results in order."""
        gate = asyncio.Semaphore(_PARALLEL_READS)

        async def one(call: Callable[[], Awaitable[T]]) -> T:
            async with gate:
                result = await call()
                await asyncio.sleep(0)  # what was answered from memory has not let anybody else run
                return result

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(call)) for call in calls]
        except ExceptionGroup as group_error:
            raise group_error.exceptions[0] from None  # the others were only cancelled, or tell the same
        return [task.result() for task in tasks]

    async def _follow(self, link: str) -> Digest:
        """Return the digest that a link holds; one that a crash left empty counts as missing."""
        text = (await self.driver.read(link)).decode("ascii", "replace")
        try:
            return Digest.parse(text.strip())
        except InvalidDigest:
            raise KeyNotFound(link) from None

    async def _names_of(self, folder: str, canonical: Digest) -> list[Digest]:
        """Return every digest of any algorithm whose link below a folder leads to the same content."""
        names = [canonical]
        for algorithm in {*ALGORITHMS} - {canonical.algorithm}:
            names += [Digest(algorithm, value) for value in await self.driver.children(f"{folder}/{algorithm}")]
        held = await self.gather(
            [partial(self._link_or_none, f"{folder}/{one.algorithm}/{one.hex}/link") for one in names]
        )
        return [name for name, target in zip(names, held, strict=True) if target == canonical]

    async def _link_or_none(self, link: str) -> Digest | None:
        try:
            return await self._follow(link)
        except KeyNotFound:
            return None

    async def _size(self, canonical: Digest) -> int:
        """Return the size of stored bytes. A power cut can leave an empty file behind: that counts as missing."""
        key = layout.blob(canonical)
        size = (await self.driver.stat(key)).size
        if size == 0 and canonical != EMPTY_DIGEST:
            raise KeyNotFound(key)
        return size

    async def _read_whole(self, canonical: Digest) -> bytes:
        await self._size(canonical)
        return await self.driver.read(layout.blob(canonical))

    @staticmethod
    def _name_of(reference: Reference, manifest: Manifest) -> Digest:
        if isinstance(reference, Tag):
            return manifest.digest
        actual = Digest(reference.algorithm, hashlib.new(reference.algorithm, manifest.body).hexdigest())
        if actual != reference:
            raise RegistryError(Code.DIGEST_INVALID, {"expected": str(reference), "actual": str(actual)})
        return reference

    async def _check_references(self, name: str, manifest: Manifest) -> None:
        if self._validation.disabled:
            return
        requires = self._validation.manifests.indexes.requires
        blobs = [one.digest for one in manifest.blobs]
        children = [one.digest for one in manifest.manifests if requires(one.platform and Platform(*one.platform))]
        links = {
            **{layout.layer_link(name, digest): digest for digest in blobs},
            **{layout.revision_link(name, digest): digest for digest in children},
        }
        found = await self.gather([partial(self._has_content, link) for link in links])
        missing = [digest for digest, present in zip(links.values(), found, strict=True) if not present]
        if missing:
            problems = [Problem(Code.MANIFEST_BLOB_UNKNOWN, {"digest": str(digest)}) for digest in missing]
            raise RegistryError.of(problems)

    async def _has_content(self, link: str) -> bool:
        try:
            await self._size(await self._follow(link))
        except KeyNotFound:
            return False
        return True

    async def _forget_referrer(self, name: str, stored: StoredManifest) -> None:
        with suppress(ManifestInvalid):
            manifest = parse_manifest(stored.body, stored.media_type)
            if manifest.subject is not None:
                await self._forget(layout.referrer_link(name, manifest.subject.digest, manifest.digest))

    async def _forget(self, key: str) -> None:
        """Delete a key that another request may be deleting as well."""
        with suppress(KeyNotFound):
            await self.driver.delete(key)


def layer_links(name: str, digest: Digest, canonical: Digest) -> dict[str, bytes]:
    """Return the keys and bytes of the links that make a blob readable through a repository."""
    return {layout.layer_link(name, one): str(canonical).encode() for one in (canonical, digest)}


def source_notes(name: str, digest: Digest, canonical: Digest) -> dict[str, bytes]:
    """Return what notes that a repository holds a blob, for those who mount it without naming one."""
    return {layout.source(one, name): name.encode() for one in (canonical, digest)}


def _canonical(digest: Digest) -> bytes | None:
    """Return what links to content hold that is asked for by its canonical digest."""
    return str(digest).encode() if digest.algorithm == ALGORITHMS[0] else None


def _names_of(digest: Digest, body: bytes) -> set[Digest]:
    """Return every digest by which a manifest may be known."""
    return {digest, *(Digest(one, hashlib.new(one, body).hexdigest()) for one in ALGORITHMS)}


class _ManifestCache:
    """The bytes of manifests last read, by digest: they cannot change, so they cannot be wrong."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._items: OrderedDict[Digest, StoredManifest] = OrderedDict()

    def get(self, digest: Digest) -> StoredManifest | None:
        found = self._items.get(digest)
        if found is not None:
            self._items.move_to_end(digest)
        return found

    def add(self, manifest: StoredManifest) -> None:
        if manifest.digest in self._items or len(manifest.body) > self._limit:
            return
        self._items[manifest.digest] = manifest
        self._bytes += len(manifest.body)
        while self._bytes > self._limit:
            _, oldest = self._items.popitem(last=False)
            self._bytes -= len(oldest.body)
