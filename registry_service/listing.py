"""Lists: the repositories of a registry, the tags of a repository.

A page has at most `limit` entries after the entry `last`, which need not exist. Order: tags byte by byte; repositories
by their path, part after part, as the Go registry walks its tree.

Source: OCI distribution-spec 1.1, "Listing Tags"; Docker Registry HTTP API V2, "Listing Repositories".
"""

from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from registry_service import layout
from registry_service.errors import Code, RegistryError
from registry_service.registry import Registry
from registry_service.storage.driver import Driver


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list; `more` says that entries follow."""

    entries: tuple[str, ...]
    more: bool


async def tags_page(registry: Registry, name: str, *, last: str = "", limit: int | None = None) -> Page:
    """Return a page of a repository's tags; raises NAME_UNKNOWN when there is no such repository."""
    tags = await registry.driver.children(layout.tags(name))
    if not tags and not await _exists(registry.driver, name):
        raise RegistryError(Code.NAME_UNKNOWN, {"name": name})
    start = bisect_right(tags, last)
    page = tags[start:] if limit is None else tags[start : start + limit]
    return Page(tuple(page), more=start + len(page) < len(tags))


async def catalog_page(
    registry: Registry, *, last: str = "", limit: int, visible: Callable[[str], bool] | None = None
) -> Page:
    """Return a page of the repositories' names, of those for which `visible` holds if it is given."""
    names: list[str] = []
    async with aclosing(_walk(registry.driver, layout.REPOSITORIES, (), _parts(last))) as walk:
        async for name, markers in walk:
            if not markers & {layout.LAYERS, layout.MANIFESTS} or (visible is not None and not visible(name)):
                continue
            if len(names) == limit:
                return Page(tuple(names), more=True)
            names.append(name)
    return Page(tuple(names), more=False)


async def every_repository(driver: Driver) -> AsyncGenerator[str, None]:
    """Yield the name of each repository, also of those with nothing but unfinished uploads."""
    async with aclosing(_walk(driver, layout.REPOSITORIES, (), ())) as walk:
        async for name, markers in walk:
            if markers:
                yield name


async def _exists(driver: Driver, name: str) -> bool:
    return bool({layout.LAYERS, layout.MANIFESTS} & set(await driver.children(layout.repository(name))))


async def _walk(
    driver: Driver, folder: str, above: tuple[str, ...], last: tuple[str, ...]
) -> AsyncGenerator[tuple[str, set[str]], None]:
    """Yield (name, folders that start with `_`) in path order, without entering what lies before `last`."""
    children = await driver.children(folder)
    if above > last:
        yield "/".join(above), {child for child in children if child.startswith("_")}
    for child in children:
        here = (*above, child)
        if child.startswith("_") or here < last[: len(here)]:
            continue
        async with aclosing(_walk(driver, f"{folder}/{child}", here, last)) as below:
            async for found in below:
                yield found


def _parts(name: str) -> tuple[str, ...]:
    return tuple(name.split("/")) if name else ()
