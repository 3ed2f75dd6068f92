"""A read of the database that all share who ask for it in the same round of the event loop."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from web_service.db import Database

R = TypeVar("R")


class SharedRead(Generic[R]):
    """What `function` reads, each time anew: no read begins before all have asked who get what it finds.

    Fifty clients that come at once cost one thread's turn, where fifty turns would cost more than all else. Who comes
    while a read is under way gets the next one.
    """

    def __init__(self, database: Database, function: Callable[[], R]) -> None:
        self._database = database
        self._function = function
        self._asking: list[asyncio.Future[R]] = []
        self._reads: set[asyncio.Task[None]] = set()

    def get(self) -> asyncio.Future[R]:
        """Return, to be awaited, what is there now; raises as `Database.read` does."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R] = loop.create_future()
        self._asking.append(answer)
        if len(self._asking) == 1:  # a task of its own, which begins with the next round: who asks may be cancelled
            read = loop.create_task(self._read())
            self._reads.add(read)
            read.add_done_callback(self._reads.discard)
        return answer

    async def _read(self) -> None:
        asking, self._asking = self._asking, []
        try:
            found = await self._database.read(self._function)
        except BaseException as error:
            for one in asking:
                if not one.done():
                    one.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            for one in asking:
                if not one.done():
                    one.set_result(found)
