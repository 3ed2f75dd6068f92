"""Groups: list, create, change, their members and roles, delete. For administrators."""

import logging

from aiohttp import web

from shared import logs
from web_service.errors import N_, Problem
from web_service.groups import Group
from web_service.views.page import form, redirect, render, translate
from web_service.views.routing import PARTS, VISIT
from web_service.views.users import grantable

_log = logging.getLogger("web.groups")


async def show_groups(request: web.Request) -> web.StreamResponse:
    """List all groups."""
    return await render(request, "groups.html", groups=await request.app[PARTS].groups.all(), name="")


async def create_group(request: web.Request) -> web.StreamResponse:
    """Add a group."""
    groups, name = request.app[PARTS].groups, (await form(request)).get("name", "").strip()
    try:
        group = await groups.create(name, by=request[VISIT].actor)
    except Problem as problem:
        return await render(
            request, "groups.html", problem=problem, here="/group/index", groups=await groups.all(), name=name
        )
    _note(request, "group created", group)
    notice = translate(request, N_("Group %(name)s was created."), name=group.name)
    return redirect(request, _place(group), notice)


async def show_group(request: web.Request) -> web.StreamResponse:
    """Show a group with its members and roles."""
    return await _group_page(request)


async def update_group(request: web.Request) -> web.StreamResponse:
    """Give a group another name and comment."""
    group, fields = await _group(request), await form(request)
    name, comment = fields.get("name", "").strip(), fields.get("comment", "")
    try:
        await request.app[PARTS].groups.update(group.id, name, comment, by=request[VISIT].actor)
    except Problem as problem:
        return await _group_page(request, problem, (name, comment))
    _note(request, "group changed", group, to=name)
    return redirect(request, _place(group), translate(request, N_("Saved.")))


async def add_member(request: web.Request) -> web.StreamResponse:
    """Take a user in."""
    group, user = await _group(request), (await form(request)).get("user", "")
    if _is_id(user):
        await request.app[PARTS].groups.add_member(group.id, int(user), by=request[VISIT].actor)
        _note(request, "member added", group, member=user)
    return redirect(request, _place(group))


async def remove_member(request: web.Request) -> web.StreamResponse:
    """Let a user go."""
    group, user = await _group(request), (await form(request)).get("user", "")
    try:
        if _is_id(user):
            await request.app[PARTS].groups.remove_member(group.id, int(user), by=request[VISIT].actor)
            _note(request, "member removed", group, member=user)
    except Problem as problem:
        return await _group_page(request, problem)
    return redirect(request, _place(group))


async def add_role(request: web.Request) -> web.StreamResponse:
    """Give all members a role."""
    group, role = await _group(request), (await form(request)).get("role", "")
    if _is_id(role):
        await request.app[PARTS].groups.grant(group.id, int(role), by=request[VISIT].actor)
        _note(request, "role granted", group, role=role)
    return redirect(request, _place(group))


async def remove_role(request: web.Request) -> web.StreamResponse:
    """Take a role from all members."""
    group, role = await _group(request), (await form(request)).get("role", "")
    try:
        if _is_id(role):
            await request.app[PARTS].groups.revoke(group.id, int(role), by=request[VISIT].actor)
            _note(request, "role revoked", group, role=role)
    except Problem as problem:
        return await _group_page(request, problem)
    return redirect(request, _place(group))


async def confirm_delete_group(request: web.Request) -> web.StreamResponse:
    """Ask before a group is deleted."""
    return await render(request, "group_delete.html", group=await _group(request))


async def delete_group(request: web.Request) -> web.StreamResponse:
    """Delete a group, which takes its roles from its members."""
    group = await _group(request)
    try:
        await request.app[PARTS].groups.delete(group.id, by=request[VISIT].actor)
    except Problem as problem:
        return await _group_page(request, problem)
    _note(request, "group deleted", group)
    return redirect(request, "/group/index", translate(request, N_("Group %(name)s was deleted."), name=group.name))


async def _group_page(
    request: web.Request, problem: Problem | None = None, entered: tuple[str, str] | None = None
) -> web.Response:
    parts, group = request.app[PARTS], await _group(request)
    members, held = ({one.id for one in ones} for ones in (group.members, group.roles))
    return await render(
        request,
        "group.html",
        problem=problem,
        here=_place(group),
        group=group,
        entered=entered or (group.name, group.comment),
        users=[user for user in await parts.users.all() if user.id not in members],
        available=grantable(await parts.roles.all(), held),
    )


async def _group(request: web.Request) -> Group:
    return await request.app[PARTS].groups.get(int(request.match_info["id"]))


def _place(group: Group) -> str:
    return f"/group/show/{group.id}"


def _is_id(text: str) -> bool:
    return text.isdecimal() and len(text) < 10  # noqa: PLR2004 - as many digits as the addresses of our pages have


def _note(request: web.Request, what: str, group: Group, **more: object) -> None:
    _log.info(what, extra=logs.fields(group=group.name, by=request[VISIT].actor.name, **more))
