"""Blobs: read, ask for, delete.

Source: OCI distribution-spec 1.1, end-2 and end-10.
"""

from aiohttp import web

from registry_service.api.answering import READ_AT_ONCE_BYTES
from registry_service.api.express import rests_on
from registry_service.api.headers import blob_headers, not_modified
from registry_service.api.http import ByteRange, UnsatisfiableRange, etag_matches, if_range_holds, parse_ranges
from registry_service.api.requests import digest_of, origin_of, parts_of, repository_of, url_for
from registry_service.api.sending import send_range, send_ranges
from registry_service.errors import Code, RegistryError
from registry_service.notifications import Action, Target
from registry_service.notifications.events import BLOB_TYPE
from registry_service.registry import Blob


async def get_blob(request: web.Request) -> web.StreamResponse:
    """Answer GET and HEAD: the bytes, a range of them, or that the client has them already."""
    name, digest = repository_of(request), digest_of(request)
    parts = parts_of(request)
    blob = await parts.registry.blob(name, digest)
    if parts.notifier.wants("pull", BLOB_TYPE):
        await _notify(request, "pull", name, blob)
    else:
        rests_on(request, parts.registry.witnesses_of_blob(name, blob), for_all=True)
    headers = blob_headers(digest)
    if etag_matches(request.headers.get("If-None-Match", ""), str(digest)):
        return not_modified(headers)
    ranges = _wanted_ranges(request, blob)
    if len(ranges) > 1:
        return await send_ranges(request, blob, ranges, headers)
    if ranges:
        headers["Content-Range"] = ranges[0].content_range(blob.size)
    status, part = (206, ranges[0]) if ranges else (200, ByteRange(0, blob.size))
    if request.method == "HEAD":
        return web.Response(status=status, headers={**headers, "Content-Length": str(part.length)})
    if blob.size <= READ_AT_ONCE_BYTES:
        body = await parts_of(request).registry.driver.read(blob.key)
        return web.Response(status=status, headers=headers, body=body[part.start : part.end])
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = part.length
    return await send_range(request, response, blob, part)


async def delete_blob(request: web.Request) -> web.Response:
    """Answer DELETE: take the blob out of the repository."""
    name, digest = repository_of(request), digest_of(request)
    parts = parts_of(request)
    if not parts.config.storage.delete.enabled:
        raise RegistryError(Code.UNSUPPORTED, None, "deletion is switched off; set storage.delete.enabled")
    await parts.registry.blob(name, digest)
    await parts.notifier.notify("delete", [Target(name, digest=str(digest))], origin_of(request))
    await parts.registry.delete_blob(name, digest)
    return web.Response(status=202)


def _wanted_ranges(request: web.Request, blob: Blob) -> list[ByteRange]:
    header = request.headers.get("Range")
    if header is None or not if_range_holds(request.headers.get("If-Range", ""), str(blob.digest)):
        return []
    try:
        return parse_ranges(header, blob.size)
    except UnsatisfiableRange:
        raise RegistryError(
            Code.RANGE_INVALID, {"size": blob.size}, headers={"Content-Range": f"bytes */{blob.size}"}
        ) from None


async def _notify(request: web.Request, action: Action, name: str, blob: Blob) -> None:
    digest = str(blob.digest)
    url = url_for(request, f"/v2/{name}/blobs/{digest}", absolute=True)
    target = Target(name, BLOB_TYPE, digest, blob.size, url=url)
    await parts_of(request).notifier.notify(action, [target], origin_of(request))
