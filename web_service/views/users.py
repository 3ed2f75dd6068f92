"""Users: list, create, change, grant and revoke roles, delete. For administrators."""

import logging

from aiohttp import web

from shared import logs
from web_service.errors import N_, Problem
from web_service.events import Wanted
from web_service.users import User, check_name
from web_service.views.page import form, redirect, render, translate
from web_service.views.routing import PARTS, VISIT

_log = logging.getLogger("web.users")
_RECENT_EVENTS = 10


async def show_users(request: web.Request) -> web.StreamResponse:
    """List all users."""
    return await render(request, "users.html", users=await request.app[PARTS].users.all())


async def show_new_user(request: web.Request) -> web.StreamResponse:
    """Show the form for a new user."""
    return await render(request, "user_new.html", name="", enabled=True)


async def create_user(request: web.Request) -> web.StreamResponse:
    """Add a user."""
    parts, fields = request.app[PARTS], await form(request)
    name, enabled = fields.get("name", "").strip(), "enabled" in fields
    try:
        password_hash = await parts.authenticator.hash_new(check_name(name), fields.get("password", ""))
        user = await parts.users.create(name, password_hash, enabled=enabled)
    except Problem as problem:
        return await render(request, "user_new.html", problem=problem, name=name, enabled=enabled)
    _note(request, "user created", user)
    return redirect(
        request, f"/user/show/{user.id}", translate(request, N_("User %(name)s was created."), name=user.name)
    )


async def show_user(request: web.Request) -> web.StreamResponse:
    """Show a user with roles and recent events."""
    return await _user_page(request)


async def update_user(request: web.Request) -> web.StreamResponse:
    """Set a new password, if one was entered, and open or close the account."""
    parts, fields, user = request.app[PARTS], await form(request), await _user(request)
    enabled, password = "enabled" in fields, fields.get("password", "")
    try:
        if password:
            await parts.users.set_password(user.id, await parts.authenticator.hash_new(user.name, password))
            _note(request, "password set", user)
        if enabled != user.enabled:
            await parts.users.set_enabled(user.id, enabled=enabled, by=_own_id(request))
            _note(request, "user enabled" if enabled else "user disabled", user)
    except Problem as problem:
        return await _user_page(request, problem)
    return redirect(request, f"/user/show/{user.id}", translate(request, N_("Saved.")))


async def rename_user(request: web.Request) -> web.StreamResponse:
    """Give a user another name."""
    user, name = await _user(request), (await form(request)).get("name", "").strip()
    try:
        renamed = await request.app[PARTS].users.rename(user.id, name)
    except Problem as problem:
        return await _user_page(request, problem, name)
    _note(request, "user renamed", user, to=renamed.name)
    return redirect(request, f"/user/show/{user.id}", translate(request, N_("Saved.")))


async def add_role(request: web.Request) -> web.StreamResponse:
    """Grant a role."""
    user, role = await _user(request), (await form(request)).get("role", "")
    if role.isdecimal():
        await request.app[PARTS].users.grant(user.id, int(role))
        _note(request, "role granted", user, role=role)
    return redirect(request, f"/user/show/{user.id}")


async def remove_role(request: web.Request) -> web.StreamResponse:
    """Revoke a role."""
    user, role = await _user(request), (await form(request)).get("role", "")
    try:
        if role.isdecimal():
            await request.app[PARTS].users.revoke(user.id, int(role))
            _note(request, "role revoked", user, role=role)
    except Problem as problem:
        return await _user_page(request, problem)
    return redirect(request, f"/user/show/{user.id}")


async def confirm_delete_user(request: web.Request) -> web.StreamResponse:
    """Ask before a user is deleted."""
    return await render(request, "user_delete.html", subject=await _user(request))


async def delete_user(request: web.Request) -> web.StreamResponse:
    """Delete a user."""
    user = await _user(request)
    try:
        await request.app[PARTS].users.delete(user.id, by=_own_id(request))
    except Problem as problem:
        return await _user_page(request, problem)
    _note(request, "user deleted", user)
    return redirect(request, "/user/index", translate(request, N_("User %(name)s was deleted."), name=user.name))


async def _user_page(request: web.Request, problem: Problem | None = None, new_name: str | None = None) -> web.Response:
    parts, user = request.app[PARTS], await _user(request)
    held = {role.id for role in user.roles}
    available = [role for role in await parts.roles.all() if role.id not in held and not role.is_anonymous]
    events = (await parts.events.page(Wanted(user=user.name), size=_RECENT_EVENTS)).events
    own = user.id == _own_id(request)
    return await render(
        request,
        "user.html",
        problem=problem,
        subject=user,
        available=available,
        events=events,
        own=own,
        new_name=user.name if new_name is None else new_name,
    )


async def _user(request: web.Request) -> User:
    return await request.app[PARTS].users.get(int(request.match_info["id"]))


def _own_id(request: web.Request) -> int:
    user = request[VISIT].user
    return user.id if user else 0


def _note(request: web.Request, what: str, user: User, **more: object) -> None:
    by = request[VISIT].user
    _log.info(what, extra=logs.fields(subject=user.name, by=by.name if by else None, **more))
