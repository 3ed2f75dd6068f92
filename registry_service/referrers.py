"""Referrers: the manifests of a repository that name another as their subject.

Links lead from a subject to them (layout.py). Clients of registries without this list keep one of their own under a
tag made of the subject's digest; what stands there is part of the answer.

Source: OCI distribution-spec 1.1, "Listing Referrers" and "Referrers Tag Schema".
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from registry_service import layout
from registry_service.errors import RegistryError
from registry_service.manifests import OCI_INDEX, Manifest, ManifestInvalid, parse_manifest
from registry_service.registry import Registry
from shared.names import Digest, InvalidDigest, Tag

_BATCH: Final = 64
_MOST_BYTES: Final = 2 << 20
"""A page is an image index, which clients read whole; annotations can make few entries large."""


@dataclass(frozen=True, slots=True)
class ReferrersPage:
    """A part of the list, ordered by digest; `more` says that entries follow."""

    descriptors: tuple[dict[str, Any], ...]
    more: bool

    def index(self) -> dict[str, Any]:
        """Return the page as the image index that clients expect."""
        return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(self.descriptors)}


async def referrers_page(
    registry: Registry, name: str, subject: Digest, *, artifact_type: str = "", last: str = "", limit: int = 1000
) -> ReferrersPage:
    """Return at most `limit` referrers after the digest `last`, of one artifact type if that is given."""
    digests = sorted({*await _linked(registry, name, subject), *await _under_tag(registry, name, subject)}, key=str)
    waiting = [digest for digest in digests if str(digest) > last]
    found: list[dict[str, Any]] = []
    size = 0
    for start in range(0, len(waiting), _BATCH):
        batch = waiting[start : start + _BATCH]
        manifests = await registry.gather([partial(_referrer, registry, name, subject, digest) for digest in batch])
        for descriptor in _descriptors(manifests, artifact_type):
            size += len(json.dumps(descriptor))
            if len(found) == limit or (found and size > _MOST_BYTES):
                return ReferrersPage(tuple(found), more=True)
            found.append(descriptor)
    return ReferrersPage(tuple(found), more=False)


def referrers_tag(subject: Digest) -> Tag:
    """Return the tag under which clients keep a list themselves."""
    return Tag(re.sub(r"[^A-Za-z0-9._-]", "-", f"{subject.algorithm[:32]}-{subject.hex[:64]}"))


async def _linked(registry: Registry, name: str, subject: Digest) -> list[Digest]:
    folder = layout.referrers(name, subject)
    found: list[Digest] = []
    for algorithm in await registry.driver.children(folder):
        found += [Digest(algorithm, value) for value in await registry.driver.children(f"{folder}/{algorithm}")]
    return found


async def _under_tag(registry: Registry, name: str, subject: Digest) -> list[Digest]:
    try:
        stored = await registry.manifest(name, referrers_tag(subject))
        return [one.digest for one in parse_manifest(stored.body, stored.media_type).manifests]
    except (RegistryError, ManifestInvalid):
        return []


async def _referrer(registry: Registry, name: str, subject: Digest, digest: Digest) -> Manifest | None:
    """Return a manifest that refers to the subject, or None when it is gone, damaged, or refers to something else."""
    try:
        stored = await registry.manifest(name, digest)
        manifest = parse_manifest(stored.body, stored.media_type)
    except (RegistryError, ManifestInvalid, InvalidDigest):
        return None
    return manifest if manifest.subject is not None and manifest.subject.digest == subject else None


def _descriptors(manifests: Sequence[Manifest | None], artifact_type: str) -> list[dict[str, Any]]:
    return [
        _descriptor(manifest)
        for manifest in manifests
        if manifest is not None and artifact_type in ("", manifest.artifact_type)
    ]


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
