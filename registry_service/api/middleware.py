"""The frame around every handler: authorisation, the only writer of errors, the log line of a request."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from registry_service.api.bodies import leave_body
from registry_service.api.express import EXPRESS, NEEDED
from registry_service.api.headers import add_common
from registry_service.api.interruptions import Disconnected
from registry_service.api.lines import Asker, Told, line_for_all, log_request
from registry_service.api.remembered import Line
from registry_service.api.requests import (
    IDENTITY,
    IN_FLIGHT,
    PARTS,
    check_name,
    client_address,
    parts_of,
)
from registry_service.auth import Begun, Need, requirement
from registry_service.errors import Code, RegistryError
from registry_service.storage.driver import StorageFull
from shared.logs import fields

log: Final = logging.getLogger("registry")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CLIENT_CLOSED_REQUEST: Final = 499
_STARTED: Final = web.RequestKey("started", web.StreamResponse)


def authorized(need: Need, handler: Handler) -> Handler:
    """Return the handler behind the check that its route needs."""

    async def checked(request: web.Request) -> web.StreamResponse:
        auth = parts_of(request).auth
        if auth is not None and need is not Need.NOTHING:
            name = check_name(request.match_info["name"]) if "name" in request.match_info else ""
            source = check_name(request.query["from"]) if request.query.get("from") and name else ""
            header = request.headers.get("Authorization")
            resumes = "upload" in request.match_info and auth.has_expired(header)
            begun = await _begun(request, name) if resumes else None
            request[NEEDED] = needed = requirement(need, name, source)
            request[IDENTITY] = auth.authorize(header, needed, begun)
        return await handler(request)

    return checked


async def _begun(request: web.Request, name: str) -> Begun | None:
    """Return the upload that a request goes on with: it may outlive the token that began it."""
    began = await parts_of(request).uploads.began(name, request.match_info["upload"])
    return Begun(name, began.timestamp()) if began is not None else None


@web.middleware
async def frame(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every failure into an answer of the specification, and log one line."""
    began = time.perf_counter()
    client_address(request)  # looked up now, for it is gone with the connection
    try:
        with request.app[IN_FLIGHT].request():
            response = await _answer(request, handler)
    except asyncio.CancelledError:
        _log_access(request, CLIENT_CLOSED_REQUEST, None, began)
        raise
    except ConnectionError:
        _log_access(request, CLIENT_CLOSED_REQUEST, None, began)
        return _broken_off(request)
    finally:
        may_go_on = leave_body(request)
    if not may_go_on:
        response.force_close()
    _log_access(request, response.status, response.content_length, began)
    return response


def _broken_off(request: web.Request) -> web.StreamResponse:
    """Return what the framework takes for the end of a request whose client is gone."""
    if request.transport is not None:
        request.transport.abort()
    return request.get(_STARTED) or web.Response(status=CLIENT_CLOSED_REQUEST)


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except RegistryError as error:
        return error_response(error)
    except web.HTTPException as error:
        return error_response(_of_router(error))
    except Disconnected as error:
        log.info("body broken off", extra=fields(path=request.path, reason=str(error)))
        response = web.Response(status=error.status)
        response.force_close()
        return response
    except StorageFull:
        log.error("the storage is full", extra=fields(path=request.path))  # noqa: TRY400
        return error_response(RegistryError(Code.UNAVAILABLE, None, "the registry has no room left on its storage"))
    except sqlite3.Error as error:
        log.error("the outbox fails", extra=fields(error=error))  # noqa: TRY400
        return error_response(RegistryError(Code.UNAVAILABLE, None, "the registry cannot record its events"))
    except ConnectionError:
        raise
    except Exception as error:
        log.exception("request failed", extra=fields(method=request.method, path=request.path))
        if request.get(_STARTED):
            raise ConnectionResetError from error  # half an answer is out: a broken connection is its honest end
        return error_response(RegistryError(Code.UNKNOWN))


def error_response(error: RegistryError) -> web.Response:
    """Return the answer that tells a client of an error."""
    return web.Response(status=error.status, body=error.body(), headers=error.headers, content_type="application/json")


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Give every answer the headers that clients and the operator expect (signal `on_response_prepare`)."""
    request[_STARTED] = response
    if request.app[IN_FLIGHT].draining:
        response.force_close()
        response.headers["Connection"] = "close"  # the framework has decided about this header already
    add_common(response.headers, request.app[PARTS].config.http)
    express = request.app[EXPRESS]
    if isinstance(response, web.Response) and express.wants(request, response):
        line = _log_line(request, response)
        express.learn(request, response, line, None if line is None else line(*_asker(request)))


def _of_router(error: web.HTTPException) -> RegistryError:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return RegistryError(Code.UNSUPPORTED, None, f"use {allowed} here", headers={"Allow": allowed})
    return RegistryError(Code.NOT_FOUND, status=error.status)


def _log_access(request: web.Request, status: int, size: int | None, began: float) -> None:
    if request.app[PARTS].config.log.accesslog.disabled:
        return
    elapsed = round((time.perf_counter() - began) * 1000, 1)
    log_request(_told(request, status), size, elapsed, _asker(request), client_address(request))


def _log_line(request: web.Request, response: web.Response) -> Line | None:
    if request.app[PARTS].config.log.accesslog.disabled:
        return None
    return line_for_all(_told(request, response.status), response.content_length)


def _told(request: web.Request, status: int) -> Told:
    return request.method, request.rel_url.raw_path, status


def _asker(request: web.Request) -> Asker:
    identity = request.get(IDENTITY)
    return (identity.subject or None) if identity is not None else None, request.headers.get("User-Agent")
