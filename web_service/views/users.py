"""Users: list, create, change, grant and revoke roles, delete. For administrators.

Robots have a list and a page of their own, but are changed in the same way.
"""

import logging
from collections.abc import Collection, Iterable

from aiohttp import web

from shared import logs
from web_service.accounts import User
from web_service.errors import N_, Problem
from web_service.events import Wanted
from web_service.roles import UI_USER, Role
from web_service.users import check_name
from web_service.views.page import form, redirect, render, translate
from web_service.views.routing import PARTS, VISIT
from web_service.views.token_form import TokenForm, shown_tokens

_log = logging.getLogger("web.users")
_RECENT_EVENTS = 10


async def show_users(request: web.Request) -> web.StreamResponse:
    """List all people who have an account."""
    people = [user for user in await request.app[PARTS].users.all() if not user.robot]
    return await render(request, "users.html", users=people)


async def show_new_user(request: web.Request) -> web.StreamResponse:
    """Show the form for a new user."""
    return await render(request, "user_new.html", name="", enabled=True, browses=True)


async def create_user(request: web.Request) -> web.StreamResponse:
    """Add a user, with the role that opens the console if that is wanted."""
    parts, by, fields = request.app[PARTS], request[VISIT].actor, await form(request)
    name, enabled, browses = fields.get("name", "").strip(), "enabled" in fields, "browses" in fields
    try:
        password_hash = await parts.authenticator.hash_new(check_name(name), fields.get("password", ""))
        user = await parts.users.create(name, password_hash, enabled=enabled, by=by)
    except Problem as problem:
        return await render(
            request, "user_new.html", problem=problem, name=name, enabled=enabled, browses=browses, here="/user/add"
        )
    _note(request, "user created", user)
    role = await parts.roles.named(UI_USER) if browses else None
    if role is not None:
        await parts.users.grant(user.id, role.id, by=by)
    return redirect(request, place_of(user), translate(request, N_("User %(name)s was created."), name=user.name))


async def show_user(request: web.Request) -> web.StreamResponse:
    """Show a user with roles, groups, tokens and recent events."""
    user = await user_of(request)
    return redirect(request, place_of(user)) if user.robot else await user_page(request)


async def update_user(request: web.Request) -> web.StreamResponse:
    """Set a new password, if one was entered, and open or close the account."""
    parts, fields, user = request.app[PARTS], await form(request), await user_of(request)
    enabled, password = "enabled" in fields, fields.get("password", "")
    try:
        if password:
            password_hash = await parts.authenticator.hash_new(user.name, password)
            await parts.users.set_password(user.id, password_hash, by=request[VISIT].actor)
            _note(request, "password set", user)
        if enabled != user.enabled:
            await parts.users.set_enabled(user.id, enabled=enabled, by=request[VISIT].actor)
            _note(request, "user enabled" if enabled else "user disabled", user)
    except Problem as problem:
        return await user_page(request, problem)
    return redirect(request, place_of(user), translate(request, N_("Saved.")))


async def rename_user(request: web.Request) -> web.StreamResponse:
    """Give a user another name."""
    user, name = await user_of(request), (await form(request)).get("name", "").strip()
    try:
        renamed = await request.app[PARTS].users.rename(user.id, name, by=request[VISIT].actor)
    except Problem as problem:
        return await user_page(request, problem, name)
    _note(request, "user renamed", user, to=renamed.name)
    return redirect(request, place_of(user), translate(request, N_("Saved.")))


async def add_role(request: web.Request) -> web.StreamResponse:
    """Grant a role."""
    user, role = await user_of(request), (await form(request)).get("role", "")
    if role.isdecimal():
        await request.app[PARTS].users.grant(user.id, int(role), by=request[VISIT].actor)
        _note(request, "role granted", user, role=role)
    return redirect(request, place_of(user))


async def remove_role(request: web.Request) -> web.StreamResponse:
    """Revoke a role."""
    user, role = await user_of(request), (await form(request)).get("role", "")
    try:
        if role.isdecimal():
            await request.app[PARTS].users.revoke(user.id, int(role), by=request[VISIT].actor)
            _note(request, "role revoked", user, role=role)
    except Problem as problem:
        return await user_page(request, problem)
    return redirect(request, place_of(user))


async def confirm_delete_user(request: web.Request) -> web.StreamResponse:
    """Ask before a user is deleted."""
    user = await user_of(request)
    return await render(request, "user_delete.html", subject=user, place=place_of(user), section=_section(user))


async def delete_user(request: web.Request) -> web.StreamResponse:
    """Delete a user."""
    user = await user_of(request)
    try:
        await request.app[PARTS].users.delete(user.id, by=request[VISIT].actor)
    except Problem as problem:
        return await user_page(request, problem)
    _note(request, "user deleted", user)
    text = N_("Robot account %(name)s was deleted.") if user.robot else N_("User %(name)s was deleted.")
    return redirect(request, f"/{_section(user)}/index", translate(request, text, name=user.name))


async def user_page(
    request: web.Request,
    problem: Problem | None = None,
    new_name: str | None = None,
    token_form: TokenForm | None = None,
) -> web.Response:
    """Return the page of a user or a robot, with what was typed where there is a problem."""
    parts, user = request.app[PARTS], await user_of(request)
    held = {role.id for role in user.roles if not role.group}
    return await render(
        request,
        "robot.html" if user.robot else "user.html",
        problem=problem,
        subject=user,
        available=grantable(await parts.roles.all(), held),
        groups=[group for group in await parts.groups.all() if group.name in user.groups],
        events=(await parts.events.page(Wanted(user=user.name), size=_RECENT_EVENTS)).events,
        own=user.id == _own_id(request),
        new_name=user.name if new_name is None else new_name,
        section=_section(user),
        here=place_of(user),
        **await shown_tokens(request, user.id, token_form),
    )


def grantable(roles: Iterable[Role], held: Collection[int]) -> list[Role]:
    """Return which roles can be granted to who holds some; those that open the console come last."""
    open_to = (role for role in roles if role.id not in held and not role.is_anonymous)
    return sorted(open_to, key=lambda role: role.special)


async def user_of(request: web.Request) -> User:
    """Return the user, or robot, whose id is in the address; raises NotFound."""
    return await request.app[PARTS].users.get(int(request.match_info["id"]))


def place_of(user: User) -> str:
    """Return the address of the page of a user or a robot."""
    return f"/{_section(user)}/show/{user.id}"


def _section(user: User) -> str:
    return "robot" if user.robot else "user"


def _own_id(request: web.Request) -> int:
    user = request[VISIT].user
    return user.id if user else 0


def _note(request: web.Request, what: str, user: User, **more: object) -> None:
    by = request[VISIT].user
    _log.info(what, extra=logs.fields(subject=user.name, by=by.name if by else None, **more))
