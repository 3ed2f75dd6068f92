"""Manifests: read, push, delete, by tag and by digest.

Source: OCI distribution-spec 1.1, end-3, end-7 and end-9.
"""

from aiohttp import web

from registry_service.api.http import etag, etag_matches
from registry_service.api.requests import (
    manifest_body_of,
    origin_of,
    parts_of,
    reference_of,
    repository_of,
    url_for,
)
from registry_service.errors import Code, RegistryError
from registry_service.manifests import ManifestInvalid, parse_manifest
from registry_service.notifications import Target
from registry_service.registry import StoredManifest
from shared.names import Digest, Reference, Tag


async def get_manifest(request: web.Request) -> web.Response:
    """Answer GET and HEAD: the bytes as they were pushed, or that the client has them already."""
    name, reference = repository_of(request), reference_of(request)
    parts = parts_of(request)
    stored = await parts.registry.manifest(name, reference)
    headers = {"Docker-Content-Digest": str(stored.digest), "ETag": etag(str(stored.digest))}
    if etag_matches(request.headers.get("If-None-Match", ""), str(stored.digest)):
        return web.Response(status=304, headers=headers)
    target = _target(request, name, reference, stored)
    await parts.notifier.notify("pull", [target], origin_of(request))
    headers["Content-Type"] = stored.media_type
    return web.Response(body=stored.body, headers=headers)


async def put_manifest(request: web.Request) -> web.Response:
    """Answer PUT: store the manifest when everything it refers to is there, and move the tag."""
    name, reference = repository_of(request), reference_of(request)
    parts = parts_of(request)
    body = await manifest_body_of(request)
    try:
        manifest = parse_manifest(body, request.headers.get("Content-Type", ""))
    except ManifestInvalid as error:
        raise RegistryError(Code.MANIFEST_INVALID, None, str(error)) from None
    digest = await parts.registry.put_manifest(name, reference, manifest)
    # The event before the tag: a crash between them tells of a push too many rather than of one too few.
    target = _target(request, name, reference, StoredManifest(digest, manifest.media_type, body))
    await parts.notifier.notify("push", [target], origin_of(request))
    if isinstance(reference, Tag):
        await parts.registry.tag_manifest(name, reference, digest)
    headers = {
        "Location": url_for(request, f"/v2/{name}/manifests/{digest}"),
        "Docker-Content-Digest": str(digest),
    }
    if manifest.subject is not None:
        headers["OCI-Subject"] = str(manifest.subject.digest)
    return web.Response(status=201, headers=headers)


async def delete_manifest(request: web.Request) -> web.Response:
    """Answer DELETE: by digest the manifest and its tags, by tag the tag alone."""
    name, reference = repository_of(request), reference_of(request)
    parts = parts_of(request)
    if not parts.config.storage.delete.enabled:
        raise RegistryError(Code.UNSUPPORTED, None, "deletion is switched off; set storage.delete.enabled")
    if isinstance(reference, Digest):
        tags = await parts.registry.delete_manifest(name, reference)
        targets = [Target(name, digest=str(reference)), *(Target(name, tag=str(tag)) for tag in tags)]
    else:
        await parts.registry.delete_tag(name, reference)
        targets = [Target(name, tag=str(reference))]
    await parts.notifier.notify("delete", targets, origin_of(request))
    return web.Response(status=202)


def _target(request: web.Request, name: str, reference: Reference, stored: StoredManifest) -> Target:
    url = url_for(request, f"/v2/{name}/manifests/{stored.digest}", absolute=True)
    tag = str(reference) if isinstance(reference, Tag) else ""
    return Target(name, stored.media_type, str(stored.digest), len(stored.body), tag=tag, url=url)
