"""The repositories, their tags, and single images."""

from dataclasses import dataclass
from typing import Final, cast, get_args
from urllib.parse import unquote

from aiohttp import web

from web_service.errors import N_, NotFound, RegistryNotFound, RegistryProblem
from web_service.images import history_rows
from web_service.tag_lists import Sort
from web_service.views.page import page_number, render
from web_service.views.rights import check_visible, may_delete, may_see
from web_service.views.routing import PARTS

_REPOSITORIES: Final = 25
_TAGS: Final = 50


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
    repository, query = repository_of(request), request.query
    search, wanted = query.get("q", "").strip(), query.get("sort", "")
    sort = cast("Sort", wanted) if wanted in get_args(Sort) else None
    lists, number = request.app[PARTS].tag_lists, page_number(request)
    try:
        page = await lists.page(repository, contains=search, sort=sort, number=number, size=_TAGS)
    except RegistryNotFound:
        raise NotFound(N_("There is no such repository.")) from None
    return await render(
        request,
        "tags.html",
        repository=repository,
        rows=page.rows,
        pages=Pages.of(page.total, page.number, _TAGS),
        q=search,
        sort=page.sort,
        deletable=may_delete(request, repository),
    )


async def show_details(request: web.Request) -> web.StreamResponse:
    """Show the layers of an image by platform: what the list of tags opens below a tag."""
    repository, tag = repository_of(request), unquote(request.match_info["tag"])
    tagged = await request.app[PARTS].browser.image(repository, tag)
    return await render(request, "details.html", repository=repository, tag=tag, tagged=tagged)


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
