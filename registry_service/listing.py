"""Lists: the repositories of a registry, the tags of a repository.

A page has at most `limit` entries after the entry `last`, which need not exist. Order: tags byte by byte; repositories
by their path, part after part, as the Go registry walks its tree.

Source: OCI distribution-spec 1.1, "Listing Tags"; Docker Registry HTTP API V2, "Listing Repositories".
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from registry_service import layout
from registry_service.errors import Code, RegistryError
from registry_service.registry import Registry, Witness
from registry_service.storage.driver import Driver

_ABOVE: Final = len(layout.REPOSITORIES) + 1
_AHEAD: Final = 64
_PART: Final = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list; `more` says that entries follow, `witnesses` are the folders that it was read from."""

    entries: tuple[str, ...]
    more: bool
    witnesses: tuple[Witness, ...] = ()


async def tags_page(registry: Registry, name: str, *, last: str = "", limit: int | None = None) -> Page:
    """Return a page of a repository's tags; raises NAME_UNKNOWN when there is no such repository."""
    folders = [layout.tags(name), layout.repository(name)]
    tags, within = await registry.driver.listings(folders)
    if not tags and not _holds_images(within):
        raise RegistryError(Code.NAME_UNKNOWN, {"name": name})
    start = bisect_right(tags, last)
    page = tags[start:] if limit is None else tags[start : start + limit]
    return Page(page, start + len(page) < len(tags), ((folders[0], tags), (folders[1], within)))


async def catalog_page(
    registry: Registry, *, last: str = "", limit: int, visible: Callable[[str], bool] | None = None
) -> Page:
    """Return a page of the repositories' names, of those for which `visible` holds if it is given."""

    def wanted(name: str, names: Sequence[str]) -> bool:
        return _holds_images(names) and (visible is None or visible(name))

    read: list[Witness] = []
    found = await _repositories(registry.driver, last, limit + 1, wanted, read)
    return Page(tuple(found[:limit]), len(found) > limit, tuple(read))


async def every_repository(driver: Driver) -> AsyncGenerator[str, None]:
    """Yield the name of each repository, also of those with nothing but unfinished uploads."""

    def wanted(_: str, names: Sequence[str]) -> bool:
        return any(name.startswith("_") for name in names)

    found = await _repositories(driver, "", _PART, wanted, [])
    while found:
        for name in found:
            yield name
        found = await _repositories(driver, found[-1], _PART, wanted, []) if len(found) == _PART else []


def _holds_images(names: Sequence[str]) -> bool:
    """Tell whether a folder with these names in it is a repository that clients see."""
    return layout.LAYERS in names or layout.MANIFESTS in names


class _Level:
    """A folder on the way of a walk: the names in it from `rest` on, read some ahead while they hold no others.

    `rest` is what is left of the path at which the walk begins, as long as the walk goes along that path.
    """

    __slots__ = ("_ahead", "_at", "_folder", "_names", "rest", "waiting")

    def __init__(self, folder: str, names: Sequence[str], rest: Sequence[str]) -> None:
        self._folder, self._names, self.rest = folder, names, rest
        self._at = bisect_left(names, rest[0]) if rest else 0
        self._ahead = 1
        self.waiting: list[tuple[str, tuple[str, ...]]] = []
        """Folders and the names in them, the next one last."""

    async def read_on(self, driver: Driver, most: int, read: list[Witness]) -> bool:
        """Read what is in the next folders, at most so many; False when there is none left."""
        while not self.waiting and self._at < len(self._names):
            end = self._at + min(self._ahead, most)
            folders = [f"{self._folder}/{name}" for name in self._names[self._at : end] if name[0] != "_"]
            self._at, self._ahead = end, self._ahead * 2
            self.waiting = list(zip(folders, await driver.listings(folders), strict=True))
            read += self.waiting
            if len(folders) == _AHEAD:
                await asyncio.sleep(0)  # what is answered from memory lets nobody else run
            self.waiting.reverse()
        return bool(self.waiting)

    def rest_below(self, folder: str) -> Sequence[str] | None:
        """Return what is left of the path below a folder, None where the walk has left that path."""
        first, *rest = self.rest
        self.rest = ()
        return rest if folder == f"{self._folder}/{first}" else None

    def hold_back(self) -> None:
        """Read one folder at a time again: the folders here are not what the walk looks for, but lead there."""
        self._ahead = 1


async def _repositories(
    driver: Driver, last: str, most: int, wanted: Callable[[str, Sequence[str]], bool], read: list[Witness]
) -> list[str]:
    """Return so many repositories after `last`, in path order, for which `wanted` holds of name and names in it.

    The folders that it was read from are added to `read`.
    """
    (names,) = await driver.listings([layout.REPOSITORIES])
    read.append((layout.REPOSITORIES, names))
    levels = [_Level(layout.REPOSITORIES, names, last.split("/") if last else ())]
    found: list[str] = []
    while levels:
        level = levels[-1]
        if not level.waiting and not await level.read_on(driver, min(most - len(found), _AHEAD), read):
            levels.pop()
            continue
        folder, names = level.waiting.pop()
        rest = level.rest_below(folder) if level.rest else None
        if rest is None and wanted(name := folder[_ABOVE:], names):
            found.append(name)
            if len(found) == most:
                break
        if names and not names[0][0] == names[-1][0] == "_":
            level.hold_back()
            levels.append(_Level(folder, names, rest or ()))
    return found
