"""What happens around every view: the visit is identified, rights and forms are checked, errors become answers."""

import hmac
import logging
import secrets
import time
from typing import Final
from urllib.parse import quote, urlsplit

from aiohttp import web

from shared import logs
from shared.proxies import identify
from web_service.accounts import User
from web_service.errors import N_, NotFound, Problem, Refused
from web_service.views import answers
from web_service.views.forms import cookie
from web_service.views.page import LANGUAGE_COOKIE, SESSION_COOKIE, VISITOR_COOKIE, form, redirect, render
from web_service.views.refusals import record_refusal
from web_service.views.routing import IN_FLIGHT, PARTS, VISIT, Handler, Needs, Visit, needs_of

_log = logging.getLogger("web.request")

_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Server": "Cangku",  # in place of the framework's own, which tells its version
}


@web.middleware
async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Identify the visit, turn errors into answers, add the security headers, and write one log line."""
    started = time.perf_counter()
    visit = request[VISIT] = _visit(request)
    in_flight = request.app[IN_FLIGHT]
    with in_flight.request():
        response = await _respond(request, handler)
        if visit.refusal:
            await record_refusal(request)
    response.headers.update(_SECURITY_HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    if in_flight.draining:
        response.force_close()
    _log_line(request, response.status, (time.perf_counter() - started) * 1000)
    return response


def _log_line(request: web.Request, status: int, milliseconds: float) -> None:
    quiet = request.path == "/api/health" or request.path.startswith("/static/")
    level = logging.DEBUG if quiet else logging.INFO
    if not _log.isEnabledFor(level):
        return
    visit = request[VISIT]
    facts = {"user": visit.user.name} if visit.user else {}
    fields = logs.fields(
        method=request.method,
        path=request.path,
        status=status,
        ms=round(milliseconds, 1),
        address=visit.client.address,
        **(facts | visit.facts),
    )
    # What the logger's own methods add, the place in the code, is dear to find and nowhere shown.
    _log.handle(_log.makeRecord(_log.name, level, "", 0, "request", (), None, extra=fields))


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let through who may use the route, with forms that come from our own pages."""
    needs = needs_of(request)
    visit = request[VISIT]
    if request.match_info.http_exception is not None and not request.path.startswith("/api/"):
        await _identify_user(request, visit)  # a page that is not there looks like the others
        return await handler(request)
    if needs is Needs.MACHINE or request.match_info.http_exception is not None:
        return await handler(request)
    visit.as_admin = needs is Needs.ADMIN
    if request.method not in _SAFE_METHODS:
        await form(request)  # all of it, before rights are looked at: it may take its time to arrive
    await _identify_user(request, visit)
    has_accounts = request.app[PARTS].settings.has_accounts
    if needs is Needs.LOOK and has_accounts and not (visit.user and visit.user.may_browse):
        visit.public = await request.app[PARTS].users.anonymous()
    if visit.public is None:
        if visit.user is None and has_accounts and needs is not Needs.OPEN:
            return _sign_in_first(request)
        _check_rights(visit.user, needs, has_accounts=has_accounts)
    if request.method not in _SAFE_METHODS:
        await _check_form(request, visit)
    return await handler(request)


async def _respond(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        return await _http_error(request, error)
    except Problem as problem:
        return await _problem(request, problem)
    except Exception:  # noqa: BLE001 - the user gets a page, the log the reason
        _log.exception("a request failed", extra=logs.fields(method=request.method, path=request.path))
        return await _failure(request)


def _visit(request: web.Request) -> Visit:
    settings = request.app[PARTS].settings
    client = identify(request.remote or "", request.scheme, request.host, request.headers, settings.trusted_proxies)
    wish, accept = request.cookies.get(LANGUAGE_COOKIE, ""), request.headers.get("Accept-Language", "")
    return Visit(client, settings.languages.choose(wish, accept=accept))


async def _identify_user(request: web.Request, visit: Visit) -> None:
    parts = request.app[PARTS]
    token = cookie(request, SESSION_COOKIE)
    if token and parts.settings.has_accounts:
        visit.user = await parts.sessions.user(token)
    if visit.user is not None:
        visit.token = token
        wish, accept = request.cookies.get(LANGUAGE_COOKIE, ""), request.headers.get("Accept-Language", "")
        visit.language = parts.settings.languages.choose(wish, visit.user.language, accept=accept)
        return
    visit.token = cookie(request, VISITOR_COOKIE)
    if not visit.token:
        visit.token, visit.token_is_new = secrets.token_urlsafe(24), True


def _sign_in_first(request: web.Request) -> web.Response:
    asked = request.path_qs if request.method in _SAFE_METHODS else "/"
    return redirect(request, "/login" if asked == "/" else f"/login?next={quote(asked, safe='/')}")


def _check_rights(user: User | None, needs: Needs, *, has_accounts: bool) -> None:
    if not has_accounts:
        if needs in (Needs.SIGNED_IN, Needs.ADMIN):
            raise NotFound(N_("There are no accounts here: nobody has to sign in (registry.auth.enabled is false)."))
        return
    if needs in (Needs.BROWSE, Needs.LOOK) and not (user and user.may_browse):
        raise Refused(N_("Your account does not include the console; an administrator can grant the role UI_USER."))
    if needs in (Needs.ADMIN, Needs.OPERATE) and not (user and user.is_admin):
        raise Refused(N_("Only administrators may do this."))


async def _check_form(request: web.Request, visit: Visit) -> None:
    """See that a form was sent by one of our pages; raises Refused. Two independent proofs are asked for."""
    if not _same_origin(request, visit):
        raise Refused(
            N_("The form comes from another site and was not accepted; a proxy must pass on the Host header.")
        )
    given = (await form(request)).get("csrf", "")
    if not hmac.compare_digest(given.encode(), visit.csrf.encode()):
        raise Refused(N_("The form is no longer valid; load the page again."))


def _same_origin(request: web.Request, visit: Visit) -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    try:
        return origin is None or urlsplit(origin).netloc.lower() == visit.client.host.lower()
    except ValueError:  # it is no address at all
        return False


async def _http_error(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    texts = {
        404: N_("There is no such page."),
        405: N_("This page cannot be used in that way."),
        413: N_("What was sent is too large."),
    }
    text = texts.get(error.status, N_("The request cannot be answered."))
    response = await _answer(request, error.status, text)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


async def _problem(request: web.Request, problem: Problem) -> web.StreamResponse:
    if isinstance(problem, Refused):
        request[VISIT].refusal = str(problem)
    response = await _answer(request, problem.status, str(problem), request[VISIT].language.problem(problem))
    if problem.seconds:
        response.headers["Retry-After"] = str(problem.seconds)
    return response


async def _failure(request: web.Request) -> web.StreamResponse:
    return await _answer(request, 500, N_("Something went wrong on the server. Its log tells the reason."))


async def _answer(request: web.Request, status: int, english: str, shown: str | None = None) -> web.StreamResponse:
    if request.path.startswith("/api/"):
        return answers.error(status, english)
    text = shown or request[VISIT].language.gettext(english)
    return await render(request, "error.html", status=status, code=status, text=text)
