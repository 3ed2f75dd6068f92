"""Manifests: bytes and a media type in, what they refer to out. Pure.

Sources: OCI image-spec 1.1, "Image Manifest" and "Image Index"; Docker image manifest version 2, schema 2.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared.names import Digest, InvalidDigest

OCI_IMAGE: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
DOCKER_IMAGE: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"

_IMAGES: Final = frozenset({OCI_IMAGE, DOCKER_IMAGE})
_INDEXES: Final = frozenset({OCI_INDEX, DOCKER_LIST})
_SCHEMA1: Final = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    }
)
_UNSPECIFIC: Final = frozenset({"", "application/json", "application/octet-stream"})
_FOREIGN_LAYERS: Final = frozenset(
    {
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    }
)


class ManifestInvalid(ValueError):
    """The bytes are no manifest that may be stored; the message says why."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to other content: its media type, digest and size in bytes; platform as (os, architecture)."""

    media_type: str
    digest: Digest
    size: int
    platform: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest's exact bytes with what the registry must know of them.

    `blobs` must be present in the repository before it, and `manifests` too; `subject` need not exist. `content` is
    an image's config, then all of its layers, also those that are kept elsewhere.
    """

    media_type: str
    body: bytes
    digest: Digest
    blobs: tuple[Descriptor, ...] = ()
    manifests: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    content: tuple[Descriptor, ...] = ()

    @property
    def is_index(self) -> bool:
        """Tell whether it lists manifests rather than layers."""
        return self.media_type in _INDEXES


def canonical_digest(body: bytes) -> Digest:
    """Return the sha256 digest, under which every content is kept."""
    return Digest("sha256", hashlib.sha256(body).hexdigest())


def parse_manifest(body: bytes, content_type: str = "") -> Manifest:
    """Read a manifest pushed with `content_type` (parameters are ignored); raises ManifestInvalid."""
    document = _document(body)
    media_type = _media_type(document, content_type.partition(";")[0].strip().lower())
    if document.get("schemaVersion") != 2:  # noqa: PLR2004
        raise ManifestInvalid("schemaVersion must be 2")
    if media_type in _INDEXES:
        content: tuple[Descriptor, ...] = ()
        manifests = _descriptors(document, "manifests")
        if "config" in document or "layers" in document:
            raise ManifestInvalid("an index has manifests, neither config nor layers")
    else:
        if "manifests" in document:
            raise ManifestInvalid("an image manifest has config and layers, not manifests")
        manifests = ()
        content = (_descriptor(document.get("config"), "config"), *_descriptors(document, "layers"))
    subject = document.get("subject")
    return Manifest(
        media_type=media_type,
        body=body,
        digest=canonical_digest(body),
        blobs=tuple(one for one in content if one.media_type not in _FOREIGN_LAYERS),
        manifests=manifests,
        subject=None if subject is None else _descriptor(subject, "subject"),
        artifact_type=_artifact_type(document),
        annotations=_annotations(document),
        content=content,
    )


def stored_media_type(body: bytes) -> str:
    """Return the media type of a manifest that lies in the tree, where none is written beside it."""
    try:
        return _media_type(_document(body), "")
    except ManifestInvalid:
        return OCI_IMAGE


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ManifestInvalid("the manifest is not valid JSON") from error
    if not isinstance(document, dict):
        raise ManifestInvalid("the manifest is not a JSON object")
    return document


def _media_type(document: Mapping[str, Any], content_type: str) -> str:
    inside = document.get("mediaType", "")
    if not isinstance(inside, str):
        raise ManifestInvalid("mediaType is not a string")
    if content_type in _SCHEMA1 or document.get("schemaVersion") == 1:
        raise ManifestInvalid("schema 1 manifests are no longer taken; push with Docker 1.10 or newer, or with skopeo")
    if content_type in _UNSPECIFIC:
        content_type = inside or (OCI_INDEX if "manifests" in document else OCI_IMAGE)
    if content_type not in _IMAGES | _INDEXES:
        raise ManifestInvalid(f"the manifest type {content_type[:128]!r} is not supported")
    if inside and inside != content_type:
        raise ManifestInvalid(f"Content-Type is {content_type} but mediaType is {inside[:128]!r}")
    if not inside and content_type in (DOCKER_IMAGE, DOCKER_LIST):
        raise ManifestInvalid(f"mediaType must be {content_type}")  # nothing else tells it later, see stored_media_type
    return content_type


def _descriptors(document: Mapping[str, Any], key: str) -> tuple[Descriptor, ...]:
    entries = document.get(key)
    if entries is None:
        entries = []
    if not isinstance(entries, list):
        raise ManifestInvalid(f"{key} is not a list")
    return tuple(_descriptor(entry, f"{key}[{i}]") for i, entry in enumerate(entries))


def _descriptor(entry: Any, where: str) -> Descriptor:
    if not isinstance(entry, dict):
        raise ManifestInvalid(f"{where} is not a descriptor")
    media_type, digest, size = entry.get("mediaType", ""), entry.get("digest"), entry.get("size")
    if not isinstance(media_type, str):
        raise ManifestInvalid(f"{where}.mediaType is not a string")
    if not isinstance(digest, str):
        raise ManifestInvalid(f"{where}.digest is missing")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ManifestInvalid(f"{where}.size is not a number of bytes")
    try:
        return Descriptor(media_type, Digest.parse(digest), size, _platform(entry.get("platform")))
    except InvalidDigest as error:
        raise ManifestInvalid(f"{where}.digest: {error}") from error


def _platform(entry: Any) -> tuple[str, str] | None:
    if not isinstance(entry, dict):
        return None
    return str(entry.get("os", "")), str(entry.get("architecture", ""))


def _artifact_type(document: Mapping[str, Any]) -> str:
    """Return what a listing of referrers shows: artifactType, else the media type of an image's config."""
    artifact_type = document.get("artifactType") or ""
    if not isinstance(artifact_type, str):
        raise ManifestInvalid("artifactType is not a string")
    config = document.get("config")
    if not artifact_type and isinstance(config, dict):
        return str(config.get("mediaType", ""))
    return artifact_type


def _annotations(document: Mapping[str, Any]) -> Mapping[str, str]:
    annotations = document.get("annotations")
    if annotations is None:
        return {}
    if not isinstance(annotations, dict) or not all(isinstance(value, str) for value in annotations.values()):
        raise ManifestInvalid("annotations is not an object of strings")
    return annotations
