"""Requests in flight: counted, so that a service can end when the last of them has its answer.

The framework's own shutdown stops reading from every connection at once, which would cut off an upload in the middle.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class InFlight:
    """The number of requests that are being answered."""

    def __init__(self) -> None:
        self.count = 0
        self.draining = False
        self._none = asyncio.Event()
        self._none.set()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request while inside."""
        self.count += 1
        self._none.clear()
        try:
            yield
        finally:
            self.count -= 1
            if self.count == 0:
                self._none.set()

    async def drain(self, seconds: float) -> int:
        """Wait up to `seconds` for the requests in flight, and return how many are still there.

        From the start of it `draining` is true: answers then ask the client to close its connection.
        """
        self.draining = True
        try:
            async with asyncio.timeout(seconds):
                await self._none.wait()
        except TimeoutError:
            return self.count
        return 0
