"""Manifests: read, push, delete, by tag and by digest.

Source: OCI distribution-spec 1.1, end-3, end-7 and end-9.
"""

from typing import Final

from aiohttp import web

from registry_service.api.express import rests_on
from registry_service.api.headers import manifest_headers, not_modified
from registry_service.api.http import accepts, etag_matches, may_replace
from registry_service.api.requests import (
    manifest_body_of,
    origin_of,
    parts_of,
    reference_of,
    repository_of,
    url_for,
)
from registry_service.errors import Code, RegistryError
from registry_service.manifests import DOCKER_LIST, ManifestInvalid, parse_manifest
from registry_service.notifications import Target
from registry_service.registry import StoredManifest
from registry_service.storage.driver import ANYTHING, Changed, Expected
from shared.names import Digest, InvalidTag, Reference, Tag

_MOST_TAGS: Final = 100


async def get_manifest(request: web.Request) -> web.Response:
    """Answer GET and HEAD: the bytes as they were pushed, or that the client has them already."""
    name, reference = repository_of(request), reference_of(request)
    parts = parts_of(request)
    stored = await _negotiated(request, name, reference)
    headers = manifest_headers(stored)
    witnesses = parts.registry.witnesses_of_manifest(name, reference, stored)
    if etag_matches(request.headers.get("If-None-Match", ""), str(stored.digest)):
        rests_on(request, witnesses, for_all=True)
        return not_modified(headers)
    if parts.notifier.wants("pull", stored.media_type):
        target = _target(request, name, reference, stored)
        await parts.notifier.notify("pull", [target], origin_of(request))
    else:
        rests_on(request, witnesses, for_all=True)
    return web.Response(body=stored.body, headers=headers)


async def put_manifest(request: web.Request) -> web.Response:
    """Answer PUT: store the manifest when everything it refers to is there, and move the tags.

    A push by digest may name tags in its query (end-7b). If-Match and If-None-Match hold for each tag that moves.
    """
    name, reference = repository_of(request), reference_of(request)
    tags = _tags_of(request, reference)
    registry = parts_of(request).registry
    body = await manifest_body_of(request)
    try:
        manifest = parse_manifest(body, request.headers.get("Content-Type", ""))
    except ManifestInvalid as error:
        raise RegistryError(Code.MANIFEST_INVALID, None, str(error)) from None
    moved: list[Reference] = [*tags] or [reference]
    expected = [await _expected(request, name, one) for one in moved]
    digest = await registry.put_manifest(name, reference, manifest)
    stored = StoredManifest(digest, manifest.media_type, body)
    for tag, present in zip(tags, expected, strict=False):
        await _tag(request, name, tag, stored, present)
    if not tags:
        await _notify_push(request, name, digest, stored)
    headers = {
        "Location": url_for(request, f"/v2/{name}/manifests/{digest}"),
        "Docker-Content-Digest": str(digest),
    }
    if manifest.subject is not None:
        headers["OCI-Subject"] = str(manifest.subject.digest)
    if "tag" in request.query:
        headers["OCI-Tag"] = ", ".join(map(str, tags))
    return web.Response(status=201, headers=headers)


async def delete_manifest(request: web.Request) -> web.Response:
    """Answer DELETE: by digest the manifest and its tags, by tag the tag alone."""
    name, reference = repository_of(request), reference_of(request)
    parts = parts_of(request)
    if not parts.config.storage.delete.enabled:
        raise RegistryError(Code.UNSUPPORTED, None, "deletion is switched off; set storage.delete.enabled")
    # The event first, here as for a push: a crash may tell of too much, never of too little.
    if isinstance(reference, Digest):
        tags = await parts.registry.tags_of(name, reference)
        targets = [Target(name, digest=str(reference)), *(Target(name, tag=str(tag)) for tag in tags)]
        await parts.notifier.notify("delete", targets, origin_of(request))
        await parts.registry.delete_manifest(name, reference)
    else:
        await parts.registry.resolve(name, reference)
        await parts.notifier.notify("delete", [Target(name, tag=str(reference))], origin_of(request))
        await parts.registry.delete_tag(name, reference)
    return web.Response(status=202)


async def _negotiated(request: web.Request, name: str, reference: Reference) -> StoredManifest:
    """Return the manifest of a reference; for clients that know no manifest list, the image that such a tag means.

    Clients from before multi-platform images ask for a tag and expect an image: the Go registry gives them the one
    for linux/amd64, and so do we. What a digest names is never exchanged, nor an OCI index.
    """
    registry = parts_of(request).registry
    stored = await registry.manifest(name, reference)
    if stored.media_type != DOCKER_LIST or isinstance(reference, Digest):
        return stored
    if accepts(request.headers.getall("Accept", []), DOCKER_LIST):
        return stored
    children = parse_manifest(stored.body, stored.media_type).manifests
    image = next((child.digest for child in children if child.platform == ("linux", "amd64")), None)
    return stored if image is None else await registry.manifest(name, image)


def _tags_of(request: web.Request, reference: Reference) -> list[Tag]:
    """Return the tags that a push moves: the one of its path, and those of its query."""
    texts = request.query.getall("tag", [])
    if len(texts) > _MOST_TAGS:
        raise RegistryError(Code.TAG_INVALID, None, f"one push names at most {_MOST_TAGS} tags", status=414)
    try:
        named = [Tag.parse(text) for text in texts]
    except InvalidTag as error:
        raise RegistryError(Code.TAG_INVALID, None, str(error)) from None
    return list(dict.fromkeys([reference, *named] if isinstance(reference, Tag) else named))


async def _expected(request: web.Request, name: str, reference: Reference) -> Expected:
    """Return what the tag must still hold when it is moved; raises PRECONDITION_FAILED when it does not even now."""
    if_match, if_none_match = request.headers.get("If-Match"), request.headers.get("If-None-Match")
    if if_match is None and if_none_match is None:
        return ANYTHING
    present = await parts_of(request).registry.present(name, reference)
    if not may_replace(if_match, if_none_match, None if present is None else str(present)):
        raise RegistryError(Code.PRECONDITION_FAILED, {"present": str(present or "")})
    return None if present is None else str(present).encode()


async def _tag(request: web.Request, name: str, tag: Tag, stored: StoredManifest, expected: Expected) -> None:
    """Tell of a push, and move its tag.

    In this order a crash, or a conditional push that loses a race at the last moment, tells of a push too many rather
    than of one too few.
    """
    await _notify_push(request, name, tag, stored)
    try:
        await parts_of(request).registry.tag_manifest(name, tag, stored.digest, expected=expected)
    except Changed:
        raise RegistryError(Code.PRECONDITION_FAILED, {"tag": str(tag)}) from None


async def _notify_push(request: web.Request, name: str, reference: Reference, stored: StoredManifest) -> None:
    await parts_of(request).notifier.notify("push", [_target(request, name, reference, stored)], origin_of(request))


def _target(request: web.Request, name: str, reference: Reference, stored: StoredManifest) -> Target:
    url = url_for(request, f"/v2/{name}/manifests/{stored.digest}", absolute=True)
    tag = str(reference) if isinstance(reference, Tag) else ""
    return Target(name, stored.media_type, str(stored.digest), len(stored.body), tag=tag, url=url)
