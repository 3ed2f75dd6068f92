"""The bytes of a blob on their way out: straight from the file where the storage has files, else in pieces."""

import asyncio
import uuid
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from registry_service.api.http import ByteRange
from registry_service.api.requests import parts_of
from registry_service.notifications.events import BLOB_TYPE
from registry_service.registry import Blob


async def send_range(
    request: web.Request, response: web.StreamResponse, blob: Blob, part: ByteRange
) -> web.StreamResponse:
    """Send a part of a blob as the body of a response whose headers are set."""
    path = parts_of(request).registry.driver.local_path(blob.key)
    if path is not None:
        await _send_file(request, response, path, [(b"", part)])
    else:
        await _send_stream(request, response, blob, [(b"", part)])
    await response.write_eof()
    return response


async def send_ranges(
    request: web.Request, blob: Blob, ranges: Sequence[ByteRange], headers: dict[str, str]
) -> web.StreamResponse:
    """Send several parts of a blob in one answer (RFC 9110, section 14.6: multipart/byteranges)."""
    boundary = uuid.uuid4().hex
    pieces = [
        (
            f"\r\n--{boundary}\r\nContent-Type: {BLOB_TYPE}\r\n"
            f"Content-Range: {part.content_range(blob.size)}\r\n\r\n".encode(),
            part,
        )
        for part in ranges
    ]
    end = f"\r\n--{boundary}--\r\n".encode()
    headers = {**headers, "Content-Type": f"multipart/byteranges; boundary={boundary}"}
    response = web.StreamResponse(status=206, headers=headers)
    response.content_length = sum(len(head) + part.length for head, part in pieces) + len(end)
    if request.method == "HEAD":
        await response.prepare(request)
        return response
    path = parts_of(request).registry.driver.local_path(blob.key)
    if path is not None:
        await _send_file(request, response, path, pieces)
    else:
        await _send_stream(request, response, blob, pieces)
    await response.write(end)
    await response.write_eof()
    return response


async def _send_file(
    request: web.Request, response: web.StreamResponse, path: Path, pieces: Sequence[tuple[bytes, ByteRange]]
) -> None:
    file = await asyncio.to_thread(path.open, "rb", buffering=0)
    try:
        await response.prepare(request)
        loop = asyncio.get_running_loop()
        for head, part in pieces:
            if head:
                await response.write(head)
            if request.transport is None:
                raise ConnectionResetError("the client went away")
            await loop.sendfile(request.transport, file, part.start, part.length)
    finally:
        file.close()


async def _send_stream(
    request: web.Request, response: web.StreamResponse, blob: Blob, pieces: Sequence[tuple[bytes, ByteRange]]
) -> None:
    await response.prepare(request)
    for head, part in pieces:
        if head:
            await response.write(head)
        async for chunk in parts_of(request).registry.driver.stream(blob.key, part.start, part.length):
            await response.write(chunk)
