"""/api/auth: the token endpoint that docker, podman, containerd, helm and others log in to.

GET carries Basic credentials (Docker token specification); POST a form with grant_type password or refresh_token (its
OAuth 2 variant, tried first by containerd). In place of a password an access token is accepted. A client that asks for
it (offline_token=true, access_type=offline) gets a refresh token to keep instead of the password. GET without
credentials gets what the role `anonymous` allows, while that is enabled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from aiohttp import web

from shared.tokens import InvalidScope, Scope, parse_scopes
from web_service.actors import Actor, Via
from web_service.asked import Asked
from web_service.authentication import LONGEST_NAME, Login
from web_service.doorkeeper import Sighting
from web_service.errors import SignInFailed, TooManyFailures
from web_service.granting import Asker, Granted, grant
from web_service.opaque import masked
from web_service.parts import Parts
from web_service.tokens import Issued, TokenIssuer
from web_service.views import answers
from web_service.views.credentials import basic_credentials
from web_service.views.forms import posted
from web_service.views.routing import PARTS, VISIT

SWITCHED_OFF: Final = "This server issues no tokens: authentication is switched off (registry.auth.enabled is false)."
"""Also said by the other endpoints about tokens."""

_LONGEST_LOGGED: Final = 1000
"""Characters of scopes in a log line: anybody may ask for as many as a request holds."""
_LARGEST_FORM: Final = 64 * 1024
"""Bytes of a posted form: anybody may send one."""
_LONGEST_SCOPES: Final = 32 * 1024
"""Characters of all scopes together: _MOST_SCOPES with the longest names that a repository may have."""
_MOST_SCOPES: Final = 100
"""Different resources: a push asks for as many as it mounts from, and a token for 100 is too long for most servers."""
_MOST_ACTIONS: Final = 16
"""Different actions on one resource; there are half a dozen."""
_GRANT_TYPES: Final = ("password", "refresh_token")


class _BadRequest(Exception):
    """The request makes no sense; the message says why."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a client shows and wants. `refresh_token` stands in place of name and password; `client` names itself."""

    name: str
    secret: str
    scopes: tuple[Scope, ...]
    offline: bool = False
    client: str = ""
    refresh_token: str = ""


@dataclass(frozen=True, slots=True)
class _Guest:
    """Who is given a token, what of it is to be written down, and what else goes into the answer."""

    asker: Asker
    by: Actor
    login: Login | None = None
    due: Sequence[Sighting] = ()
    more: Mapping[str, str] = field(default_factory=dict)


async def get_token(request: web.Request) -> web.StreamResponse:
    """Answer a request with Basic credentials, or without any."""
    parts = request.app[PARTS]
    if parts.settings.issuer is None:
        return answers.error(404, SWITCHED_OFF)
    query = request.query
    try:
        scopes = _checked(parts, query.getall("service", []), query.getall("scope", []))
    except _BadRequest as problem:
        return answers.error(400, str(problem))
    header = request.headers.get("Authorization")
    public = await parts.users.anonymous() if header is None else None
    if public is not None:
        address = request[VISIT].client.address
        guest = _Guest(Asker("", address, public), Actor("", Via.DOCKER, address))
        return await _issue(request, parts.settings.issuer, guest, scopes)
    credentials = basic_credentials(header or "")
    if credentials is None:
        return _unauthorized(parts, "A user name and a password are needed.")
    offline = query.get("offline_token", "").lower() in ("true", "1")
    wish = _Wish(*credentials, scopes, offline, query.get("client_id", ""))
    return await _answer(request, parts.settings.issuer, wish)


async def post_token(request: web.Request) -> web.StreamResponse:
    """Answer a form with grant_type password or refresh_token."""
    parts = request.app[PARTS]
    if parts.settings.issuer is None:
        return answers.error(404, SWITCHED_OFF)
    try:
        form = await posted(request.clone(client_max_size=_LARGEST_FORM))
    except web.HTTPRequestEntityTooLarge:
        message = f"The form has more than {_LARGEST_FORM} bytes."
        return answers.error(413, message, extra=_oauth("invalid_request", message))
    fields = {key: form.getall(key) for key in form}
    if " ".join(fields.get("grant_type", [])) not in _GRANT_TYPES:
        message = "grant_type must be password or refresh_token."
        return answers.error(400, message, extra=_oauth("unsupported_grant_type", message))
    try:
        wish = _posted_wish(parts, fields)
    except _BadRequest as problem:
        return answers.error(400, str(problem), extra=_oauth("invalid_request", str(problem)))
    return await _answer(request, parts.settings.issuer, wish)


def _posted_wish(parts: Parts, fields: Mapping[str, list[str]]) -> _Wish:
    scopes = _checked(parts, fields.get("service", []), fields.get("scope", []))
    offline, client = fields.get("access_type") == ["offline"], " ".join(fields.get("client_id", []))
    if "refresh_token" in fields["grant_type"]:
        return _Wish("", "", scopes, client=client, refresh_token=_single(fields, "refresh_token"))
    return _Wish(_single(fields, "username"), _single(fields, "password"), scopes, offline, client)


async def _answer(request: web.Request, issuer: TokenIssuer, wish: _Wish) -> web.Response:
    parts, visit = request.app[PARTS], request[VISIT]
    try:
        visit.login = login = await _sign_in(parts, wish, visit.client.address)
        guest = await _guest(request, wish, login)
    except TooManyFailures as problem:
        visit.facts["claimed"] = masked(wish.name)[:LONGEST_NAME]
        return answers.error(429, str(problem), headers={"Retry-After": str(problem.seconds)})
    except SignInFailed as problem:
        visit.facts |= {"claimed": masked(wish.name)[:LONGEST_NAME], "scope": _logged(wish.scopes)}
        return _unauthorized(parts, str(problem))
    return await _issue(request, issuer, guest, wish.scopes)


async def _guest(request: web.Request, wish: _Wish, login: Login) -> _Guest:
    parts, user, address = request.app[PARTS], login.user, request[VISIT].client.address
    by, more = Actor(user.name, Via.DOCKER, address, user.id), {}
    keeps_secret = wish.offline and login.token is None
    if keeps_secret:
        agent = wish.client or request.headers.get("User-Agent", "")
        make = partial(parts.refresh_tokens.create, user.id, agent, by=by)
        more["refresh_token"] = await parts.authenticator.keep(login, address, Via.DOCKER, make)
    if wish.refresh_token:
        more["refresh_token"] = wish.refresh_token
    is_docker_login = not wish.scopes and not wish.refresh_token
    due = parts.doorkeeper.signed_in(by, login, again=is_docker_login)
    if keeps_secret and wish.scopes:
        due = []  # the line of the refresh token says it already
    asker = Asker(user.name, address, user.rules, login.limits, user.is_admin)
    return _Guest(asker, by, login, due, more)


async def _sign_in(parts: Parts, wish: _Wish, address: str) -> Login:
    if not wish.refresh_token:
        return await parts.authenticator.sign_in_program(wish.name, wish.secret, address, Via.DOCKER)
    return await parts.authenticator.sign_in_again(wish.refresh_token, address)


async def _issue(request: web.Request, issuer: TokenIssuer, guest: _Guest, wanted: Sequence[Scope]) -> web.Response:
    parts, visit, asker = request.app[PARTS], request[VISIT], guest.asker
    granted = grant(asker, wanted)
    due = [*guest.due, *parts.doorkeeper.scopes_refused(guest.by, guest.login, wanted, granted.scopes)]
    if due:
        await parts.doorkeeper.write(due)
    issued = await issuer.issue(
        asker.name,
        granted.scopes,
        readable=granted.readable,
        unreadable=granted.unreadable,
        limited=bool(asker.limits),
    )
    parts.asked.note(
        Asked(asker.name, asker.address, one.repository, one.action, one.allowed) for one in granted.verdicts
    )
    visit.facts |= {"user": asker.name, "scope": _logged(wanted), "granted": _logged(granted.scopes)}
    visit.facts |= {"jti": issued.token_id, **({"reason": granted.reason} if granted.reason else {})}
    return web.json_response({**_body(issued, granted, oauth=request.method == "POST"), **guest.more})


def _logged(scopes: Sequence[Scope]) -> str:
    return " ".join(map(str, scopes))[:_LONGEST_LOGGED]


def _body(issued: Issued, granted: Granted, *, oauth: bool) -> dict[str, Any]:
    moment = datetime.fromtimestamp(issued.issued_at, UTC)
    body: dict[str, Any] = {
        "token": issued.token,
        "access_token": issued.token,
        "expires_in": issued.expires_in,
        "issued_at": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if oauth:
        body |= {"token_type": "Bearer", "scope": " ".join(map(str, granted.scopes))}
    return body


def _checked(parts: Parts, services: Sequence[str], scopes: Sequence[str]) -> tuple[Scope, ...]:
    expected = parts.settings.config.registry.name
    for service in services:
        if service not in ("", expected):
            raise _BadRequest(
                f"The service is {expected!r} here, not {service[:200]!r}: registry.name of the token server and "
                "auth.token.service of the registry must be equal."
            )
    return _parsed(scopes)


def _parsed(texts: Sequence[str]) -> tuple[Scope, ...]:
    if sum(map(len, texts)) > _LONGEST_SCOPES:
        raise _BadRequest(f"The scopes have more than {_LONGEST_SCOPES} characters.")
    try:
        scopes = parse_scopes(texts)
    except InvalidScope as error:
        raise _BadRequest(f"{error}.") from None
    if len(scopes) > _MOST_SCOPES:
        raise _BadRequest(f"More than {_MOST_SCOPES} different scopes are asked for.")
    if any(len(scope.actions) > _MOST_ACTIONS for scope in scopes):
        raise _BadRequest(f"More than {_MOST_ACTIONS} different actions are asked for in one scope.")
    return tuple(scopes)


def _single(fields: Mapping[str, list[str]], key: str) -> str:
    values = fields.get(key, [])
    if len(values) != 1:
        raise _BadRequest(f"The form must have one field {key}.")
    return values[0]


def _unauthorized(parts: Parts, message: str) -> web.Response:
    realm = parts.settings.config.registry.name.replace("\\", "").replace('"', "")
    return answers.error(
        401, message, headers={"WWW-Authenticate": f'Basic realm="{realm}"'}, extra=_oauth("invalid_grant", message)
    )


def _oauth(code: str, message: str) -> dict[str, str]:
    return {"error": code, "error_description": message}
