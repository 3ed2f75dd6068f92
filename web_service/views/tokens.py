"""Access tokens, and clients that stay signed in: one's own, and for administrators everybody's.

A secret is shown once, in the answer to the form that made it: it gets neither into a cookie nor into an address.
"""

import logging

from aiohttp import web

from shared import logs
from web_service.access_tokens import AccessToken
from web_service.accounts import User
from web_service.errors import N_, NotFound, Problem
from web_service.views.account import account_page, signed_in
from web_service.views.page import form, redirect, render, translate
from web_service.views.routing import PARTS, VISIT
from web_service.views.token_form import TokenForm
from web_service.views.users import place_of, user_of, user_page

_log = logging.getLogger("web.tokens")


async def add_own_token(request: web.Request) -> web.StreamResponse:
    """Make a token for oneself and show its secret."""
    user, wanted = signed_in(request), TokenForm.of(await form(request))
    try:
        return await make_token(request, user, wanted, back="/account")
    except Problem as problem:
        return await account_page(request, problem, wanted)


async def add_robot_token(request: web.Request) -> web.StreamResponse:
    """Make a token for a robot and show its secret. People make their own."""
    robot, wanted = await user_of(request), TokenForm.of(await form(request))
    if not robot.robot:
        raise NotFound(N_("There is no such robot account."))
    try:
        return await make_token(request, robot, wanted, back=place_of(robot))
    except Problem as problem:
        return await user_page(request, problem, token_form=wanted)


async def revoke_own_token(request: web.Request) -> web.StreamResponse:
    """Revoke one's own token."""
    return await _revoke_token(request, signed_in(request), "/account")


async def revoke_own_client(request: web.Request) -> web.StreamResponse:
    """Let a client of one's own no longer be signed in."""
    return await _revoke_client(request, signed_in(request), "/account")


async def revoke_token(request: web.Request) -> web.StreamResponse:
    """Revoke a token of a user or a robot."""
    owner = await user_of(request)
    return await _revoke_token(request, owner, place_of(owner))


async def revoke_client(request: web.Request) -> web.StreamResponse:
    """Let a client of a user no longer be signed in."""
    owner = await user_of(request)
    return await _revoke_client(request, owner, place_of(owner))


async def make_token(request: web.Request, owner: User, wanted: TokenForm, *, back: str) -> web.Response:
    """Make a token and return the only page that ever shows its secret; raises Problem."""
    tokens = request.app[PARTS].access_tokens
    token, secret = await tokens.create(owner.id, wanted.draft(), by=request[VISIT].actor)
    _note(request, "access token made", owner, token=token.name)
    return await secret_page(request, owner, token, secret, back=back)


async def secret_page(request: web.Request, owner: User, token: AccessToken, secret: str, *, back: str) -> web.Response:
    """Return the page that shows a secret."""
    client = request[VISIT].client
    return await render(
        request,
        "secret.html",
        owner=owner,
        token=token,
        secret=secret,
        console=f"{client.scheme}://{client.host}",
        back=back,
        here=back,
        section=back.split("/")[1],
    )


async def _revoke_token(request: web.Request, owner: User, back: str) -> web.Response:
    token = await request.app[PARTS].access_tokens.revoke(owner.id, _number(request), by=request[VISIT].actor)
    _note(request, "access token revoked", owner, token=token.name)
    notice = translate(request, N_("The token %(name)s was revoked."), name=token.name)
    return redirect(request, f"{back}#tokens", notice)


async def _revoke_client(request: web.Request, owner: User, back: str) -> web.Response:
    await request.app[PARTS].refresh_tokens.revoke(owner.id, _number(request), by=request[VISIT].actor)
    _note(request, "refresh token revoked", owner)
    notice = translate(request, N_("The client has to sign in again, within minutes at the latest."))
    return redirect(request, f"{back}#clients", notice)


def _number(request: web.Request) -> int:
    return int(request.match_info["token"])


def _note(request: web.Request, what: str, owner: User, **more: object) -> None:
    _log.info(what, extra=logs.fields(subject=owner.name, by=request[VISIT].actor.name, **more))
