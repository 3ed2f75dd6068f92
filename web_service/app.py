"""The composition root: configuration -> parts -> application. Nothing else knows which parts there are."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from aiohttp import web

from shared import logs
from shared.config import ConfigError
from shared.draining import InFlight
from web_service.access_tokens import AccessTokens
from web_service.api import add_routes as add_api_routes
from web_service.asked import AskedFor
from web_service.audit import Audit
from web_service.authentication import Authenticator
from web_service.authority import FixedAuthority, TokenAuthority
from web_service.browsing import Browser
from web_service.config import (
    Config,
    certificate_path,
    database_place,
    listen_address,
    notification_token,
    trusted_networks,
)
from web_service.db import Database, check_driver
from web_service.doorkeeper import Doorkeeper
from web_service.errors import Unavailable
from web_service.events import Events
from web_service.groups import Groups
from web_service.guests import Guests
from web_service.keys import read_pair
from web_service.parts import Parts, Settings
from web_service.refresh_tokens import RefreshTokens
from web_service.registry_client import RegistryClient
from web_service.roles import Roles
from web_service.sessions import Sessions
from web_service.simulation import Simulation
from web_service.tag_lists import TagLists
from web_service.templates import environment, languages
from web_service.tokens import TokenIssuer
from web_service.users import FIRST_ADMIN, Users
from web_service.views import add_routes
from web_service.views.middleware import guard, observe
from web_service.views.routing import IN_FLIGHT, NEEDS, PARTS, TEMPLATES, Needs

_log = logging.getLogger("web")
_HERE: Final = Path(__file__).parent
_LARGEST_REQUEST: Final = 4 * 1024 * 1024
_PURGE_SECONDS: Final = 3600
_WRITE_DOWN_SECONDS: Final = 5
_PATIENCE_SECONDS: Final = 30.0
"""How long requests in flight may take to finish when the process is told to stop."""


def load_settings(config: Config) -> Settings:
    """Read the key files and everything else that can be wrong before anything is opened; raises ConfigError."""
    check_driver(database_place(config.database.url))
    auth = config.registry.auth
    issuer = None
    if auth.enabled:
        pair = read_pair(auth.key, certificate_path(auth))
        if pair.certificate is not None and pair.usable_certificate(datetime.now(UTC)) is None:
            _log.warning("the certificate has expired; tokens are signed without it, for registries that allow that")
        tokens = config.tokens
        issuer = TokenIssuer(
            pair,
            issuer=auth.issuer,
            audience=config.registry.name,
            lifetime=tokens.lifetime,
            naming=tokens.keyid,
        )
    return Settings(
        config,
        issuer,
        notification_token(config.notifications),
        trusted_networks(config.http),
        languages(),
        version("cangku"),
    )


def create_app(settings: Settings) -> web.Application:
    """Return the application; its parts are opened when it starts and closed when it stops."""
    app = web.Application(middlewares=[observe, guard], client_max_size=_LARGEST_REQUEST)

    app[IN_FLIGHT] = InFlight()

    async def parts_while_running(app: web.Application) -> AsyncIterator[None]:
        async with _open_parts(settings) as parts:
            app[PARTS] = parts
            yield

    app.cleanup_ctx.append(parts_while_running)
    app.cleanup_ctx.append(_purging)
    app.cleanup_ctx.append(_writing_down)
    for code, key in TEMPLATES.items():
        app[key] = environment(code)
    add_routes(app)
    add_api_routes(app)
    static = app.router.add_static("/static", _HERE / "static")
    app[NEEDS].update(dict.fromkeys(static, Needs.OPEN))
    return app


async def serve(app: web.Application, address: str, where: str) -> None:
    """Listen on `address` until the process is told to stop; raises ConfigError, after `where`, when it cannot."""
    stop = _stop_signal()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    try:
        await runner.setup()
        site = await _listen(runner, address, where)
        gc.collect()
        gc.freeze()  # what is there now stays: to look through it again and again would hold up requests
        _log.info("registry-web ready", extra=logs.fields(address=address, version=version("cangku")))
        await stop.wait()
        _log.info("registry-web stops; requests in flight are finished")
        await site.stop()
        left = await app[IN_FLIGHT].drain(_PATIENCE_SECONDS)
        if left:
            _log.warning("some requests were still unfinished and are given up", extra=logs.fields(requests=left))
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, address: str, where: str) -> web.TCPSite:
    site = web.TCPSite(runner, *listen_address(address))
    try:
        await site.start()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise ConfigError(f"{where}: cannot listen on {address}: {reason}") from None
    return site


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # where there are no signals, Ctrl-C ends the process
            loop.add_signal_handler(number, stop.set)
    return stop


@contextlib.asynccontextmanager
async def _open_parts(settings: Settings) -> AsyncIterator[Parts]:
    config, issuer = settings.config, settings.issuer
    async with contextlib.AsyncExitStack() as stack:
        database = Database(config.database.url)
        await database.open()
        stack.push_async_callback(database.close)
        users = Users(database)
        authority = TokenAuthority(issuer) if issuer else FixedAuthority(config.registry.basic_auth.value)
        client = RegistryClient(config.registry.url, authority)
        stack.push_async_callback(client.close)
        browser = Browser(client)
        access_tokens, asked = AccessTokens(database), AskedFor(database)
        refresh_tokens = RefreshTokens(database, config.tokens.refreshidle)
        audit = Audit(database)
        authenticator = Authenticator(users, access_tokens, refresh_tokens, audit)
        stack.push_async_callback(authenticator.close)
        if await users.seed(config.admin.password.value):
            _log.info("a new database was made", extra=logs.fields(first_user=FIRST_ADMIN))
        yield Parts(
            settings,
            database,
            users,
            Roles(database),
            Groups(database),
            access_tokens,
            refresh_tokens,
            audit,
            Doorkeeper(audit),
            Guests(),
            asked,
            Simulation(database, asked),
            Sessions(database, config.sessions.lifetime),
            Events(database),
            authenticator,
            browser,
            TagLists(client, browser),
        )


async def _purging(app: web.Application) -> AsyncIterator[None]:
    """Forget old events and sessions, at the start and then every hour."""
    task = asyncio.create_task(_purge(app[PARTS]))
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _purge(parts: Parts) -> None:
    config = parts.settings.config
    while True:
        try:
            removed = {
                "events": await parts.events.purge(config.events.retention),
                "sessions": await parts.sessions.purge(),
                "refresh_tokens": await parts.refresh_tokens.purge(),
                "audit": await parts.audit.purge(config.audit.retention),
                "requests": await parts.asked.purge(config.audit.requests),
            }
            if any(removed.values()):
                _log.info("old entries removed", extra=logs.fields(**{key: n for key, n in removed.items() if n}))
        except Unavailable as problem:
            _log.warning("old entries could not be removed: %s", problem)
        except Exception:  # noqa: BLE001 - the next hour may be better; the service itself goes on
            _log.exception("old entries could not be removed")
        await asyncio.sleep(_PURGE_SECONDS)


async def _writing_down(app: web.Application) -> AsyncIterator[None]:
    """Write what was asked for every few seconds, and at the end."""
    parts = app[PARTS]
    task = asyncio.create_task(_write_down(parts))
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    with contextlib.suppress(Unavailable):
        await parts.asked.flush()


async def _write_down(parts: Parts) -> None:
    while True:
        await asyncio.sleep(_WRITE_DOWN_SECONDS)
        try:
            await parts.asked.flush()
        except Unavailable:
            continue  # it waits on, and the log has the reason already
        except Exception:  # noqa: BLE001 - the service itself goes on
            _log.exception("what was asked for could not be written")
