"""Referrers: the manifests of a repository that name another as their subject.

Links lead from a subject to them (layout.py). Clients of registries without this list keep one of their own under a
tag made of the subject's digest; what stands there is part of the answer.

What is known of a digest cannot change, so it is kept; that the manifest is there still is looked at each time.

Source: OCI distribution-spec 1.1, "Listing Referrers" and "Referrers Tag Schema".
"""

import asyncio
import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from registry_service import layout
from registry_service.errors import RegistryError
from registry_service.manifests import OCI_INDEX, Manifest, ManifestInvalid, parse_manifest
from registry_service.registry import Registry
from registry_service.storage.driver import Mark
from shared.names import Digest, InvalidDigest, Tag

_BATCH: Final = 64
_MOST_BYTES: Final = 2 << 20
"""A page is an image index, which clients read whole; annotations can make few entries large."""
_REMEMBERED_BYTES: Final = 8 << 20
_OVERHEAD_BYTES: Final = 1 << 10


@dataclass(frozen=True, slots=True)
class Referrer:
    """A manifest that may refer to another: its descriptor as JSON, and by what to see that it is there still."""

    digest: str
    subject: str
    artifact_type: str
    descriptor: str
    mark: Mark | None


@dataclass(frozen=True, slots=True)
class ReferrersPage:
    """A part of the list, ordered by digest; `more` says that entries follow."""

    referrers: tuple[Referrer, ...]
    more: bool

    def body(self) -> bytes:
        """Return the page as the image index that clients expect."""
        entries = ",".join([one.descriptor for one in self.referrers])
        return f'{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{entries}]}}'.encode()


class Referrers:
    """The referrers in one registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[str, Referrer] = {}
        self._bytes = 0

    async def page(
        self, name: str, subject: Digest, *, artifact_type: str = "", last: str = "", limit: int = 1000
    ) -> ReferrersPage:
        """Return at most `limit` referrers after the digest `last`, of one artifact type if that is given."""
        digests = await self._linked(name, subject)
        also = await self._under_tag(name, subject)
        digests = sorted({*digests, *also}) if also else digests
        wanted = str(subject)
        found: list[Referrer] = []
        size = 0
        for start in range(bisect_right(digests, last), len(digests), _BATCH):
            for one in await self._read(name, digests[start : start + _BATCH]):
                if one is None or one.subject != wanted or artifact_type not in ("", one.artifact_type):
                    continue
                size += len(one.descriptor)
                if len(found) == limit or (found and size > _MOST_BYTES):
                    return ReferrersPage(tuple(found), more=True)
                found.append(one)
        return ReferrersPage(tuple(found), more=False)

    async def _linked(self, name: str, subject: Digest) -> list[str]:
        """Return the digests to which links lead from a subject, in order."""
        folder = layout.referrers(name, subject)
        algorithms = await self._registry.driver.children(folder)
        listings = await self._registry.driver.listings([f"{folder}/{algorithm}" for algorithm in algorithms])
        pairs = zip(algorithms, listings, strict=True)
        return [f"{algorithm}:{value}" for algorithm, values in pairs for value in values]

    async def _under_tag(self, name: str, subject: Digest) -> list[str]:
        try:
            stored = await self._registry.manifest(name, referrers_tag(subject))
            return [str(one.digest) for one in parse_manifest(stored.body, stored.media_type).manifests]
        except (RegistryError, ManifestInvalid):
            return []

    async def _read(self, name: str, digests: Sequence[str]) -> list[Referrer | None]:
        """Return for each digest what is known of it, None when it is gone or damaged."""
        await asyncio.sleep(0)  # what is answered from memory lets nobody else run
        found = {digest: self._remembered(name, digest) for digest in digests}
        missing = [digest for digest, one in found.items() if one is None]
        if missing:
            read = await self._registry.gather([partial(self._read_one, name, digest) for digest in missing])
            found.update(zip(missing, read, strict=True))
        return list(found.values())

    def _remembered(self, name: str, digest: str) -> Referrer | None:
        known = self._known.get(f"{name}@{digest}")
        if known is None or known.mark is None or not self._registry.driver.unchanged(known.mark):
            return None
        return known

    async def _read_one(self, name: str, text: str) -> Referrer | None:
        try:
            digest = Digest.parse(text)
            stored = await self._registry.manifest(name, digest)
            manifest = parse_manifest(stored.body, stored.media_type)
        except (RegistryError, ManifestInvalid, InvalidDigest):
            self._forget(f"{name}@{text}")
            return None
        marks = [
            self._registry.driver.mark(key, held)
            for key, held in self._registry.witnesses_of_manifest(name, digest, stored) or ()
        ]
        found = Referrer(
            str(manifest.digest),
            str(manifest.subject.digest) if manifest.subject is not None else "",
            manifest.artifact_type,
            json.dumps(_descriptor(manifest), separators=(",", ":")),
            marks[0] if len(marks) == 1 else None,
        )
        self._remember(f"{name}@{text}", found)
        return found

    def _remember(self, key: str, found: Referrer) -> None:
        self._forget(key)
        if found.mark is not None:
            self._known[key] = found
            self._bytes += _weight(found)
        while self._bytes > _REMEMBERED_BYTES:
            self._forget(next(iter(self._known)))

    def _forget(self, key: str) -> None:
        known = self._known.pop(key, None)
        self._bytes -= _weight(known) if known is not None else 0


def referrers_tag(subject: Digest) -> Tag:
    """Return the tag under which clients keep a list themselves."""
    return Tag(re.sub(r"[^A-Za-z0-9._-]", "-", f"{subject.algorithm[:32]}-{subject.hex[:64]}"))


def _weight(referrer: Referrer) -> int:
    return _OVERHEAD_BYTES + len(referrer.descriptor)


def _descriptor(manifest: Manifest) -> dict[str, Any]:
    descriptor: dict[str, Any] = {
        "mediaType": manifest.media_type,
        "size": len(manifest.body),
        "digest": str(manifest.digest),
    }
    if manifest.artifact_type:
        descriptor["artifactType"] = manifest.artifact_type
    if manifest.annotations:
        descriptor["annotations"] = dict(manifest.annotations)
    return descriptor
