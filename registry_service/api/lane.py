"""A connection with the express lane before it: what that can answer never reaches the framework."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from registry_service.api.connection import Connection
from registry_service.api.express import Express
from registry_service.api.questions import Question, agent_of, is_whole
from registry_service.api.remembered import Answer, Line
from registry_service.api.requests import address_of
from shared.logs import LineTemplate
from shared.tokens import Claims


class ExpressConnection(Connection):
    """See the module."""

    __slots__ = ("_asker", "_express", "_line", "_log", "_peer", "_template", "question", "raw")

    def __init__(self, manager: web.Server, express: Express, **options: Any) -> None:
        super().__init__(manager, **options)
        self._express = express
        self._peer = ""
        self._template: LineTemplate | None = None
        self._log: Callable[[], None]
        """Logs the line of `_template` for this connection: the next request is mostly as the last one was."""
        self._asker: tuple[Line, str | None, str | None] | None = None
        self._line: LineTemplate
        """The line of what `_asker` asked: likewise."""
        self.raw: bytes | None = None
        """The bytes of the request that is being answered, where they are known."""
        self.question: Question | None = None
        """What these bytes ask, where that is beyond doubt."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self._peer = address_of(peer[0], peer[1])

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        question, is_known = None, False
        if self.is_idle:
            found = self._express.find(data)
            if found is not None and self._send(*found):
                return
            question = self._express.read(data) if found is None else None
            if question is not None and self._answer(data, question):
                return
            is_known = question is not None or is_whole(data)
        self.raw, self.question = (data, question) if is_known else (None, None)
        super().data_received(data)

    def _answer(self, data: bytes, question: Question) -> bool:
        """Answer a question whose answer is known, or found at once."""
        found = self._express.find_by_meaning(question) or self._express.find_anew(question)
        if found is None:
            return False
        answer, claims = found
        log = None if answer.line is None else self._line_of(answer.line, claims, data)
        if not self._send(answer, log):
            return False
        self._express.hear(data, question, claims, log)
        return True

    def _line_of(self, line: Line, claims: Claims | None, data: bytes) -> LineTemplate:
        asker = (line, (claims.subject or None) if claims is not None else None, agent_of(data))
        if asker != self._asker:
            self._asker, self._line = asker, line(*asker[1:])
        return self._line

    def _send(self, answer: Answer, log: LineTemplate | None) -> bool:
        """Send an answer, unless the client is slow to read: that is waited for on the long way."""
        transport = self.transport
        if transport is None or transport.get_write_buffer_size():
            return False
        express = self._express
        transport.write(b"".join((answer.before, express.date(), answer.after)))
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if log is not None:
            if log is not self._template:
                self._template, self._log = log, log.addressed(self._peer)
            self._log()
        return True
