"""Roles: list, create, enable, delete, and their rules. For administrators."""

import logging

from aiohttp import web

from shared import logs
from web_service.access import ACTIONS
from web_service.errors import N_, NotFound, Problem
from web_service.roles import Role, RoleRule, RuleDraft
from web_service.views.page import form, redirect, render, translate
from web_service.views.routing import PARTS, VISIT

_log = logging.getLogger("web.roles")


async def show_roles(request: web.Request) -> web.StreamResponse:
    """List all roles."""
    return await render(request, "roles.html", roles=await request.app[PARTS].roles.all(), name="")


async def create_role(request: web.Request) -> web.StreamResponse:
    """Add a role."""
    parts, name = request.app[PARTS], (await form(request)).get("name", "").strip()
    try:
        role = await parts.roles.create(name)
    except Problem as problem:
        return await render(request, "roles.html", problem=problem, roles=await parts.roles.all(), name=name)
    _note(request, "role created", role)
    return redirect(request, f"/role/show/{role.id}", translate(request, N_("Role %(name)s was created."), name=name))


async def show_role(request: web.Request) -> web.StreamResponse:
    """Show a role with its rules and holders."""
    return await _role_page(request)


async def update_role(request: web.Request) -> web.StreamResponse:
    """Let a role count, or not."""
    role, enabled = await _role(request), "enabled" in await form(request)
    await request.app[PARTS].roles.set_enabled(role.id, enabled=enabled)
    _note(request, "role enabled" if enabled else "role disabled", role)
    return redirect(request, f"/role/show/{role.id}", translate(request, N_("Saved.")))


async def rename_role(request: web.Request) -> web.StreamResponse:
    """Give a role another name."""
    role, name = await _role(request), (await form(request)).get("name", "").strip()
    try:
        await request.app[PARTS].roles.rename(role.id, name)
    except Problem as problem:
        return await _role_page(request, problem, new_name=name)
    _note(request, "role renamed", role, to=name)
    return redirect(request, f"/role/show/{role.id}", translate(request, N_("Saved.")))


async def confirm_delete_role(request: web.Request) -> web.StreamResponse:
    """Ask before a role is deleted."""
    return await render(request, "role_delete.html", role=await _role(request))


async def delete_role(request: web.Request) -> web.StreamResponse:
    """Delete a role, which takes it from all its holders."""
    role = await request.app[PARTS].roles.delete(int(request.match_info["id"]))
    _note(request, "role deleted", role)
    return redirect(request, "/role/index", translate(request, N_("Role %(name)s was deleted."), name=role.name))


async def add_rule(request: web.Request) -> web.StreamResponse:
    """Add a rule."""
    role, draft = await _role(request), await _draft(request)
    try:
        await request.app[PARTS].roles.add_rule(role.id, draft)
    except Problem as problem:
        return await _role_page(request, problem, draft)
    _note(request, "rule added", role, repository=draft.repository, level=draft.level, from_=draft.address)
    return redirect(request, f"/role/show/{role.id}")


async def show_rule(request: web.Request) -> web.StreamResponse:
    """Show the form that changes a rule."""
    role, rule = await _rule(request)
    draft = RuleDraft(rule.address, rule.repository, rule.level.value, rule.comment)
    return await render(request, "rule.html", role=role, rule=rule, draft=draft, levels=ACTIONS)


async def update_rule(request: web.Request) -> web.StreamResponse:
    """Change a rule."""
    role, rule = await _rule(request)
    draft = await _draft(request)
    try:
        await request.app[PARTS].roles.edit_rule(role.id, rule.id, draft)
    except Problem as problem:
        return await render(request, "rule.html", problem=problem, role=role, rule=rule, draft=draft, levels=ACTIONS)
    _note(request, "rule changed", role, repository=draft.repository, level=draft.level, from_=draft.address)
    return redirect(request, f"/role/show/{role.id}")


async def delete_rule(request: web.Request) -> web.StreamResponse:
    """Delete a rule."""
    role, rule = await _rule(request)
    await request.app[PARTS].roles.delete_rule(role.id, rule.id)
    _note(request, "rule deleted", role, repository=rule.repository, level=rule.level)
    return redirect(request, f"/role/show/{role.id}")


async def _role_page(
    request: web.Request, problem: Problem | None = None, draft: RuleDraft | None = None, new_name: str | None = None
) -> web.Response:
    role = await _role(request)
    return await render(
        request,
        "role.html",
        problem=problem,
        role=role,
        new_name=role.name if new_name is None else new_name,
        draft=draft or RuleDraft("*", "", "pull"),
        levels=ACTIONS,
    )


async def _role(request: web.Request) -> Role:
    return await request.app[PARTS].roles.get(int(request.match_info["id"]))


async def _rule(request: web.Request) -> tuple[Role, RoleRule]:
    role, number = await _role(request), int(request.match_info["rule"])
    for rule in role.rules:
        if rule.id == number:
            return role, rule
    raise NotFound(N_("There is no such rule."))


async def _draft(request: web.Request) -> RuleDraft:
    fields = await form(request)
    return RuleDraft(*(fields.get(key, "") for key in ("address", "repository", "level", "comment")))


def _note(request: web.Request, what: str, role: Role, **more: object) -> None:
    by = request[VISIT].user
    _log.info(what, extra=logs.fields(role=role.name, by=by.name if by else None, **more))
