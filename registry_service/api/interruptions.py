"""What breaks the body of a request off, and how long a client is waited for."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from registry_service.api.framing import BadFraming

IDLE_SECONDS: Final = 60.0
"""A body that brings nothing for so long is given up."""
WENT_AWAY: Final = "the client went away before the end of its body"


class Disconnected(Exception):
    """The client went away before its body was complete; `status` is what the answer is, or what the log says."""

    status = 499


class FellSilent(Disconnected):
    """The client is there, but sends nothing any more."""

    status = 408


class Malformed(Disconnected):
    """Where the body ends cannot be told."""

    status = 400


def broken_off(error: Exception) -> Disconnected:
    """Return what to raise for an error of the connection or of its framing."""
    kind = Malformed if isinstance(error, BadFraming) else Disconnected
    return kind(str(error) or type(error).__name__)


@asynccontextmanager
async def some_patience() -> AsyncGenerator[None, None]:
    """Give up on a client that sends nothing; raises FellSilent."""
    try:
        async with asyncio.timeout(IDLE_SECONDS):
            yield
    except TimeoutError as error:
        raise FellSilent(f"nothing came for {IDLE_SECONDS:g} seconds") from error
