"""/api/auth: the token endpoint that docker, podman, containerd, helm and others log in to.

GET carries Basic credentials (Docker token specification); POST a form with grant_type password or refresh_token (its
OAuth 2 variant, tried first by containerd). In place of a password an access token is accepted. A client that asks for
it (offline_token=true, access_type=offline) gets a refresh token to keep instead of the password. GET without
credentials gets what the role `anonymous` allows, while that is enabled.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final

from aiohttp import web

from shared.tokens import InvalidScope, Scope, parse_scopes
from web_service.actors import Via
from web_service.authentication import LONGEST_NAME, Login
from web_service.errors import SignInFailed, TooManyFailures
from web_service.guests import Guest, joined, logged
from web_service.opaque import masked
from web_service.parts import Parts
from web_service.sightings import Sighting
from web_service.tokens import Issued, TokenIssuer
from web_service.views import answers
from web_service.views.credentials import basic_credentials
from web_service.views.forms import posted
from web_service.views.routing import PARTS, VISIT

SWITCHED_OFF: Final = "This server issues no tokens: authentication is switched off (registry.auth.enabled is false)."
"""Also said by the other endpoints about tokens."""

_LARGEST_FORM: Final = 64 * 1024
"""Bytes of a posted form: anybody may send one."""
_LONGEST_SCOPES: Final = 32 * 1024
"""Characters of all scopes together: _MOST_SCOPES with the longest names that a repository may have."""
_LONGEST_REMEMBERED: Final = 500
"""Characters of scopes that are read once: anybody may ask for any."""
_MOST_SCOPES: Final = 100
"""Different resources: a push asks for as many as it mounts from, and a token for 100 is too long for most servers."""
_MOST_ACTIONS: Final = 16
"""Different actions on one resource; there are half a dozen."""
_JSON: Final = {"Content-Type": "application/json; charset=utf-8"}
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
        guest = parts.guests.stranger(public, request[VISIT].client.address, scopes)
        return await _issue(request, parts.settings.issuer, guest, [], {})
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
        guest = parts.guests.known(login, visit.client.address, wish.scopes)
        more = await _tokens_to_keep(request, wish, login, guest)
    except TooManyFailures as problem:
        visit.facts["claimed"] = masked(wish.name)[:LONGEST_NAME]
        return answers.error(429, str(problem), headers={"Retry-After": str(problem.seconds)})
    except SignInFailed as problem:
        visit.facts |= {"claimed": masked(wish.name)[:LONGEST_NAME], "scope": logged(wish.scopes)}
        return _unauthorized(parts, str(problem))
    is_docker_login = not wish.scopes and not wish.refresh_token
    due = parts.doorkeeper.due(guest.come_in, again=is_docker_login)
    if more and wish.scopes and not wish.refresh_token:
        due = []  # the line of the refresh token says it already
    return await _issue(request, issuer, guest, due, more)


async def _tokens_to_keep(request: web.Request, wish: _Wish, login: Login, guest: Guest) -> dict[str, str]:
    """Return what a client keeps instead of the password, if it asks for it or has it already."""
    parts = request.app[PARTS]
    if wish.refresh_token:
        return {"refresh_token": wish.refresh_token}
    if not wish.offline or login.token is not None:
        return {}
    agent = wish.client or request.headers.get("User-Agent", "")
    make = partial(parts.refresh_tokens.create, login.user.id, agent, by=guest.by)
    return {"refresh_token": await parts.authenticator.keep(login, guest.by.address, Via.DOCKER, make)}


async def _sign_in(parts: Parts, wish: _Wish, address: str) -> Login:
    if not wish.refresh_token:
        return await parts.authenticator.sign_in_program(wish.name, wish.secret, address, Via.DOCKER)
    return await parts.authenticator.sign_in_again(wish.refresh_token, address)


async def _issue(
    request: web.Request, issuer: TokenIssuer, guest: Guest, due: list[Sighting], more: dict[str, str]
) -> web.Response:
    parts, facts, granted = request.app[PARTS], request[VISIT].facts, guest.granted
    due += parts.doorkeeper.due(guest.refused)
    if due:
        await parts.doorkeeper.write(due)
    issued = await issuer.issue(
        guest.by.name,
        granted.scopes,
        readable=granted.readable,
        unreadable=granted.unreadable,
        limited=guest.limited,
    )
    parts.asked.note(guest.asked)
    facts |= guest.facts
    facts["jti"] = issued.token_id
    if granted.reason:
        facts["reason"] = granted.reason
    if request.method == "POST":
        more = {"token_type": "Bearer", "scope": joined(granted.scopes), **more}
    return web.Response(body=_body(issued, more), headers=_JSON)


def _body(issued: Issued, more: Mapping[str, str]) -> bytes:
    """Return the answer: the token twice, as it stands, for it is long and holds nothing that JSON would escape."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(issued.issued_at))
    rest = f", {json.dumps(more)[1:]}" if more else "}"
    token = f'"token": "{issued.token}", "access_token": "{issued.token}"'
    return f'{{{token}, "expires_in": {issued.expires_in}, "issued_at": "{moment}"{rest}'.encode()


def _checked(parts: Parts, services: Sequence[str], scopes: Sequence[str]) -> tuple[Scope, ...]:
    expected = parts.settings.config.registry.name
    for service in services:
        if service not in ("", expected):
            raise _BadRequest(
                f"The service is {expected!r} here, not {service[:200]!r}: registry.name of the token server and "
                "auth.token.service of the registry must be equal."
            )
    length = sum(map(len, scopes))
    if length > _LONGEST_SCOPES:
        raise _BadRequest(f"The scopes have more than {_LONGEST_SCOPES} characters.")
    return _remembered(tuple(scopes)) if length <= _LONGEST_REMEMBERED else _parsed(scopes)


def _parsed(texts: Sequence[str]) -> tuple[Scope, ...]:
    try:
        scopes = parse_scopes(texts)
    except InvalidScope as error:
        raise _BadRequest(f"{error}.") from None
    if len(scopes) > _MOST_SCOPES:
        raise _BadRequest(f"More than {_MOST_SCOPES} different scopes are asked for.")
    if any(len(scope.actions) > _MOST_ACTIONS for scope in scopes):
        raise _BadRequest(f"More than {_MOST_ACTIONS} different actions are asked for in one scope.")
    return tuple(scopes)


_remembered: Final = lru_cache(maxsize=1024)(_parsed)


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
