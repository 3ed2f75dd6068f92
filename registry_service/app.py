"""The composition root: configuration in, a running registry out."""

import asyncio
import logging
import signal
import socket
import sqlite3
import ssl
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

from registry_service import layout
from registry_service.api import create_api
from registry_service.api.express import EXPRESS, Express
from registry_service.api.lane import ExpressConnection
from registry_service.api.requests import IN_FLIGHT, Parts
from registry_service.auth import TokenAuth
from registry_service.children import Link
from registry_service.config import Config
from registry_service.listening import BACKLOG, close, listen, reason_of, tls_context, url_of
from registry_service.notifications import Notifier
from registry_service.purging import purge_for_ever
from registry_service.receiving import BATCH_BYTES
from registry_service.referrers import Referrers
from registry_service.registry import Registry
from registry_service.storage import create_driver
from registry_service.storage.driver import Driver
from registry_service.summaries import Summaries
from registry_service.uploads import Uploads
from shared.config import ConfigError
from shared.draining import InFlight
from shared.logs import fields

log: Final = logging.getLogger("registry")

_LONGEST_HEADER_BYTES: Final = 64 << 10
"""Room for a token with a long list of scopes and a certificate chain."""
_THREADS: Final = 32
"""Threads mostly wait for the disk, so there are more of them than cores."""
BUNDLE_SECONDS: Final = 5.0
"""How often the files of the keys that prove tokens are looked at."""
_CLOSING_SECONDS: Final = 1.0
"""For what the framework still has to write once the requests in flight are done."""
_LINGER_STEP_SECONDS: Final = 0.01
_LINGER_SECONDS: Final = 0.5
"""How long idle connections stay at the end, for a request that is on its way already."""


def create_parts(config: Config) -> Parts:
    """Build what the API works with; raises ConfigError when a file or folder that it needs is not there."""
    auth = TokenAuth(config.auth.token) if config.auth.token is not None else None
    notifier = Notifier(config.notifications.endpoints, _outbox_path(config), config.http.addr)
    registry = Registry(_create_driver(config), config.validation)
    return Parts(config, registry, Uploads(registry.driver), Summaries(registry), Referrers(registry), notifier, auth)


async def serve(parts: Parts) -> None:
    """Serve in this process until SIGTERM or SIGINT, then finish the requests in flight.

    Raises ConfigError when it cannot listen.
    """
    with _listening_to_signals() as stop:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _explain_one_process)
        warn_of_open_doors(parts.config)
        async with running(parts) as address:
            log.info("registry ready", extra=fields(address=address))
            await stop.wait()
            log.info("registry stopping", extra=fields(draintimeout=parts.config.http.draintimeout))
        log.info("registry stopped")


async def work(parts: Parts, sockets: Sequence[socket.socket], link: Link) -> None:
    """Serve as one of several workers until told to end; what is to be delivered is the keeper's."""
    with _listening_to_signals(link) as stop:
        parts.notifier.ring = link.ring
        async with _recording(parts), _answering(parts, sockets):
            link.ready()
            await stop.wait()


async def keep(parts: Parts, link: Link) -> None:
    """Do the background work of several workers until told to end."""

    def hear() -> None:
        link.heard()
        parts.notifier.wake()

    with _listening_to_signals(link) as stop:
        asyncio.get_running_loop().add_reader(link.bell, hear)
        async with _keeping(parts):
            link.ready()
            await stop.wait()


def warn_of_open_doors(config: Config) -> None:
    """Log that anybody may do anything, where that is so."""
    if config.auth.token is None:
        log.warning("auth is not configured: everybody who reaches this registry may push and delete")


@contextmanager
def _listening_to_signals(link: Link | None = None) -> Iterator[asyncio.Event]:
    """Give what is set when the process is to end: by a signal, or as its supervisor is gone."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_THREADS, "storage"))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if link is not None:
        loop.add_reader(link.lifeline, _until_gone(loop, link.lifeline, stop))
    try:
        yield stop
    finally:
        # A loop that closes would let Python complain of a signal that comes meanwhile.
        signal.set_wakeup_fd(-1)


def _until_gone(loop: asyncio.AbstractEventLoop, lifeline: int, stop: asyncio.Event) -> Callable[[], None]:
    def gone() -> None:
        loop.remove_reader(lifeline)
        stop.set()

    return gone


def _explain_one_process() -> None:
    log.warning("SIGHUP exchanges the workers, and there are none: http.workers is 1; restart instead")


@asynccontextmanager
async def running(parts: Parts) -> AsyncGenerator[str, None]:
    """Listen and do the background work while inside; yields the URL that is listened on."""
    http = parts.config.http
    async with _keeping(parts):
        sockets = listen(http)
        try:
            async with _answering(parts, sockets):
                yield url_of(http, sockets)
        finally:
            close(sockets)


@asynccontextmanager
async def _answering(parts: Parts, sockets: Sequence[socket.socket]) -> AsyncGenerator[None, None]:
    """Answer the requests that come to listening sockets while inside, then those in flight."""
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
    context = tls_context(http)
    async with _following_the_bundle(parts):
        await runner.setup()
        try:
            servers = [await _accept(runner, api[EXPRESS], one, context) for one in sockets]
            yield
            for server in servers:
                server.close()
            api[EXPRESS].closed = True
            await _drain(runner, api[IN_FLIGHT], http.draintimeout)
        finally:
            await runner.cleanup()
            await parts.registry.driver.close()


async def _accept(
    runner: web.AppRunner, express: Express, listener: socket.socket, context: ssl.SSLContext | None
) -> asyncio.Server:
    """Take connections from a listening socket: one at a time, so that other workers get theirs of many at once."""
    manager = runner.server
    assert manager is not None  # noqa: S101 - it is there since the runner's setup

    def connection() -> ExpressConnection:
        options = manager._kwargs  # noqa: SLF001 - what the runner was given for its connections
        return ExpressConnection(manager, express, loop=asyncio.get_running_loop(), **options)

    server = await asyncio.get_running_loop().create_server(connection, sock=listener, ssl=context, backlog=1)
    listener.listen(BACKLOG)
    return server


@asynccontextmanager
async def _keeping(parts: Parts) -> AsyncGenerator[None, None]:
    """Deliver events and purge uploads while inside."""
    async with _recording(parts), parts.notifier.delivering(), _purging(parts):
        yield


@asynccontextmanager
async def _recording(parts: Parts) -> AsyncGenerator[None, None]:
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(parts.notifier.recording())
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
    """Take over changed files of keys; what cannot be read leaves the keys before in force."""
    trouble = ""
    while True:
        await asyncio.sleep(BUNDLE_SECONDS)
        try:
            if await asyncio.to_thread(auth.reload):
                log.info("the keys of the token server have changed and are in force")
            trouble = ""
        except ConfigError as error:
            if str(error) != trouble:
                log.error("the keys of the token server have changed and cannot be used", extra=fields(reason=error))  # noqa: TRY400
            trouble = str(error)


async def _drain(runner: web.AppRunner, in_flight: InFlight, seconds: float) -> None:
    """Let the requests in flight come to their end.

    Whoever has a connection open may be sending a request at this moment: it gets its answer, and with it the advice
    to close.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    left = await in_flight.drain(seconds)
    while not left and runner.server is not None and runner.server.connections:
        if loop.time() - began > min(_LINGER_SECONDS, seconds):
            break
        await asyncio.sleep(_LINGER_STEP_SECONDS)
    left = await in_flight.drain(max(0.0, began + seconds - loop.time()))
    if left:
        log.warning("requests cut off at the end of http.draintimeout", extra=fields(requests=left))


def _create_driver(config: Config) -> Driver:
    try:
        return create_driver(config.storage)
    except OSError as error:
        folder = config.storage.filesystem.rootdirectory if config.storage.filesystem else ""
        raise ConfigError(f"storage.filesystem.rootdirectory: cannot write to {folder}: {reason_of(error)}") from error


def _outbox_path(config: Config) -> Path | None:
    storage = config.storage.filesystem
    return storage.rootdirectory / layout.OUTBOX if storage is not None else None
