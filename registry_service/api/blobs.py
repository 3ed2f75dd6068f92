"""Blobs: read, ask for, delete.

Source: OCI distribution-spec 1.1, end-2 and end-10.
"""

import asyncio
from typing import Final

from aiohttp import web

from registry_service.api.http import ByteRange, UnsatisfiableRange, etag, etag_matches, if_range_holds, parse_range
from registry_service.api.requests import digest_of, origin_of, parts_of, repository_of, url_for
from registry_service.errors import Code, RegistryError
from registry_service.notifications import Action, Target
from registry_service.notifications.events import BLOB_TYPE
from registry_service.registry import Blob

_READ_AT_ONCE_BYTES: Final = 64 << 10
_YEAR_SECONDS: Final = 31_536_000


async def get_blob(request: web.Request) -> web.StreamResponse:
    """Answer GET and HEAD: the bytes, a range of them, or that the client has them already."""
    name, digest = repository_of(request), digest_of(request)
    blob = await parts_of(request).registry.blob(name, digest)
    await _notify(request, "pull", name, blob)
    headers = {
        "Docker-Content-Digest": str(digest),
        "ETag": etag(str(digest)),
        "Cache-Control": f"max-age={_YEAR_SECONDS}",
        "Accept-Ranges": "bytes",
    }
    if etag_matches(request.headers.get("If-None-Match", ""), str(digest)):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = BLOB_TYPE
    part = _wanted_part(request, blob)
    status = 200 if part is None else 206
    if part is not None:
        headers["Content-Range"] = part.content_range(blob.size)
    part = part or ByteRange(0, blob.size)
    if request.method == "HEAD":
        return web.Response(status=status, headers={**headers, "Content-Length": str(part.length)})
    if blob.size <= _READ_AT_ONCE_BYTES:
        body = await parts_of(request).registry.driver.read(blob.key)
        return web.Response(status=status, headers=headers, body=body[part.start : part.end])
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = part.length
    return await _send(request, response, blob, part)


async def delete_blob(request: web.Request) -> web.Response:
    """Answer DELETE: take the blob out of the repository."""
    name, digest = repository_of(request), digest_of(request)
    parts = parts_of(request)
    if not parts.config.storage.delete.enabled:
        raise RegistryError(Code.UNSUPPORTED, None, "deletion is switched off; set storage.delete.enabled")
    await parts.registry.delete_blob(name, digest)
    await parts.notifier.notify("delete", [Target(name, digest=str(digest))], origin_of(request))
    return web.Response(status=202)


def _wanted_part(request: web.Request, blob: Blob) -> ByteRange | None:
    header = request.headers.get("Range")
    if header is None or not if_range_holds(request.headers.get("If-Range", ""), str(blob.digest)):
        return None
    try:
        return parse_range(header, blob.size)
    except UnsatisfiableRange:
        raise RegistryError(
            Code.RANGE_INVALID, {"size": blob.size}, headers={"Content-Range": f"bytes */{blob.size}"}
        ) from None


async def _send(request: web.Request, response: web.StreamResponse, blob: Blob, part: ByteRange) -> web.StreamResponse:
    """Send bytes straight from the file where the storage has files, else in pieces."""
    driver = parts_of(request).registry.driver
    path = driver.local_path(blob.key)
    if path is None:
        await response.prepare(request)
        async for chunk in driver.stream(blob.key, part.start, part.length):
            await response.write(chunk)
        await response.write_eof()
        return response
    file = await asyncio.to_thread(path.open, "rb", buffering=0)
    try:
        await response.prepare(request)
        if request.transport is None:
            raise ConnectionResetError("the client went away")
        loop = asyncio.get_running_loop()
        await loop.sendfile(request.transport, file, part.start, part.length)
        await response.write_eof()
    finally:
        file.close()
    return response


async def _notify(request: web.Request, action: Action, name: str, blob: Blob) -> None:
    digest = str(blob.digest)
    url = url_for(request, f"/v2/{name}/blobs/{digest}", absolute=True)
    target = Target(name, BLOB_TYPE, digest, blob.size, url=url)
    await parts_of(request).notifier.notify(action, [target], origin_of(request))
