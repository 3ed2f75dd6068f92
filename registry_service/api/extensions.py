"""Extensions of the API, under the specification's rules: what there is, and tags at a glance.

Source: OCI distribution-spec, extensions/README.md and extensions/_oci.md; our own in docs/extensions.md.
"""

import json
from typing import Any, Final, cast

from aiohttp import web

from registry_service.api.http import next_link
from registry_service.api.requests import parts_of, repository_of
from registry_service.errors import Code, RegistryError
from registry_service.summaries import ORDERS, Order

TAGS: Final = "_cangku/tags/list"
_DOCUMENTATION: Final = "docs/extensions.md"
_ENTRIES: Final = 100
_MOST_ENTRIES: Final = 1000
_DIRECTIONS: Final = ("asc", "desc")


async def discover(request: web.Request) -> web.Response:
    """Answer GET: the extensions that there are, for the registry or for a repository."""
    own = [TAGS] if "name" in request.match_info else []
    extensions = [
        {
            "name": "_oci",
            "description": "The extensions of this registry.",
            "url": _DOCUMENTATION,
            "endpoints": ["_oci/ext/discover"],
        },
        {"name": "_cangku", "description": "Tags at a glance.", "url": _DOCUMENTATION, "endpoints": own},
    ]
    return _json({"extensions": [one for one in extensions if one["endpoints"]]})


async def list_tags(request: web.Request) -> web.Response:
    """Answer GET: a page of a repository's tags with what they point to."""
    name, query = repository_of(request), request.query
    order = _choice(request, "sort", ORDERS)
    descending = _choice(request, "order", _DIRECTIONS) == "desc"
    start, limit = _number(request, "offset", 0), min(_number(request, "n", _ENTRIES), _MOST_ENTRIES)
    entries, total = await parts_of(request).summaries.page(
        name,
        order=cast("Order", order),
        descending=descending,
        start=start,
        limit=limit,
        contains=query.get("contains", ""),
    )
    headers = {}
    if 0 < start + limit < total and limit:
        following = {key: query[key] for key in ("sort", "order", "contains") if key in query}
        headers["Link"] = next_link(request.rel_url.raw_path, {**following, "n": limit, "offset": start + limit})
    return _json({"name": name, "total": total, "tags": [entry.to_json() for entry in entries]}, headers)


def _choice(request: web.Request, key: str, choices: tuple[str, ...]) -> str:
    value = request.query.get(key, choices[0])
    if value not in choices:
        raise RegistryError(Code.UNSUPPORTED, {key: value[:100]}, f"{key} is one of {', '.join(choices)}", status=400)
    return value


def _number(request: web.Request, key: str, default: int) -> int:
    text = request.query.get(key, str(default))
    if not text.isascii() or not text.isdecimal():
        raise RegistryError(Code.PAGINATION_NUMBER_INVALID, {key: text[:100]})
    return int(text[:9])


def _json(document: dict[str, Any], headers: dict[str, str] | None = None) -> web.Response:
    body = json.dumps(document, separators=(",", ":")).encode() + b"\n"
    return web.Response(body=body, content_type="application/json", headers=headers)
