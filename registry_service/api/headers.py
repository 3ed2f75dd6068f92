"""Headers that every answer has, and those by which manifests and blobs are told of."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web
from multidict import CIMultiDict

from registry_service.api.http import etag, warning
from registry_service.config import HTTP
from registry_service.notifications.events import BLOB_TYPE
from registry_service.registry import StoredManifest
from shared.names import Digest

_YEAR_SECONDS: Final = 31_536_000


def add_common(headers: CIMultiDict[str], http: HTTP) -> None:
    """Add what clients expect of every answer, and what the operator wants in it."""
    headers["Docker-Distribution-Api-Version"] = "registry/2.0"
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Server"] = "Cangku"
    for text in http.warnings:
        headers.add("Warning", warning(text))
    for name, values in http.headers.items():
        headers.popall(name, None)
        for value in values:
            headers.add(name, value)


def not_modified(headers: Mapping[str, str]) -> web.Response:
    """Return the answer to a client that has already what these headers tell of."""
    return web.Response(status=304, headers={key: value for key, value in headers.items() if key != "Content-Type"})


def manifest_headers(stored: StoredManifest) -> dict[str, str]:
    """Return the headers of a manifest."""
    digest = str(stored.digest)
    return {"Docker-Content-Digest": digest, "ETag": etag(digest), "Content-Type": stored.media_type}


def blob_headers(digest: Digest) -> dict[str, str]:
    """Return the headers of a blob."""
    return {
        "Docker-Content-Digest": str(digest),
        "ETag": etag(str(digest)),
        "Cache-Control": f"max-age={_YEAR_SECONDS}",
        "Accept-Ranges": "bytes",
        "Content-Type": BLOB_TYPE,
    }
