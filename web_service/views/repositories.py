"""The repositories, their tags, and single images."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from aiohttp import web

from web_service.browsing import Unreadable
from web_service.errors import N_, NotFound, RegistryNotFound, RegistryProblem
from web_service.images import Tagged, history_rows
from web_service.views.page import page_number, render
from web_service.views.rights import check_visible, may_delete, may_see
from web_service.views.routing import PARTS

_REPOSITORIES: Final = 25
_TAGS: Final = 50
_MOST_SORTED_BY_TIME: Final = 300
"""Tags of a repository that are all read to sort them; with more, their names decide."""


@dataclass(frozen=True, slots=True)
class Pages:
    """Where in a long list a page is."""

    number: int
    count: int
    total: int

    @classmethod
    def of(cls, total: int, number: int, size: int) -> "Pages":
        """Return the place of page `number`, or of the last one when there are not so many."""
        count = max(1, -(-total // size))
        return cls(min(number, count), count, total)

    def slice(self, size: int) -> slice:
        """Return which entries are on the page."""
        return slice((self.number - 1) * size, self.number * size)


async def show_repositories(request: web.Request) -> web.StreamResponse:
    """List the repositories that the visitor may see, each with its tags."""
    browser, search = request.app[PARTS].browser, request.query.get("q", "").strip()
    try:
        names = [name for name in await browser.names() if search.lower() in name and may_see(request, name)]
    except RegistryProblem as problem:
        pages = Pages.of(0, 1, _REPOSITORIES)
        return await render(request, "repositories.html", problem=problem, repositories=[], pages=pages, q=search)
    pages = Pages.of(len(names), page_number(request), _REPOSITORIES)
    found = await browser.repositories(names[pages.slice(_REPOSITORIES)])
    shown = [one for one in found if one.tags or one.problem]  # a registry goes on listing what was emptied
    deletable = {one.name for one in shown if may_delete(request, one.name)}
    return await render(request, "repositories.html", repositories=shown, pages=pages, q=search, deletable=deletable)


async def show_tags(request: web.Request) -> web.StreamResponse:
    """List the tags of a repository with what they point to."""
    repository, browser = repository_of(request), request.app[PARTS].browser
    search, sort = request.query.get("q", "").strip(), request.query.get("sort", "")
    try:
        tags = [tag for tag in await browser.tags(repository) if search.lower() in tag.lower()]
    except RegistryNotFound:
        raise NotFound(N_("There is no such repository.")) from None
    if sort not in ("name", "created", "size"):
        sort = "created" if len(tags) <= _MOST_SORTED_BY_TIME else "name"
    pages = Pages.of(len(tags), page_number(request), _TAGS)
    if sort == "name":
        rows = await browser.tagged(repository, tags[pages.slice(_TAGS)])
    else:
        rows = sorted(await browser.tagged(repository, tags), key=lambda row: _order(row, sort), reverse=True)
        rows = rows[pages.slice(_TAGS)]
    return await render(
        request,
        "tags.html",
        repository=repository,
        rows=rows,
        pages=pages,
        q=search,
        sort=sort,
        deletable=may_delete(request, repository),
    )


async def show_image(request: web.Request) -> web.StreamResponse:
    """Show one image: its platforms, and for each how it was built and how it starts."""
    repository, reference = repository_of(request), unquote(request.match_info["tag"])
    tagged = await request.app[PARTS].browser.image(repository, reference)
    return await render(
        request,
        "image.html",
        repository=repository,
        reference=reference,
        separator="@" if ":" in reference else ":",
        tagged=tagged,
        histories=[history_rows(image) for image in tagged.images],
        deletable=may_delete(request, repository) and ":" not in reference,
    )


def repository_of(request: web.Request) -> str:
    """Return the repository of a path, also in the double encoding of old links; raises NotFound."""
    name = unquote(unquote(request.match_info["name"]))
    check_visible(request, name)
    return name


def _order(row: Tagged | Unreadable, sort: str) -> int:
    if isinstance(row, Unreadable):
        return -1
    return row.size if sort == "size" else row.created or 0
