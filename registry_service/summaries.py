"""Tags at a glance: what each points to, how large it is, for which platforms, how old.

What is known of a digest cannot change, so it is kept; a page of a hundred tags costs one request of the client, and
here little more than following a hundred links.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Literal, get_args

from registry_service import layout
from registry_service.errors import RegistryError
from registry_service.listing import tags_page
from registry_service.manifests import Manifest, ManifestInvalid, parse_manifest
from registry_service.registry import Registry
from registry_service.storage.driver import KeyNotFound
from shared.names import Digest, Tag, natural_key

Order = Literal["name", "version", "pushed", "created", "size"]
ORDERS: Final = get_args(Order)

_KEPT: Final = 10_000
_LARGEST_CONFIG_BYTES: Final = 4 << 20
_MOST_LEVELS: Final = 8
_MOST_MANIFESTS: Final = 1000
"""Indexes within indexes, and all that they list: more than anybody needs, few enough to be read."""
_ATTESTATION: Final = ("unknown", "unknown")
"""The platform that builders give to what they attest about an image, which is none itself."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What is known of a manifest: size in bytes of all it refers to, platforms, creation (RFC 3339, or empty)."""

    media_type: str
    size: int
    platforms: tuple[str, ...]
    created: str
    artifact_type: str = ""


@dataclass(frozen=True, slots=True)
class TagSummary:
    """A tag, what it points to, and when it was last moved (RFC 3339); `summary` None when that cannot be read."""

    tag: str
    digest: str
    pushed: str
    summary: Summary | None

    def to_json(self) -> dict[str, Any]:
        """Return the entry as docs/extensions.md describes it."""
        entry: dict[str, Any] = {"tag": self.tag, "digest": self.digest, "pushed": self.pushed}
        if self.summary is not None:
            entry |= {
                "mediaType": self.summary.media_type,
                "size": self.summary.size,
                "platforms": list(self.summary.platforms),
            }
            entry |= {"created": self.summary.created} if self.summary.created else {}
            entry |= {"artifactType": self.summary.artifact_type} if self.summary.artifact_type else {}
        return entry


class Summaries:
    """The summaries of one registry's tags."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: OrderedDict[Digest, Summary] = OrderedDict()

    async def page(
        self, name: str, *, order: Order, descending: bool, start: int, limit: int, contains: str = ""
    ) -> tuple[list[TagSummary], int]:
        """Return `limit` tags from position `start` of an ordered list, and the length of that list.

        Raises NAME_UNKNOWN. Ordered by name or version only the tags of the page are read.
        """
        wanted = contains.lower()
        tags = [tag for tag in (await tags_page(self._registry, name)).entries if wanted in tag.lower()]
        part = slice(start, start + limit)
        if order in ("name", "version"):
            key: Callable[[str], Any] = natural_key if order == "version" else str
            tags.sort(key=key, reverse=descending)
            return await self._of_tags(name, tags[part]), len(tags)
        found = await self._of_tags(name, tags)
        found.sort(key=partial(_sort_key, order), reverse=descending)
        return found[part], len(found)

    async def _of_tags(self, name: str, tags: Sequence[str]) -> list[TagSummary]:
        found = await self._registry.gather([partial(self._of_tag, name, Tag(tag)) for tag in tags])
        return [one for one in found if one is not None]

    async def _of_tag(self, name: str, tag: Tag) -> TagSummary | None:
        """Return a tag's entry, None when the tag was deleted meanwhile."""
        digest = await self._registry.present(name, tag)
        if digest is None:
            return None
        try:
            moved = (await self._registry.driver.stat(layout.tag_link(name, tag))).modified
        except KeyNotFound:
            return None
        pushed = datetime.fromtimestamp(int(moved), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return TagSummary(str(tag), str(digest), pushed, await self._of_digest(name, digest))

    async def _of_digest(self, name: str, digest: Digest, level: int = 0) -> Summary | None:
        """Return what is known of a manifest, None when it is gone, damaged, or nested too deeply."""
        if level > _MOST_LEVELS or await self._registry.present(name, digest) is None:
            return None  # what another repository holds is not told here
        known = self._known.get(digest)
        if known is not None:
            self._known.move_to_end(digest)
            return known
        try:
            stored = await self._registry.manifest(name, digest)
            summary = await self._summarise(name, parse_manifest(stored.body, stored.media_type), level)
        except (RegistryError, ManifestInvalid):
            return None
        self._known[digest] = summary
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return summary

    async def _summarise(self, name: str, manifest: Manifest, level: int) -> Summary:
        if not manifest.is_index:
            return await self._of_image(name, manifest)
        listed = {child.digest: child for child in manifest.manifests if child.platform != _ATTESTATION}
        images = list(listed.values())
        children = [
            child
            for child in [await self._of_digest(name, one.digest, level + 1) for one in images]
            if child is not None
        ]
        platforms = [platform for child in children for platform in child.platforms]
        platforms = platforms or ["/".join(one.platform) for one in images if one.platform is not None]
        content = await self._content(name, manifest)
        return Summary(
            media_type=manifest.media_type,
            size=sum(content.values()),
            platforms=tuple(dict.fromkeys(platforms)),
            created=max((child.created for child in children), default=""),
            artifact_type=manifest.artifact_type,
        )

    async def _content(self, name: str, manifest: Manifest) -> dict[Digest, int]:
        """Return the size of each blob that an index needs: what images share is there once, whoever lists it."""
        content: dict[Digest, int] = {}
        waiting, seen = [manifest], {manifest.digest}
        while waiting and len(seen) <= _MOST_MANIFESTS:
            current = waiting.pop()
            content |= {one.digest: one.size for one in current.content}
            for child in current.manifests:
                if child.digest not in seen and child.platform != _ATTESTATION:
                    seen.add(child.digest)
                    waiting += await self._parsed(name, child.digest)
        return content

    async def _parsed(self, name: str, digest: Digest) -> list[Manifest]:
        """Return a manifest, or none when it is gone or damaged."""
        await asyncio.sleep(0)
        try:
            stored = await self._registry.manifest(name, digest)
            return [parse_manifest(stored.body, stored.media_type)]
        except (RegistryError, ManifestInvalid):
            return []

    async def _of_image(self, name: str, manifest: Manifest) -> Summary:
        config = await self._config(name, manifest)
        system, architecture, variant = (str(config.get(key) or "") for key in ("os", "architecture", "variant"))
        platform = "/".join(part for part in (system, architecture, variant) if part)
        created = config.get("created")
        return Summary(
            media_type=manifest.media_type,
            size=sum({one.digest: one.size for one in manifest.content}.values()),
            platforms=(platform,) if system and architecture else (),
            created=created if isinstance(created, str) else "",
            artifact_type="" if system else manifest.artifact_type,
        )

    async def _config(self, name: str, manifest: Manifest) -> dict[str, Any]:
        """Return an image's configuration; empty for an artifact's, or one that is gone."""
        descriptor = manifest.content[0]
        if not descriptor.media_type.endswith("+json") or descriptor.size > _LARGEST_CONFIG_BYTES:
            return {}
        try:
            blob = await self._registry.blob(name, descriptor.digest)
            document = json.loads(await self._registry.driver.read(blob.key))
        except (RegistryError, KeyNotFound, ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}


def _sort_key(order: Order, entry: TagSummary) -> Any:
    """Return what an entry is ordered by; of two that are equal in it, the version decides."""
    if order == "pushed":
        value: Any = entry.pushed
    elif entry.summary is None:
        value = -1 if order == "size" else ""
    else:
        value = entry.summary.size if order == "size" else entry.summary.created
    return value, natural_key(entry.tag)
