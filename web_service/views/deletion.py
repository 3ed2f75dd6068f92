"""Deleting an image, after saying what goes with it.

A registry deletes by digest, so every tag with that digest goes. We show them first, and delete only what was shown.
The image itself is not read: also one that cannot be read can be deleted.
"""

import logging
from urllib.parse import unquote

from aiohttp import web

from shared import logs
from web_service.access import CONSOLE
from web_service.audit import IMAGE_DELETED
from web_service.authority import Caller
from web_service.errors import N_, Conflict, Refused
from web_service.views.page import form, redirect, render, translate
from web_service.views.repositories import repository_of
from web_service.views.rights import may_delete
from web_service.views.routing import PARTS, VISIT

_log = logging.getLogger("web.deletion")


async def confirm(request: web.Request) -> web.StreamResponse:
    """Show which tags a deletion takes away."""
    repository, tag = _target(request)
    browser = request.app[PARTS].browser
    digest = await browser.digest(repository, tag)
    tags = await browser.same_digest(repository, digest)
    others = [other for other in tags if other != tag]
    return await render(request, "delete.html", repository=repository, tag=tag, digest=digest, others=others)


async def delete(request: web.Request) -> web.StreamResponse:
    """Delete the image that was confirmed."""
    repository, tag = _target(request)
    browser, visit, fields = request.app[PARTS].browser, request[VISIT], await form(request)
    digest = await browser.digest(repository, tag)
    shown = set(fields.get("tags", "").split())
    gone = set(await browser.same_digest(repository, digest)) | {tag}
    if digest != fields.get("digest") or not gone <= shown | {tag}:
        raise Conflict(N_("The image was changed in the meantime; look at it again before you delete it."))
    name = visit.user.name if visit.user else CONSOLE
    await browser.delete(repository, digest, Caller(name, visit.client.address))
    _log.info("image deleted", extra=logs.fields(repository=repository, tag=tag, digest=digest, user=name))
    tags = sorted(gone)
    await request.app[PARTS].audit.record(
        visit.actor, IMAGE_DELETED, f"{repository}@{digest}"[:255], repository=repository, tags=tags
    )
    notice = translate(request, N_("Deleted %(image)s."), image=", ".join(f"{repository}:{one}" for one in tags))
    left = [one for one in await browser.repositories([repository]) if one.tags]
    return redirect(request, f"/repo/tags/{repository}" if left else "/", notice)


def _target(request: web.Request) -> tuple[str, str]:
    repository = repository_of(request)
    if request.app[PARTS].settings.config.registry.readonly:
        raise Refused(N_("The console is read-only: registry.readonly is true."))
    if not may_delete(request, repository):
        raise Refused(N_("You may not delete in this repository; a role with the level ui-delete allows it."))
    return repository, unquote(request.match_info["tag"])
