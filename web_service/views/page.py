"""Pages: what every one of them shows, notices that outlive a redirect, and addresses to go back to."""

import base64
import json
import time
from typing import Any, Final

import aiohttp_jinja2
from aiohttp import web

from web_service.errors import Problem, Refused
from web_service.foreign import parse_json
from web_service.i18n import NAMES
from web_service.views.forms import posted
from web_service.views.routing import PARTS, TEMPLATES, VISIT, Visit

SESSION_COOKIE: Final = "cangku_session"
VISITOR_COOKIE: Final = "cangku_visitor"
LANGUAGE_COOKIE: Final = "cangku_language"
_NOTICE_COOKIE: Final = "cangku_notice"
_LONGEST_NOTICE: Final = 1000


async def render(
    request: web.Request,
    template: str,
    *,
    status: int = 200,
    problem: Problem | None = None,
    here: str = "/",
    **context: Any,
) -> web.Response:
    """Return a page in the visitor's language; with a problem, also its status.

    `here` is where a page that answers a form can be had by GET, for who changes the language there.
    """
    visit, parts = request[VISIT], request.app[PARTS]
    user = visit.user
    if isinstance(problem, Refused):
        visit.refusal = str(problem)
    insecure = user is not None and user.is_admin and await parts.users.default_password_in_use()
    everywhere = {
        "user": user,
        "lang": visit.language.code,
        "languages": NAMES,
        "now": time.time(),
        "csrf": visit.csrf,
        "settings": parts.settings,
        "here": request.path_qs if request.method in ("GET", "HEAD") else here,
        "section": request.path.strip("/").partition("/")[0],
        "may_browse": not parts.settings.has_accounts or (user is not None and user.may_browse),
        "may_look": visit.public is not None,
        "is_admin": user is not None and user.is_admin,
        "default_password": insecure,
        "notice": _read_notice(request),
        "problem": visit.language.problem(problem) if problem else "",
    }
    response = aiohttp_jinja2.render_template(
        template,
        request,
        everywhere | context,
        app_key=TEMPLATES[visit.language.code],
        status=problem.status if problem else status,
    )
    if problem and problem.seconds:
        response.headers["Retry-After"] = str(problem.seconds)
    _cookies(request, response, visit)
    return response


def redirect(request: web.Request, location: str, notice: str = "") -> web.Response:
    """Send the browser to another page, which shows the notice once."""
    response = web.Response(status=303, headers={"Location": location})
    if notice:
        text = json.dumps(notice[:_LONGEST_NOTICE]).encode()
        set_cookie(request, response, _NOTICE_COOKIE, base64.urlsafe_b64encode(text).decode(), max_age=60)
    return response


def set_cookie(request: web.Request, response: web.StreamResponse, name: str, value: str, *, max_age: int) -> None:
    """Set a cookie that scripts and other sites do not get, and plain HTTP does not either once we run behind TLS."""
    secure = request[VISIT].client.scheme == "https"
    response.set_cookie(name, value, max_age=max_age, httponly=True, samesite="Lax", secure=secure)


def translate(request: web.Request, message: str, **values: object) -> str:
    """Return a text of ours in the visitor's language."""
    text = request[VISIT].language.gettext(message)
    return text % values if values else text


def local_path(text: str, otherwise: str = "/") -> str:
    """Return an address within this site, for the way back after signing in."""
    inside = text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable()
    return text if inside else otherwise


async def form(request: web.Request) -> dict[str, str]:
    """Return the text fields of a form; raises Invalid."""
    return dict((await posted(request)).items())


def page_number(request: web.Request) -> int:
    """Return the page asked for, counted from 1."""
    text = request.query.get("page", "1")
    return max(1, int(text)) if text.isdecimal() and len(text) < 7 else 1  # noqa: PLR2004 - nobody leafs that far


def _read_notice(request: web.Request) -> str:
    try:
        text = parse_json(base64.urlsafe_b64decode(request.cookies.get(_NOTICE_COOKIE, "")))
    except (ValueError, RecursionError):
        return ""
    return text if isinstance(text, str) else ""


def _cookies(request: web.Request, response: web.Response, visit: Visit) -> None:
    if visit.token_is_new:
        set_cookie(request, response, VISITOR_COOKIE, visit.token, max_age=12 * 3600)
    if _NOTICE_COOKIE in request.cookies:
        response.del_cookie(_NOTICE_COOKIE)
