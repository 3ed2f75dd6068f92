"""A receiver of webhooks: a real server that records what it gets and answers as it is told."""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

PATH = "/api/notification"
ELSEWHERE = "/elsewhere"
"""Where an answer that redirects sends its reader."""
BREAKS_OFF = -1
"""A status that is none: the connection ends without an answer."""
NEVER = -2
"""A status that is none: there is no answer as long as the sink lives."""


@dataclass(frozen=True)
class Received:
    """One request that reached the sink, `at` seconds of the monotonic clock."""

    method: str
    path: str
    headers: CIMultiDict[str]
    body: bytes
    at: float

    @property
    def event(self) -> dict[str, Any]:
        """Return the only event of the envelope."""
        (event,) = json.loads(self.body)["events"]
        assert isinstance(event, dict)
        return event


class Sink:
    """Answers each request with the next of `statuses`, and with 200 when there is none left."""

    def __init__(self, *statuses: int) -> None:
        self.received: list[Received] = []
        self.statuses = deque(statuses)
        self.base = ""
        self._news = asyncio.Condition()
        self._closing = asyncio.Event()

    @property
    def url(self) -> str:
        return self.base + PATH

    @property
    def event_ids(self) -> list[str]:
        return [one.event["id"] for one in self.received]

    async def wait_for(self, count: int, seconds: float = 10) -> list[Received]:
        """Return what was received once it is `count` requests; fails when they do not come."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(lambda: len(self.received) >= count)
        return self.received

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Record a request and answer it."""
        status = self.statuses.popleft() if self.statuses else 200
        body = await request.read()
        received = Received(request.method, request.path, request.headers.copy(), body, time.monotonic())
        async with self._news:
            self.received.append(received)
            self._news.notify_all()
        if status == NEVER:
            await self._closing.wait()
        if status < 0:
            assert request.transport is not None
            request.transport.abort()
        headers = {"Location": ELSEWHERE} if 300 <= status < 400 else {}
        return web.Response(status=max(status, 200), headers=headers)

    def close(self) -> None:
        """Let those go that wait for an answer."""
        self._closing.set()


@asynccontextmanager
async def running_sink(*statuses: int, port: int = 0) -> AsyncIterator[Sink]:
    """Run a sink on a port of this machine, a free one unless it is given."""
    sink = Sink(*statuses)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", sink.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        sink.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield sink
    finally:
        sink.close()
        await runner.cleanup()
