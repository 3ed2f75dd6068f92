"""The tags of a repository, a page at a time, with what a list shows of each.

Our registry answers a page with one request (its extension "tags at a glance", docs/extensions.md). Of other
registries every image on the page is read, and of few tags all, to sort them.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from shared.names import natural_key
from web_service.browsing import Browser, Unreadable
from web_service.errors import N_, RegistryProblem
from web_service.foreign import parse_size, parse_time
from web_service.images import LONGEST_PLATFORM, Tagged
from web_service.registry_client import RegistryClient

Sort = Literal["name", "created", "size"]

_MOST_SORTED_BY_TIME: Final = 300
"""Tags of a repository that are sorted by time unless asked otherwise; with more, their names decide."""
_ORDERS: Final = {"name": "version", "created": "created", "size": "size"}
_UNREADABLE: Final = N_("The image cannot be read.")


@dataclass(frozen=True, slots=True)
class TagRow:
    """One tag; `size` is bytes, `created` and `pushed` seconds since the epoch or None where nothing tells."""

    tag: str
    digest: str
    media_type: str
    size: int
    created: int | None
    pushed: int | None
    platforms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TagPage:
    """Some rows of an ordered list, how long that list is, and in which order it was put."""

    rows: tuple[TagRow | Unreadable, ...]
    total: int
    sort: Sort
    number: int


class TagLists:
    """Lists the tags of one registry."""

    def __init__(self, client: RegistryClient, browser: Browser) -> None:
        self._client = client
        self._browser = browser

    async def page(
        self, repository: str, *, contains: str = "", sort: Sort | None = None, number: int = 1, size: int
    ) -> TagPage:
        """Return page `number`, or the last one; raises RegistryNotFound for an unknown repository.

        The first is the newest, the largest, or the highest version.
        """
        found = await self._at_a_glance(repository, contains, sort or "name", number, size)
        if found is None:
            return await self._read(repository, contains, sort, number, size)
        if sort is None and found.total <= _MOST_SORTED_BY_TIME:
            found = await self._at_a_glance(repository, contains, "created", number, size) or found
        last = max(1, -(-found.total // size))
        return (
            found
            if number <= last
            else await self.page(repository, contains=contains, sort=sort, number=last, size=size)
        )

    async def _at_a_glance(self, repository: str, contains: str, sort: Sort, number: int, size: int) -> TagPage | None:
        """Return the page as the registry lists it, None when it does not."""
        query = {
            "sort": _ORDERS[sort],
            "order": "desc",
            "n": str(size),
            "offset": str((number - 1) * size),
            "contains": contains,
        }
        document = await self._client.tags_at_a_glance(repository, query)
        if document is None:
            return None
        entries = document.get("tags")
        rows = tuple(_row(entry) for entry in entries if isinstance(entry, dict)) if isinstance(entries, list) else ()
        total = document.get("total")
        return TagPage(rows, total if isinstance(total, int) else len(rows), sort, number)

    async def _read(self, repository: str, contains: str, sort: Sort | None, number: int, size: int) -> TagPage:
        """Return the page by reading the images themselves."""
        wanted = contains.lower()
        tags = [tag for tag in await self._browser.tags(repository) if wanted in tag.lower()]
        order = sort or ("created" if len(tags) <= _MOST_SORTED_BY_TIME else "name")
        number = min(number, max(1, -(-len(tags) // size)))
        part = slice((number - 1) * size, number * size)
        shown = tags[part] if order == "name" else tags
        rows = [_of_image(one) for one in await self._browser.tagged(repository, shown)]
        if order != "name":
            rows = sorted(rows, key=lambda row: _key(row, order), reverse=True)[part]
        return TagPage(tuple(rows), len(tags), order, number)


def _row(entry: dict[str, Any]) -> TagRow | Unreadable:
    tag, digest, media_type = (str(entry.get(key) or "") for key in ("tag", "digest", "mediaType"))
    if not media_type:
        return Unreadable(tag, RegistryProblem(_UNREADABLE))
    platforms = entry.get("platforms")
    return TagRow(
        tag,
        digest,
        media_type,
        parse_size(entry.get("size")),
        parse_time(entry.get("created")),
        parse_time(entry.get("pushed")),
        tuple(str(name)[:LONGEST_PLATFORM] for name in platforms) if isinstance(platforms, list) else (),
    )


def _of_image(tagged: Tagged | Unreadable) -> TagRow | Unreadable:
    if isinstance(tagged, Unreadable):
        return tagged
    manifest = tagged.manifest
    return TagRow(tagged.tag, manifest.digest, manifest.media_type, tagged.size, tagged.created, None, tagged.platforms)


def _key(row: TagRow | Unreadable, sort: Sort) -> Any:
    """Return what a row is ordered by; of two that are equal in it, the version decides."""
    if isinstance(row, Unreadable):
        return -1, natural_key(row.tag)
    return row.size if sort == "size" else row.created or 0, natural_key(row.tag)
