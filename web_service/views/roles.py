"""Roles: list, create, enable, delete, and their rules. For administrators."""

import logging
from typing import Final

from aiohttp import web

from shared import logs
from shared.texts import clean
from web_service.access import ACTIONS
from web_service.errors import N_, NotFound, Problem
from web_service.roles import Role, RoleRule, RuleDraft
from web_service.views.page import form, redirect, render, translate
from web_service.views.routing import PARTS, VISIT

_log = logging.getLogger("web.roles")
_FIELDS: Final = ("address", "repository", "level", "comment")
_EMPTY: Final = RuleDraft("*", "", "pull")


async def show_roles(request: web.Request) -> web.StreamResponse:
    """List all roles."""
    return await render(request, "roles.html", roles=await request.app[PARTS].roles.all(), name="")


async def create_role(request: web.Request) -> web.StreamResponse:
    """Add a role."""
    parts, name = request.app[PARTS], (await form(request)).get("name", "").strip()
    try:
        role = await parts.roles.create(name, by=request[VISIT].actor)
    except Problem as problem:
        return await render(request, "roles.html", problem=problem, roles=await parts.roles.all(), name=name)
    _note(request, "role created", role)
    return redirect(request, f"/role/show/{role.id}", translate(request, N_("Role %(name)s was created."), name=name))


async def show_role(request: web.Request) -> web.StreamResponse:
    """Show a role with its rules and holders; who comes back from a trial finds the new rule as it was typed."""
    return await role_page(request, draft=_carried(request, _EMPTY))


async def update_role(request: web.Request) -> web.StreamResponse:
    """Let a role count, or not."""
    role, enabled = await role_of(request), "enabled" in await form(request)
    await request.app[PARTS].roles.set_enabled(role.id, enabled=enabled, by=request[VISIT].actor)
    _note(request, "role enabled" if enabled else "role disabled", role)
    return redirect(request, f"/role/show/{role.id}", translate(request, N_("Saved.")))


async def rename_role(request: web.Request) -> web.StreamResponse:
    """Give a role another name."""
    role, name = await role_of(request), (await form(request)).get("name", "").strip()
    try:
        await request.app[PARTS].roles.rename(role.id, name, by=request[VISIT].actor)
    except Problem as problem:
        return await role_page(request, problem, new_name=name)
    _note(request, "role renamed", role, to=name)
    return redirect(request, f"/role/show/{role.id}", translate(request, N_("Saved.")))


async def confirm_delete_role(request: web.Request) -> web.StreamResponse:
    """Ask before a role is deleted."""
    return await render(request, "role_delete.html", role=await role_of(request))


async def delete_role(request: web.Request) -> web.StreamResponse:
    """Delete a role, which takes it from all its holders."""
    role = await request.app[PARTS].roles.delete(int(request.match_info["id"]), by=request[VISIT].actor)
    _note(request, "role deleted", role)
    return redirect(request, "/role/index", translate(request, N_("Role %(name)s was deleted."), name=role.name))


async def add_rule(request: web.Request) -> web.StreamResponse:
    """Add a rule."""
    role, draft = await role_of(request), await draft_of(request)
    try:
        await request.app[PARTS].roles.add_rule(role.id, draft, by=request[VISIT].actor)
    except Problem as problem:
        return await role_page(request, problem, draft)
    _note(request, "rule added", role, repository=draft.repository, level=draft.level, from_=draft.address)
    return redirect(request, f"/role/show/{role.id}")


async def show_rule(request: web.Request) -> web.StreamResponse:
    """Show the form that changes a rule; who comes back from a trial finds it as it was typed."""
    role, rule = await rule_of(request)
    return await rule_page(request, role, rule, _carried(request, draft_of_rule(rule)))


async def update_rule(request: web.Request) -> web.StreamResponse:
    """Change a rule."""
    role, rule = await rule_of(request)
    draft = await draft_of(request)
    try:
        await request.app[PARTS].roles.edit_rule(role.id, rule.id, draft, by=request[VISIT].actor)
    except Problem as problem:
        return await rule_page(request, role, rule, draft, problem)
    _note(request, "rule changed", role, repository=draft.repository, level=draft.level, from_=draft.address)
    return redirect(request, f"/role/show/{role.id}")


async def delete_rule(request: web.Request) -> web.StreamResponse:
    """Delete a rule."""
    role, rule = await rule_of(request)
    await request.app[PARTS].roles.delete_rule(role.id, rule.id, by=request[VISIT].actor)
    _note(request, "rule deleted", role, repository=rule.repository, level=rule.level)
    return redirect(request, f"/role/show/{role.id}")


async def role_page(
    request: web.Request, problem: Problem | None = None, draft: RuleDraft = _EMPTY, new_name: str | None = None
) -> web.Response:
    """Return the page of a role, with what was typed where there is a problem."""
    role = await role_of(request)
    return await render(
        request,
        "role.html",
        problem=problem,
        role=role,
        new_name=role.name if new_name is None else new_name,
        draft=draft,
        levels=ACTIONS,
        here=f"/role/show/{role.id}",
    )


async def rule_page(
    request: web.Request, role: Role, rule: RoleRule, draft: RuleDraft, problem: Problem | None = None
) -> web.Response:
    """Return the page that changes a rule, with what was typed where there is a problem."""
    here = f"/role/editAcl/{role.id}/{rule.id}"
    return await render(
        request, "rule.html", problem=problem, role=role, rule=rule, draft=draft, levels=ACTIONS, here=here
    )


async def role_of(request: web.Request) -> Role:
    """Return the role whose id is in the address; raises NotFound."""
    return await request.app[PARTS].roles.get(int(request.match_info["id"]))


async def rule_of(request: web.Request) -> tuple[Role, RoleRule]:
    """Return the rule whose id is in the address, with its role; raises NotFound."""
    role, number = await role_of(request), int(request.match_info["rule"])
    for rule in role.rules:
        if rule.id == number:
            return role, rule
    raise NotFound(N_("There is no such rule."))


async def draft_of(request: web.Request) -> RuleDraft:
    """Return the rule that a form holds."""
    fields = await form(request)
    return RuleDraft(*(fields.get(key, "") for key in _FIELDS))


def draft_of_rule(rule: RoleRule) -> RuleDraft:
    """Return a rule as it would be typed."""
    return RuleDraft(rule.address, rule.repository, rule.level.value, rule.comment)


def _carried(request: web.Request, otherwise: RuleDraft) -> RuleDraft:
    return RuleDraft(*(clean(request.query.get(key, getattr(otherwise, key))) for key in _FIELDS))


def _note(request: web.Request, what: str, role: Role, **more: object) -> None:
    by = request[VISIT].user
    _log.info(what, extra=logs.fields(role=role.name, by=by.name if by else None, **more))
