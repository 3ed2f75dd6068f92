"""Notifications: events go through a filter per endpoint into the outbox, and from there to the endpoints."""

import asyncio
import socket
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from registry_service.config import Endpoint
from registry_service.notifications.delivery import Delivering
from registry_service.notifications.events import Action, Event, Origin, Target, envelope
from registry_service.notifications.queue import NewDelivery, Outbox

__all__ = ["Action", "Notifier", "Origin", "Target"]


class Notifier:
    """The face of notifications to the API: say what happened; the rest is its work."""

    def __init__(self, endpoints: Sequence[Endpoint], outbox_path: Path | None, address: str) -> None:
        """Raise ConfigError when the token file of an endpoint cannot be read."""
        self._outbox = Outbox(outbox_path)
        self._endpoints = [Delivering(one, self._outbox) for one in endpoints if not one.disabled]
        self._source_address = f"{socket.gethostname()}:{address.rpartition(':')[2]}"
        self._instance_id = str(uuid.uuid4())
        self.ring: Callable[[], None] = self.wake
        """Called when there is something to deliver: by this process, unless another one is to be told."""

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Record and deliver while inside: what a single process does."""
        async with self.recording(), self.delivering():
            yield

    @asynccontextmanager
    async def recording(self) -> AsyncGenerator[None, None]:
        """Take events while inside; raises OSError or sqlite3.Error when they cannot be kept."""
        if not self._endpoints:
            yield
            return
        await self._outbox.open()
        try:
            yield
        finally:
            await self._outbox.close()

    @asynccontextmanager
    async def delivering(self) -> AsyncGenerator[None, None]:
        """Deliver in the background while inside; what is not delivered at the end waits for the next start.

        To each endpoint one process delivers at a time, for the order's sake; others wait for their turn.
        """
        tasks = [asyncio.create_task(one.run(), name=f"deliver to {one.endpoint.name}") for one in self._endpoints]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def wake(self) -> None:
        """Look for events to deliver: another process has recorded some."""
        for one in self._endpoints:
            one.wake()

    def wants(self, action: Action, media_type: str) -> bool:
        """Tell whether any endpoint wants to be told of an action on content of a type."""
        return any(_wants(one.endpoint, action, media_type) for one in self._endpoints)

    async def notify(self, action: Action, targets: Sequence[Target], origin: Origin) -> None:
        """Record what happened for every endpoint that wants it; durable on return."""
        deliveries = []
        for target in targets:
            interested = [one for one in self._endpoints if _wants(one.endpoint, action, target.media_type)]
            if interested:
                event = self._event(action, target, origin)
                body = envelope(event)
                deliveries += [NewDelivery(one.endpoint.name, event.id, body) for one in interested]
        if deliveries:
            await self._outbox.add(deliveries)
            self.ring()

    def _event(self, action: Action, target: Target, origin: Origin) -> Event:
        return Event(
            id=str(uuid.uuid4()),
            timestamp=datetime.now().astimezone().isoformat(),
            action=action,
            target=target,
            origin=origin,
            source_address=self._source_address,
            instance_id=self._instance_id,
        )


def _wants(endpoint: Endpoint, action: Action, media_type: str) -> bool:
    ignored = {*endpoint.ignoredmediatypes, *endpoint.ignore.mediatypes}
    return action not in endpoint.ignore.actions and media_type not in ignored
