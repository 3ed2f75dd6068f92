"""/api/auth: the token endpoint that docker, podman, containerd, helm and others log in to.

GET carries Basic credentials (Docker token specification), POST a form with grant_type=password (its OAuth 2
variant, tried first by containerd). GET without credentials gets what the role `anonymous` allows, while that is
enabled. What is granted is what was asked for and is allowed; nothing is a valid grant.
"""

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from shared.tokens import CATALOG_SCOPE_NAME, LIST_ACTION, REPOSITORY, InvalidScope, Scope, parse_scopes
from web_service.access import Rule, decide, readable, unreadable
from web_service.authentication import LONGEST_NAME
from web_service.errors import SignInFailed, TooManyFailures
from web_service.parts import Parts
from web_service.tokens import Issued, TokenIssuer
from web_service.views import answers
from web_service.views.forms import posted
from web_service.views.routing import PARTS, VISIT

_SWITCHED_OFF: Final = "This server issues no tokens: authentication is switched off (registry.auth.enabled is false)."

_LONGEST_LOGGED: Final = 1000
"""Characters of scopes in a log line: anybody may ask for as many as a request holds."""


class _BadRequest(Exception):
    """The request makes no sense; the message says why."""


@dataclass(frozen=True, slots=True)
class _Wish:
    name: str
    password: str
    scopes: tuple[Scope, ...]


@dataclass(frozen=True, slots=True)
class _Asker:
    """Who asks, from where, and what counts for them; no `name` means that nobody has signed in."""

    name: str
    address: str
    rules: tuple[Rule, ...]
    is_admin: bool = False


async def get_token(request: web.Request) -> web.StreamResponse:
    """Answer a request with Basic credentials, or without any."""
    parts = request.app[PARTS]
    if parts.settings.issuer is None:
        return answers.error(404, _SWITCHED_OFF)
    try:
        scopes = _checked(parts, request.query.getall("service", []), request.query.getall("scope", []))
    except _BadRequest as problem:
        return answers.error(400, str(problem))
    header = request.headers.get("Authorization")
    public = await parts.users.anonymous() if header is None else None
    if public is not None:
        asker = _Asker("", request[VISIT].client.address, public)
        request[VISIT].facts["scope"] = _logged(scopes)
        return await _issue(request, parts.settings.issuer, asker, scopes)
    credentials = _basic(header or "")
    if credentials is None:
        return _unauthorized(parts, "A user name and a password are needed.")
    return await _answer(request, parts.settings.issuer, _Wish(*credentials, scopes))


async def post_token(request: web.Request) -> web.StreamResponse:
    """Answer a form with grant_type=password; there are no refresh tokens."""
    parts = request.app[PARTS]
    if parts.settings.issuer is None:
        return answers.error(404, _SWITCHED_OFF)
    form = await posted(request)
    fields = {key: form.getall(key) for key in form}
    if fields.get("grant_type") != ["password"]:
        message = "Only grant_type=password is supported."
        return answers.error(400, message, extra=_oauth("unsupported_grant_type", message))
    try:
        scopes = _checked(parts, fields.get("service", []), fields.get("scope", []))
        name, password = _single(fields, "username"), _single(fields, "password")
    except _BadRequest as problem:
        return answers.error(400, str(problem), extra=_oauth("invalid_request", str(problem)))
    return await _answer(request, parts.settings.issuer, _Wish(name, password, scopes))


async def _answer(request: web.Request, issuer: TokenIssuer, wish: _Wish) -> web.Response:
    parts, visit = request.app[PARTS], request[VISIT]
    visit.facts["scope"] = _logged(wish.scopes)
    try:
        user = await parts.authenticator.authenticate(wish.name, wish.password, visit.client.address)
    except TooManyFailures as problem:
        visit.facts["claimed"] = wish.name[:LONGEST_NAME]
        return answers.error(429, str(problem), headers={"Retry-After": str(problem.seconds)})
    except SignInFailed as problem:
        visit.facts["claimed"] = wish.name[:LONGEST_NAME]
        return _unauthorized(parts, str(problem))
    asker = _Asker(user.name, visit.client.address, user.rules, user.is_admin)
    return await _issue(request, issuer, asker, wish.scopes)


async def _issue(request: web.Request, issuer: TokenIssuer, asker: _Asker, wanted: Sequence[Scope]) -> web.Response:
    visit = request[VISIT]
    granted = _granted(asker, wanted, visit.facts)
    more, less = _readable(asker, granted)
    issued = await issuer.issue(asker.name, granted, readable=more, unreadable=less)
    visit.facts |= {"user": asker.name, "granted": _logged(granted), "jti": issued.token_id}
    return web.json_response(_body(issued, granted, oauth=request.method == "POST"))


def _logged(scopes: Sequence[Scope]) -> str:
    return " ".join(map(str, scopes))[:_LONGEST_LOGGED]


def _granted(asker: _Asker, wanted: Sequence[Scope], facts: dict[str, object]) -> list[Scope]:
    granted: list[Scope] = []
    for scope in wanted:
        actions = _catalog_actions(asker, scope)
        if scope.type == REPOSITORY:
            decision = decide(asker.rules, scope.name, asker.address, scope.actions)
            actions, facts["reason"] = decision.granted, decision.reason
        if actions:
            granted.append(Scope(scope.type, scope.name, actions))
    return granted


def _readable(asker: _Asker, granted: Iterable[Scope]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what else may be pulled and what of it may not, where the registry has a use for it: mounting, listing."""
    useful = any("push" in scope.actions or LIST_ACTION in scope.actions for scope in granted)
    more = readable(asker.rules, asker.address) if useful else ()
    return more, unreadable(asker.rules, asker.address) if more else ()


def _catalog_actions(asker: _Asker, scope: Scope) -> tuple[str, ...]:
    """Return what may be done with the catalog: an administrator sees it whole, others what they may pull.

    An administrator to whom something is denied is one of the others.
    """
    if scope.type != "registry" or scope.name != CATALOG_SCOPE_NAME or "*" not in scope.actions:
        return ()
    return ("*",) if asker.is_admin and not unreadable(asker.rules, asker.address) else (LIST_ACTION,)


def _body(issued: Issued, granted: Sequence[Scope], *, oauth: bool) -> dict[str, Any]:
    moment = datetime.fromtimestamp(issued.issued_at, UTC)
    body: dict[str, Any] = {
        "token": issued.token,
        "access_token": issued.token,
        "expires_in": issued.expires_in,
        "issued_at": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if oauth:
        body |= {"token_type": "Bearer", "scope": " ".join(map(str, granted))}
    return body


def _checked(parts: Parts, services: Sequence[str], scopes: Sequence[str]) -> tuple[Scope, ...]:
    expected = parts.settings.config.registry.name
    for service in services:
        if service not in ("", expected):
            raise _BadRequest(
                f"The service is {expected!r} here, not {service[:200]!r}: registry.name of the token server and "
                "auth.token.service of the registry must be equal."
            )
    try:
        return tuple(parse_scopes(scopes))
    except InvalidScope as error:
        raise _BadRequest(f"{error}.") from None


def _basic(header: str) -> tuple[str, str] | None:
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        raw = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    name, colon, password = text.partition(":")
    return (name, password) if colon else None


def _single(fields: dict[str, list[str]], key: str) -> str:
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
