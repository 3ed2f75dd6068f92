"""Signing in and out, and the language of the pages."""

import logging
from functools import partial

from aiohttp import web

from shared import logs
from web_service.actors import Actor, Via
from web_service.authentication import LONGEST_NAME
from web_service.errors import SignInFailed
from web_service.i18n import NAMES
from web_service.opaque import masked
from web_service.views.forms import cookie
from web_service.views.page import LANGUAGE_COOKIE, SESSION_COOKIE, form, local_path, redirect, render, set_cookie
from web_service.views.routing import PARTS, VISIT

_log = logging.getLogger("web.signin")
_YEAR = 365 * 24 * 3600


async def show_sign_in(request: web.Request) -> web.StreamResponse:
    """Show the sign-in form; someone who is signed in already goes on."""
    target = local_path(request.query.get("next", ""))
    if request[VISIT].user is not None or not request.app[PARTS].settings.has_accounts:
        return redirect(request, target)
    return await render(request, "login.html", next=target, name="")


async def sign_in(request: web.Request) -> web.StreamResponse:
    """Start a new session; whatever session the browser had is ended, so that none can be planted."""
    parts, visit, fields = request.app[PARTS], request[VISIT], await form(request)
    target, name = local_path(fields.get("next", "")), fields.get("name", "").strip()
    try:
        login = await parts.authenticator.sign_in(name, fields.get("password", ""), visit.client.address)
        await parts.sessions.end(cookie(request, SESSION_COOKIE))
        start = partial(parts.sessions.start, login.user.id)
        token = await parts.authenticator.keep(login, visit.client.address, Via.CONSOLE, start)
    except SignInFailed as problem:
        _log.warning(
            "sign-in refused", extra=logs.fields(claimed=masked(name)[:LONGEST_NAME], address=visit.client.address)
        )
        return await render(request, "login.html", problem=problem, next=target, name=name[:LONGEST_NAME])
    user = login.user
    visit.facts["user"] = user.name
    await parts.audit.record(Actor(user.name, Via.CONSOLE, visit.client.address, user.id), "signin", user.name)
    response = redirect(request, target if user.may_browse or target != "/" else "/account")
    set_cookie(request, response, SESSION_COOKIE, token, max_age=parts.sessions.lifetime)
    return response


async def sign_out(request: web.Request) -> web.StreamResponse:
    """End the session."""
    visit = request[VISIT]
    if visit.user is not None:
        await request.app[PARTS].audit.record(visit.actor, "signout", visit.user.name)
    await request.app[PARTS].sessions.end(cookie(request, SESSION_COOKIE))
    response = redirect(request, "/login")
    response.del_cookie(SESSION_COOKIE)
    return response


async def choose_language(request: web.Request) -> web.StreamResponse:
    """Remember a language: in the browser, and with the account of who is signed in."""
    fields, user = await form(request), request[VISIT].user
    response = redirect(request, local_path(fields.get("next", "")))
    code = fields.get("language", "")
    if code in NAMES:
        set_cookie(request, response, LANGUAGE_COOKIE, code, max_age=_YEAR)
        if user is not None:
            await request.app[PARTS].users.set_language(user.id, code)
    return response
