"""The composition root: configuration in, a running registry out."""

import asyncio
import logging
import signal
import sqlite3
import ssl
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

from registry_service import layout
from registry_service.api import create_api
from registry_service.api.requests import IN_FLIGHT, Parts
from registry_service.auth import TokenAuth
from registry_service.config import HTTP, TLS, Config, split_address
from registry_service.notifications import Notifier
from registry_service.purging import purge_for_ever
from registry_service.registry import Registry
from registry_service.storage import create_driver
from registry_service.storage.driver import Driver
from registry_service.summaries import Summaries
from registry_service.uploads import BATCH_BYTES, Uploads
from shared.config import ConfigError
from shared.draining import InFlight
from shared.logs import fields

log: Final = logging.getLogger("registry")

_LONGEST_HEADER_BYTES: Final = 64 << 10
"""Room for a token with a long list of scopes and a certificate chain."""
_THREADS: Final = 32
"""Threads mostly wait for the disk, so there are more of them than cores."""
BUNDLE_SECONDS: Final = 5.0
"""How often the certificate bundle is looked at."""
_CLOSING_SECONDS: Final = 1.0
"""For what the framework still has to write once the requests in flight are done."""
_MINIMUM_TLS: Final = {"tls1.2": ssl.TLSVersion.TLSv1_2, "tls1.3": ssl.TLSVersion.TLSv1_3}


def create_parts(config: Config) -> Parts:
    """Build what the API works with; raises ConfigError when a file or folder that it needs is not there."""
    auth = TokenAuth(config.auth.token) if config.auth.token is not None else None
    notifier = Notifier(config.notifications.endpoints, _outbox_path(config), config.http.addr)
    registry = Registry(_create_driver(config), config.validation)
    return Parts(config, registry, Uploads(registry), Summaries(registry), notifier, auth)


async def serve(parts: Parts) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests in flight; raises ConfigError when it cannot listen."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_THREADS, "storage"))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if parts.auth is None:
        log.warning("auth is not configured: everybody who reaches this registry may push and delete")
    async with running(parts) as address:
        log.info("registry ready", extra=fields(address=address))
        await stop.wait()
        log.info("registry stopping", extra=fields(draintimeout=parts.config.http.draintimeout))
    log.info("registry stopped")


@asynccontextmanager
async def running(parts: Parts) -> AsyncGenerator[str, None]:
    """Listen and do the background work while inside; yields the URL that is listened on."""
    http = parts.config.http
    api = create_api(parts)
    runner = web.AppRunner(
        api,
        access_log=None,
        auto_decompress=False,
        max_field_size=_LONGEST_HEADER_BYTES,
        max_line_size=_LONGEST_HEADER_BYTES,
        read_bufsize=BATCH_BYTES,
        shutdown_timeout=_CLOSING_SECONDS,
    )
    async with _notifying(parts), _purging(parts), _following_the_bundle(parts):
        await runner.setup()
        try:
            yield await _listen(runner, http)
            await _drain(runner, api[IN_FLIGHT], http.draintimeout)
        finally:
            await runner.cleanup()
            await parts.registry.driver.close()


@asynccontextmanager
async def _notifying(parts: Parts) -> AsyncGenerator[None, None]:
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(parts.notifier.running())
        except (OSError, sqlite3.Error) as error:
            path = _outbox_path(parts.config)
            raise ConfigError(f"notifications: the events waiting in {path} cannot be opened: {error}") from error
        yield


@asynccontextmanager
async def _purging(parts: Parts) -> AsyncGenerator[None, None]:
    maintenance = parts.config.storage.maintenance
    if not maintenance.uploadpurging.enabled or maintenance.readonly.enabled:
        yield
        return
    task = asyncio.create_task(purge_for_ever(parts.registry.driver, maintenance.uploadpurging))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def _following_the_bundle(parts: Parts) -> AsyncGenerator[None, None]:
    if parts.auth is None:
        yield
        return
    task = asyncio.create_task(_follow_the_bundle(parts.auth))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _follow_the_bundle(auth: TokenAuth) -> None:
    """Take over a changed certificate bundle; one that cannot be read leaves the one before in force."""
    trouble = ""
    while True:
        await asyncio.sleep(BUNDLE_SECONDS)
        try:
            if await asyncio.to_thread(auth.reload):
                log.info("the certificate bundle has changed and is in force")
            trouble = ""
        except ConfigError as error:
            if str(error) != trouble:
                log.error("the certificate bundle has changed and cannot be used", extra=fields(reason=error))  # noqa: TRY400
            trouble = str(error)


async def _drain(runner: web.AppRunner, in_flight: InFlight, seconds: float) -> None:
    """Take no new connections, and let the requests in flight come to their end."""
    for site in list(runner.sites):
        await site.stop()
    left = await in_flight.drain(seconds)
    if left:
        log.warning("requests cut off at the end of http.draintimeout", extra=fields(requests=left))


async def _listen(runner: web.AppRunner, http: HTTP) -> str:
    host, port = split_address(http.addr)
    context = _tls_context(http.tls) if http.tls is not None and http.tls.certificate is not None else None
    site = web.TCPSite(runner, host, port, ssl_context=context, backlog=1024)
    try:
        await site.start()
    except OSError as error:
        raise ConfigError(f"http.addr: cannot listen on {http.addr}: {_reason(error)}") from error
    bound = runner.addresses[0][1]
    return f"{'https' if context else 'http'}://{host or '0.0.0.0'}:{bound}"  # noqa: S104


def _tls_context(tls: TLS) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = _MINIMUM_TLS[tls.minimumtls]
    assert tls.certificate is not None  # noqa: S101 - what makes the caller ask
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except ssl.SSLError as error:
        raise ConfigError(
            f"http.tls: {tls.certificate} and {tls.key} are not a certificate and its key: {error.reason}"
        ) from error
    except OSError as error:
        raise ConfigError(f"http.tls: {tls.certificate} or {tls.key} cannot be read: {error.strerror}") from error
    return context


def _create_driver(config: Config) -> Driver:
    try:
        return create_driver(config.storage)
    except OSError as error:
        folder = config.storage.filesystem.rootdirectory if config.storage.filesystem else ""
        raise ConfigError(f"storage.filesystem.rootdirectory: cannot write to {folder}: {_reason(error)}") from error


def _outbox_path(config: Config) -> Path | None:
    storage = config.storage.filesystem
    return storage.rootdirectory / layout.OUTBOX if storage is not None else None


def _reason(error: OSError) -> str:
    """Return what the system says, without the address that asyncio repeats in it."""
    return (error.strerror or str(error)).rpartition(": ")[2]
