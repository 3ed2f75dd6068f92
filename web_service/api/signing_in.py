"""Who calls: a name and password, or an access token, in the Authorization header. Cookies count for nothing here."""

from typing import Final

from aiohttp import web

from web_service.access_tokens import Api
from web_service.actors import Actor
from web_service.actors import Via as Way
from web_service.api.failures import DENIED, NOT_SIGNED_IN, Failed
from web_service.api.operations import Operation, Right, Via
from web_service.authentication import LONGEST_NAME, Login
from web_service.errors import SignInFailed, TooManyFailures
from web_service.opaque import Kind, kind_of, masked
from web_service.parts import Parts
from web_service.views.credentials import basic_credentials
from web_service.views.routing import PARTS, VISIT

_NEEDED: Final = "Sign in with Basic (a user name and a password or an access token) or with Bearer (an access token)."


async def sign_in(request: web.Request) -> Login:
    """Return who calls, and see that it gets into the audit trail; raises Failed with 401, or TooManyFailures."""
    parts, visit = request.app[PARTS], request[VISIT]
    name, secret = _credentials(parts, request)
    try:
        visit.login = login = await parts.authenticator.sign_in_program(name, secret, visit.client.address, Way.API)
    except TooManyFailures:
        visit.facts["claimed"] = masked(name)[:LONGEST_NAME]
        raise
    except SignInFailed as problem:
        visit.facts["claimed"] = masked(name)[:LONGEST_NAME]
        raise _unauthorized(parts, str(problem)) from None
    by = Actor(login.user.name, Way.API, visit.client.address, login.user.id)
    if due := parts.doorkeeper.signed_in(by, login):
        await parts.doorkeeper.write(due)
    return login


def check_rights(operation: Operation, login: Login) -> None:
    """See that an operation is for this account and this token; raises Failed with 403."""
    user, token = login.user, login.token
    if token is not None:
        if token.api.rank < (Api.READ if operation.reads else Api.WRITE).rank:
            raise Failed(DENIED, f"The access token {token.name} may not {_verb(operation)} by the API.")
        if operation.via is Via.PASSWORD:
            raise Failed(DENIED, "This needs the password: no access token may do it.")
        if token.limits and operation.via is not Via.LIMITED_TOKEN:
            raise Failed(DENIED, f"The access token {token.name} is limited to repositories and may not do this.")
    if operation.right is Right.ADMIN and not user.is_admin:
        raise Failed(DENIED, "Only administrators may do this.")
    if operation.right is Right.BROWSE and not user.may_browse:
        raise Failed(DENIED, "The account does not include the console (role UI_USER).")


def _verb(operation: Operation) -> str:
    return "read" if operation.reads else "change things"


def _credentials(parts: Parts, request: web.Request) -> tuple[str, str]:
    """Return name and secret; raises Failed for what cannot be any, so that no slow hash is computed for it."""
    headers = request.headers.getall("Authorization", [])
    scheme, _, value = headers[0].strip().partition(" ") if len(headers) == 1 else ("", "", "")
    if scheme.lower() == "bearer" and kind_of(value.strip()) in (Kind.PERSONAL, Kind.ROBOT):
        return "", value.strip()
    found = basic_credentials(headers[0]) if len(headers) == 1 else None
    if found is None:
        message = "The access token is none that was made here." if scheme.lower() == "bearer" else _NEEDED
        raise _unauthorized(parts, message)
    return found


def _unauthorized(parts: Parts, message: str) -> Failed:
    realm = parts.settings.config.registry.name.replace("\\", "").replace('"', "")
    challenges = [("WWW-Authenticate", f'{scheme} realm="{realm}"') for scheme in ("Basic", "Bearer")]
    return Failed(NOT_SIGNED_IN, message, headers=challenges)
