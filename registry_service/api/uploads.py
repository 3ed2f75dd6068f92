"""Uploads: begin, add, close, ask, cancel; and mounting a blob of another repository instead.

Source: OCI distribution-spec 1.1, end-4a to end-6, end-11, end-13; end-14 of its development head.
"""

from dataclasses import replace

from aiohttp import web

from registry_service.api.bodies import RequestBody
from registry_service.api.http import parse_content_range, upload_range
from registry_service.api.requests import (
    IDENTITY,
    check_name,
    origin_of,
    parse_digest,
    parts_of,
    repository_of,
    url_for,
)
from registry_service.auth import Identity
from registry_service.errors import Code, RegistryError
from registry_service.notifications import Action, Target
from registry_service.notifications.events import BLOB_TYPE
from registry_service.uploads import Upload
from shared.names import ALGORITHMS, Digest


async def post_upload(request: web.Request) -> web.Response:
    """Answer POST: mount a blob, take one that comes in this very request, or open an upload."""
    name, uploads = repository_of(request), parts_of(request).uploads
    if request.query.get("mount"):
        mounted = await _mount(request, name)
        if mounted is not None:
            return mounted
    elif "digest" in request.query:
        digest = parse_digest(request.query["digest"])
        upload = await uploads.receive(
            await uploads.start(name, digest.algorithm), RequestBody(request), closing=digest
        )
        return await _commit(request, upload, digest)
    upload = await uploads.start(name, _algorithm_of(request))
    return _status(request, upload, 202)


async def patch_upload(request: web.Request) -> web.Response:
    """Answer PATCH: add the body, a stream or a chunk with its Content-Range."""
    upload = await _upload_of(request)
    _check_offset(request, upload)
    upload = await parts_of(request).uploads.receive(upload, RequestBody(request))
    return _status(request, upload, 202)


async def put_upload(request: web.Request) -> web.Response:
    """Answer PUT: add the last of the bytes, if any, and close the upload under its digest."""
    upload = await _upload_of(request)
    if "digest" not in request.query:
        raise RegistryError(Code.DIGEST_INVALID, None, "the query parameter digest is missing")
    digest = parse_digest(request.query["digest"])
    _check_offset(request, upload)
    if request.can_read_body:
        upload = await parts_of(request).uploads.receive(upload, RequestBody(request), closing=digest)
    return await _commit(request, upload, digest)


async def get_upload(request: web.Request) -> web.Response:
    """Answer GET and HEAD: how much of the upload has arrived."""
    return _status(request, await _upload_of(request), 204)


async def delete_upload(request: web.Request) -> web.Response:
    """Answer DELETE: forget the upload."""
    upload = await _upload_of(request)
    await parts_of(request).uploads.cancel(upload)
    return web.Response(status=204, headers={"Docker-Upload-UUID": upload.id})


def _algorithm_of(request: web.Request) -> str:
    """Return the digest algorithm that the client announces (end-4c)."""
    algorithm = request.query.get("digest-algorithm", ALGORITHMS[0])
    if algorithm not in ALGORITHMS:
        message = f"the digest algorithms are {', '.join(ALGORITHMS)}"
        raise RegistryError(Code.DIGEST_INVALID, {"algorithm": algorithm[:100]}, message)
    return algorithm


async def _upload_of(request: web.Request) -> Upload:
    return await parts_of(request).uploads.get(repository_of(request), request.match_info["upload"])


def _check_offset(request: web.Request, upload: Upload) -> None:
    """Refuse a chunk that does not start where the upload ends, or whose length is not what it says."""
    header = request.headers.get("Content-Range")
    if header is None:
        return
    part = parse_content_range(header)
    if part is None or part.start != upload.offset:
        headers = {"Range": upload_range(upload.offset), "Location": _location(request, upload)}
        raise RegistryError(Code.RANGE_INVALID, {"offset": upload.offset}, headers=headers)
    if request.content_length not in (None, part.length):
        raise RegistryError(Code.SIZE_INVALID, {"range": part.length, "length": request.content_length})


async def _mount(request: web.Request, name: str) -> web.Response | None:
    """Mount a blob from the repository that the client names, or from one that it might read (anonymous mount)."""
    registry, digest = parts_of(request).registry, parse_digest(request.query["mount"])
    if request.query.get("from"):
        source = check_name(request.query["from"])
    else:
        known = await registry.source_of(digest, request.get(IDENTITY, Identity()).may_pull)
        if known is None:
            return None
        source = known
    if not await registry.mount_blob(name, digest, source):
        return None
    size = (await registry.blob(name, digest)).size
    return await _created(request, "mount", Target(name, BLOB_TYPE, str(digest), size, from_repository=source))


async def _commit(request: web.Request, upload: Upload, digest: Digest) -> web.Response:
    await parts_of(request).uploads.commit(upload, digest)
    return await _created(request, "push", Target(upload.repository, BLOB_TYPE, str(digest), upload.offset))


async def _created(request: web.Request, action: Action, target: Target) -> web.Response:
    path = f"/v2/{target.repository}/blobs/{target.digest}"
    notifier = parts_of(request).notifier
    if notifier.wants(action, target.media_type):
        target = replace(target, url=url_for(request, path, absolute=True))
        await notifier.notify(action, [target], origin_of(request))
    headers = {"Location": url_for(request, path), "Docker-Content-Digest": target.digest}
    return web.Response(status=201, headers=headers)


def _status(request: web.Request, upload: Upload, status: int) -> web.Response:
    headers = {
        "Location": _location(request, upload),
        "Range": upload_range(upload.offset),
        "Docker-Upload-UUID": upload.id,
    }
    return web.Response(status=status, headers=headers)


def _location(request: web.Request, upload: Upload) -> str:
    return url_for(request, f"/v2/{upload.repository}/blobs/uploads/{upload.id}")
