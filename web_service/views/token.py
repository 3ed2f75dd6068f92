"""/api/auth: the token endpoint that docker, podman, containerd, helm and others log in to.

GET carries Basic credentials (Docker token specification), POST a form with grant_type=password (its OAuth 2
variant, tried first by containerd). What is granted is what was asked for and is allowed; nothing is a valid grant.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from shared.tokens import CATALOG_SCOPE_NAME, LIST_ACTION, REPOSITORY, InvalidScope, Scope, parse_scopes
from web_service.access import decide, readable
from web_service.errors import SignInFailed, TooManyFailures
from web_service.parts import Parts
from web_service.tokens import Issued, TokenIssuer
from web_service.users import User
from web_service.views import answers
from web_service.views.routing import PARTS, VISIT

_SWITCHED_OFF: Final = "This server issues no tokens: authentication is switched off (registry.auth.enabled is false)."


class _BadRequest(Exception):
    """The request makes no sense; the message says why."""


@dataclass(frozen=True, slots=True)
class _Wish:
    name: str
    password: str
    scopes: tuple[Scope, ...]


async def get_token(request: web.Request) -> web.StreamResponse:
    """Answer a request with Basic credentials."""
    parts = request.app[PARTS]
    if parts.settings.issuer is None:
        return answers.error(404, _SWITCHED_OFF)
    try:
        scopes = _checked(parts, request.query.getall("service", []), request.query.getall("scope", []))
    except _BadRequest as problem:
        return answers.error(400, str(problem))
    credentials = _basic(request.headers.get("Authorization", ""))
    if credentials is None:
        return _unauthorized(parts, "A user name and a password are needed.")
    return await _answer(request, parts.settings.issuer, _Wish(*credentials, scopes))


async def post_token(request: web.Request) -> web.StreamResponse:
    """Answer a form with grant_type=password; there are no refresh tokens."""
    parts = request.app[PARTS]
    if parts.settings.issuer is None:
        return answers.error(404, _SWITCHED_OFF)
    form = await request.post()
    fields = {key: [value for value in form.getall(key) if isinstance(value, str)] for key in form}
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
    visit.facts["scope"] = " ".join(map(str, wish.scopes))
    try:
        user = await parts.authenticator.authenticate(wish.name, wish.password, visit.client.address)
    except TooManyFailures as problem:
        visit.facts["claimed"] = wish.name
        return answers.error(429, str(problem), headers={"Retry-After": str(problem.seconds)})
    except SignInFailed as problem:
        visit.facts["claimed"] = wish.name
        return _unauthorized(parts, str(problem))
    granted = _granted(user, visit.client.address, wish.scopes, visit.facts)
    issued = await issuer.issue(user.name, granted, readable=_readable(user, visit.client.address, granted))
    visit.facts |= {"user": user.name, "granted": " ".join(map(str, granted)), "jti": issued.token_id}
    return web.json_response(_body(issued, granted, oauth=request.method == "POST"))


def _granted(user: User, address: str, wanted: Sequence[Scope], facts: dict[str, object]) -> list[Scope]:
    granted: list[Scope] = []
    for scope in wanted:
        actions = _catalog_actions(user, scope)
        if scope.type == REPOSITORY:
            decision = decide(user.rules, scope.name, address, scope.actions)
            actions, facts["reason"] = decision.granted, decision.reason
        if actions:
            granted.append(Scope(scope.type, scope.name, actions))
    return granted


def _readable(user: User, address: str, granted: Sequence[Scope]) -> tuple[str, ...]:
    """Return what else the user may pull, where the registry has a use for it: mounting blobs, listing names."""
    useful = any("push" in scope.actions or LIST_ACTION in scope.actions for scope in granted)
    return readable(user.rules, address) if useful else ()


def _catalog_actions(user: User, scope: Scope) -> tuple[str, ...]:
    """Return what a user may do with the catalog: an administrator sees it whole, others what they may pull."""
    if scope.type != "registry" or scope.name != CATALOG_SCOPE_NAME or "*" not in scope.actions:
        return ()
    return ("*",) if user.is_admin else (LIST_ACTION,)


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
