"""A user's own account: roles and groups, access tokens, clients, recent events, password."""

import logging

from aiohttp import web

from shared import logs
from web_service.accounts import User
from web_service.errors import N_, Invalid, Problem, Refused, SignInFailed, TooManyFailures
from web_service.events import Wanted
from web_service.views.page import SESSION_COOKIE, form, redirect, render, set_cookie, translate
from web_service.views.routing import PARTS, VISIT
from web_service.views.token_form import TokenForm, shown_tokens

_log = logging.getLogger("web.account")
_RECENT_EVENTS = 20


async def show_account(request: web.Request) -> web.StreamResponse:
    """Show the account of who is signed in."""
    return await account_page(request)


async def change_password(request: web.Request) -> web.StreamResponse:
    """Set a new password. All sessions of the user end; this browser gets a new one."""
    parts, user = request.app[PARTS], signed_in(request)
    try:
        password_hash = await _change(request, user)
    except Problem as problem:
        return await account_page(request, problem)
    _log.info("password changed", extra=logs.fields(user=user.name))
    response = redirect(request, "/account", translate(request, N_("Your password was changed.")))
    token = await parts.sessions.start(user.id, password_hash)
    set_cookie(request, response, SESSION_COOKIE, token, max_age=parts.sessions.lifetime)
    return response


async def _change(request: web.Request, user: User) -> str:
    """Set the new password and return its hash."""
    parts, fields = request.app[PARTS], await form(request)
    new = fields.get("new", "")
    if new != fields.get("repeat", ""):
        raise Invalid(N_("The two new passwords are not the same."))
    try:
        await parts.authenticator.authenticate(user.name, fields.get("current", ""), request[VISIT].client.address)
    except TooManyFailures:
        raise
    except SignInFailed:
        raise Invalid(N_("The current password is wrong.")) from None
    password_hash = await parts.authenticator.hash_new(user.name, new)
    await parts.users.set_password(user.id, password_hash, by=request[VISIT].actor)
    return password_hash


async def account_page(
    request: web.Request, problem: Problem | None = None, token_form: TokenForm | None = None
) -> web.Response:
    """Return the page of one's own account, with what was typed where there is a problem."""
    user = signed_in(request)
    events = (await request.app[PARTS].events.page(Wanted(user=user.name), size=_RECENT_EVENTS)).events
    tokens = await shown_tokens(request, user.id, token_form)
    return await render(request, "account.html", problem=problem, events=events, here="/account", **tokens)


def signed_in(request: web.Request) -> User:
    """Return who is signed in; raises Refused."""
    user = request[VISIT].user
    if user is None:
        raise Refused(N_("Sign in first."))
    return user
