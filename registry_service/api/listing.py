"""Lists: tags, repositories, referrers.

Source: OCI distribution-spec 1.1, end-8 and end-12; Docker Registry HTTP API V2, "Catalog".
"""

import json
from typing import Any, Final

from aiohttp import web

from registry_service.api.express import rests_on
from registry_service.api.http import next_link
from registry_service.api.requests import IDENTITY, digest_of, parts_of, repository_of
from registry_service.auth import Identity
from registry_service.errors import Code, RegistryError
from registry_service.listing import Page, catalog_page, tags_page
from registry_service.manifests import OCI_INDEX

_CATALOG_ENTRIES: Final = 100
_MOST_ENTRIES: Final = 1000


async def get_tags(request: web.Request) -> web.Response:
    """Answer GET: the repository's tags; all of them unless `n` asks for a page."""
    name, limit = repository_of(request), _limit(request)
    last = request.query.get("last", "")
    page = await tags_page(parts_of(request).registry, name, last=last, limit=limit)
    rests_on(request, page.witnesses, for_all=True)
    return _answer({"name": name, "tags": list(page.entries)}, _link(request, page, limit))


async def get_catalog(request: web.Request) -> web.Response:
    """Answer GET: a page of the names of all repositories that the caller may see."""
    limit = _limit(request)
    limit = _CATALOG_ENTRIES if limit is None else limit
    last = request.query.get("last", "")
    identity = request.get(IDENTITY, Identity())
    visible = None if identity.sees_all else identity.may_pull
    parts, page = parts_of(request), Page((), more=False)
    if limit:
        page = await catalog_page(parts.registry, last=last, limit=limit, visible=visible)
    rests_on(request, page.witnesses, for_all=parts.auth is None)  # it holds what this caller may see
    return _answer({"repositories": list(page.entries)}, _link(request, page, limit))


async def get_referrers(request: web.Request) -> web.Response:
    """Answer GET: an index of the manifests that have this one as their subject, in pages."""
    name, subject = repository_of(request), digest_of(request)
    limit = _limit(request) or _MOST_ENTRIES
    artifact_type, last = request.query.get("artifactType", ""), request.query.get("last", "")
    referrers = parts_of(request).referrers
    page = await referrers.page(name, subject, artifact_type=artifact_type, last=last, limit=limit)
    headers = {"Content-Type": OCI_INDEX}
    if artifact_type:
        headers["OCI-Filters-Applied"] = "artifactType"
    if page.more:
        following: dict[str, str | int] = {"last": page.referrers[-1].digest, "n": limit}
        filters = {"artifactType": artifact_type} if artifact_type else {}
        headers["Link"] = next_link(request.rel_url.raw_path, {**filters, **following})
    return web.Response(body=page.body(), headers=headers)


def _limit(request: web.Request) -> int | None:
    text = request.query.get("n")
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal():
        raise RegistryError(Code.PAGINATION_NUMBER_INVALID, {"n": text[:100]})
    return min(int(text[:9]), _MOST_ENTRIES)


def _link(request: web.Request, page: Page, limit: int | None) -> dict[str, str]:
    if not page.more or not page.entries or limit is None:
        return {}
    return {"Link": next_link(request.rel_url.raw_path, {"n": limit, "last": page.entries[-1]})}


def _answer(document: dict[str, Any], headers: dict[str, str]) -> web.Response:
    body = json.dumps(document, separators=(",", ":")).encode() + b"\n"
    return web.Response(body=body, content_type="application/json", headers=headers)
