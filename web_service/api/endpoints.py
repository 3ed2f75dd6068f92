"""From HTTP to a call of a handler and back: who calls, whether that is allowed, what was sent; errors become JSON."""

import asyncio
from typing import Final

from aiohttp import web
from pydantic import ValidationError

from shared.texts import clean
from web_service.api import failures
from web_service.api.failures import DENIED, INVALID, MALFORMED, NOT_FOUND, TOO_LARGE, WRONG_TYPE, Failed
from web_service.api.operations import Call, Operation, Right
from web_service.api.queries import Query
from web_service.api.signing_in import check_rights, sign_in
from web_service.authentication import Login
from web_service.documents import Detail, Document
from web_service.errors import Problem
from web_service.inputs import Input
from web_service.views.routing import PARTS, VISIT, Handler

_SWITCHED_OFF: Final = "There are no accounts here: authentication is switched off (registry.auth.enabled is false)."


_LARGEST_BODY: Final = 256 << 10
_PATIENCE_SECONDS: Final = 30


def endpoint(operation: Operation) -> Handler:
    """Return what answers the requests for an operation."""

    async def answer(request: web.Request) -> web.StreamResponse:
        request[VISIT].facts["operation"] = operation.id
        try:
            document = await _done(operation, request)
        except Failed as failed:
            return _failed(request, failed)
        except Problem as problem:
            return _failed(request, failures.of_problem(problem))
        if document is None:
            return web.Response(status=operation.status)
        body = document.model_dump_json(by_alias=True).encode()
        return web.Response(status=operation.status, body=body, content_type="application/json")

    return answer


def _failed(request: web.Request, failed: Failed) -> web.Response:
    if failed.status == DENIED:
        request[VISIT].refusal = failed.message
    return failures.answer(failed)


async def _done(operation: Operation, request: web.Request) -> Document | None:
    parts = request.app[PARTS]
    if not parts.settings.has_accounts:
        raise Failed(NOT_FOUND, _SWITCHED_OFF)
    raw = await _read(request) if operation.takes else b""  # all of it, before rights are looked at
    login = None if operation.right is Right.OPEN else await _admitted(operation, request)
    query = _query(operation.query or Query, request)
    body = _body(operation.takes, request, raw) if operation.takes else None
    return await operation.handler(Call(request, parts, login, query, body))


async def _admitted(operation: Operation, request: web.Request) -> Login:
    """Return who calls; raises Failed when that one may not."""
    visit, login = request[VISIT], await sign_in(request)
    visit.user, visit.as_admin = login.user, operation.right is Right.ADMIN
    if login.token is not None:
        visit.facts["token"] = login.token.name
    check_rights(operation, login)
    return login


def _query(kind: type[Query], request: web.Request) -> Query:
    twice = {name for name in request.query if len(request.query.getall(name)) > 1}
    if twice:
        detail = [Detail(field=clean(name)[:100], reason="It is given more than once.") for name in sorted(twice)]
        raise Failed(INVALID, "A parameter is given more than once.", detail)
    try:
        return kind.model_validate(dict(request.query))
    except ValidationError as error:
        raise failures.of_validation(error, kind, "parameter") from None


async def _read(request: web.Request) -> bytes:
    """Return the body, which must be small and must not dawdle: nobody has been asked yet who sends it."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            body = await request.content.read(_LARGEST_BODY + 1)
            while len(body) <= _LARGEST_BODY and (more := await request.content.read(_LARGEST_BODY + 1 - len(body))):
                body += more
    except TimeoutError:
        raise Failed(MALFORMED, f"The body did not arrive within {_PATIENCE_SECONDS} seconds.") from None
    except Exception as error:  # the framework has no one error for a broken body
        raise Failed(MALFORMED, "The body cannot be read.") from error
    if len(body) > _LARGEST_BODY:
        raise Failed(TOO_LARGE, f"A body has at most {_LARGEST_BODY >> 10} KiB.")
    return body


def _body(kind: type[Input], request: web.Request, raw: bytes) -> Input:
    if request.content_type != "application/json" or (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise Failed(WRONG_TYPE, "Send application/json, in UTF-8.")
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        raise failures.of_validation(error, kind) from None
