"""The page that explains a decision: who asks for what, from where, and what each rule says. For administrators."""

from dataclasses import replace
from typing import Any, Final

from aiohttp import web

from web_service.access import ACTIONS, EFFECTS, UI_DELETE, Level, explain
from web_service.errors import N_, NotFound
from web_service.views.page import render
from web_service.views.routing import PARTS, VISIT

_CHOICES: Final = (*ACTIONS[Level.ADMIN], UI_DELETE)


async def show_access(request: web.Request) -> web.StreamResponse:
    """Show the form, and once a repository was entered the decision."""
    asked = {key: request.query.get(key, "").strip() for key in ("user", "repository", "action", "from")}
    asked["from"] = asked["from"] or request[VISIT].client.address
    asked["action"] = asked["action"] if asked["action"] in _CHOICES else "pull"
    shown = {"asked": asked, "choices": _CHOICES, "effects": EFFECTS} | await _known(request)
    if not asked["repository"]:
        return await render(request, "access.html", found=None, reason="", **shown)
    try:
        subject = await request.app[PARTS].users.subject(asked["user"])
    except NotFound as problem:
        return await render(request, "access.html", found=None, reason="", problem=problem, **shown)
    if request.app[PARTS].settings.config.registry.readonly:
        subject = replace(subject, console_shut=N_("The console is read-only: registry.readonly is true."))
    found = explain(subject, asked["repository"], asked["from"], asked["action"])
    reason = found.text(request[VISIT].language.gettext)
    return await render(request, "access.html", found=found, reason=reason, **shown)


async def _known(request: web.Request) -> dict[str, Any]:
    parts = request.app[PARTS]
    names = [user.name for user in await parts.users.all()]
    return {"names": names, "role_ids": {role.name: role.id for role in await parts.roles.all()}}
