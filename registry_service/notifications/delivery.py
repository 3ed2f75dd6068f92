"""Delivery of events to one endpoint: in order, one at a time, until it takes them.

2xx is taken. A refusal of the event itself (other 4xx) parks it; everything else, and 401, 403, 404, which blame the
configuration, is tried again: at once at first, and after `threshold` failures in a row every `backoff` seconds.
"""

import asyncio
import logging
import sqlite3
from contextlib import suppress
from http import HTTPStatus
from typing import Final

import aiohttp

from registry_service.config import Endpoint
from registry_service.notifications.events import ENVELOPE_TYPE
from registry_service.notifications.queue import Delivery, Outbox
from shared.config import ConfigError
from shared.logs import fields

log: Final = logging.getLogger("registry.notifications")

_FIRST_PAUSE_SECONDS: Final = 0.05
_LOOK_SECONDS: Final = 5.0
_RETRIED: Final = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)


class Delivering:
    """The delivery to one endpoint."""

    def __init__(self, endpoint: Endpoint, outbox: Outbox) -> None:
        self.endpoint = endpoint
        self._outbox = outbox
        self._headers = _headers(endpoint)
        self._news = asyncio.Event()
        self._failures = 0

    def wake(self) -> None:
        """Say that the outbox has something for this endpoint."""
        self._news.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        timeout = aiohttp.ClientTimeout(total=self.endpoint.timeout)
        async with (
            self._outbox.turn(self.endpoint.name),
            aiohttp.ClientSession(timeout=timeout, headers=self._headers) as session,
        ):
            while True:
                self._news.clear()
                try:
                    delivery = await self._outbox.first(self.endpoint.name)
                    if delivery is None:
                        await self._wait_for_news()
                    elif not await self._deliver(session, delivery):
                        await asyncio.sleep(self._pause())
                except sqlite3.Error as error:
                    log.error("the outbox fails", extra=fields(error=error))  # noqa: TRY400
                    await asyncio.sleep(self.endpoint.backoff)
                except Exception:
                    # Whatever it was, the endpoint's other events must not wait for the next start.
                    log.exception("a delivery failed", extra=fields(endpoint=self.endpoint.name))
                    await asyncio.sleep(self.endpoint.backoff)

    async def _wait_for_news(self) -> None:
        """Wait until something is said to be there, but not for ever: a replica may have recorded it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._news.wait()

    async def _deliver(self, session: aiohttp.ClientSession, delivery: Delivery) -> bool:
        """Try once; return whether the delivery is dealt with."""
        try:
            async with session.post(self.endpoint.url, data=delivery.body, allow_redirects=False) as response:
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._failed(str(error) or type(error).__name__)
            return False
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            await self._outbox.done(delivery)
            self._succeeded()
            return True
        refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
        if refused and status not in _RETRIED:
            await self._outbox.park(delivery, f"status {status}")
            log.warning(
                "an endpoint refuses an event, which is set aside",
                extra=fields(endpoint=self.endpoint.name, event=delivery.event_id, status=status),
            )
            return True
        self._failed(f"status {status}")
        return False

    def _failed(self, reason: str) -> None:
        """Count a failure, and log the first and the one that starts the waiting, not each of thousands."""
        self._failures += 1
        if self._failures in (1, self.endpoint.threshold):
            log.warning(
                "an endpoint does not take events, which wait",
                extra=fields(
                    endpoint=self.endpoint.name, url=self.endpoint.url, reason=reason, failures=self._failures
                ),
            )

    def _succeeded(self) -> None:
        if self._failures:
            log.info("an endpoint takes events again", extra=fields(endpoint=self.endpoint.name))
        self._failures = 0

    def _pause(self) -> float:
        if self._failures >= self.endpoint.threshold:
            return self.endpoint.backoff
        return float(min(self.endpoint.backoff, _FIRST_PAUSE_SECONDS * 2 ** min(self._failures, 10)))


def _headers(endpoint: Endpoint) -> list[tuple[str, str]]:
    headers = [("Content-Type", ENVELOPE_TYPE)]
    headers += [(name, value) for name, values in endpoint.headers.items() for value in values]
    if endpoint.tokenfile is not None:
        headers.append(("Authorization", f"Bearer {_read_token(endpoint)}"))
    return headers


def _read_token(endpoint: Endpoint) -> str:
    where = f"{endpoint.tokenfile}: notifications.endpoints ({endpoint.name}): tokenfile"
    assert endpoint.tokenfile is not None  # noqa: S101
    try:
        token = endpoint.tokenfile.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ConfigError(f"{where}: cannot be read: {error.strerror}; scripts/generate-keys makes it") from None
    except UnicodeDecodeError:
        token = ""
    if not token or not token.isprintable():
        raise ConfigError(f"{where}: must hold one line of printable ASCII characters")
    return token
