"""The express lane: a request that came before gets the answer that it got, if that still holds.

Clients ask for the same manifests, small blobs and lists again and again. The long way through the framework is the
only one that refuses anything; what was answered is remembered here, with what the answer rests on: links, sizes and
folders in the storage (`Driver.mark`), and what a token must permit. It is found in two ways: by the bytes of the whole
request, token included, and by what these ask (`questions`), whoever asks it, by which program. Either way all of that
is looked at anew, and the answer leaves at once, without a task, a route, a request object. A link that moved, a token
that expired or an event to record sends the request the long way. What is not remembered, but asked plainly, has an
answer that is found anew (`answering`). All ways leave the same line in the log.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time

from registry_service.api.answering import Fresh
from registry_service.api.questions import Question, is_head_of, question_of
from registry_service.api.remembered import Answer, Asked, Heard, Line, Memory, Seen, head_around_date
from registry_service.api.requests import TRUSTED, client_address, connection_address
from registry_service.auth import TokenAuth
from registry_service.chains import TokenRefused
from registry_service.registry import Witness
from registry_service.storage.driver import Driver
from shared.logs import LineTemplate
from shared.tokens import Claims, Scope

NEEDED: Final = web.RequestKey[Sequence[Scope]]("needed")
"""What a token must permit for a request to pass; missing where none is looked at."""

_RESTS_ON: Final = web.RequestKey[tuple[Sequence[Witness], bool]]("rests on")
_MOST_BYTES: Final = 64 << 10
_STATUSES: Final = (200, 304)


def rests_on(request: web.Request, witnesses: Sequence[Witness] | None, *, for_all: bool) -> None:
    """Say that an answer depends on these alone, if there are any to tell, and on nothing that is to be recorded.

    `for_all` says that it is the same for everybody whom the route lets in, whatever else their tokens permit.
    """
    if witnesses is not None:
        request[_RESTS_ON] = (witnesses, for_all)


class Express:
    """The remembered answers of one process, and those that are found anew.

    `by_meaning` where the bytes of a request tell who makes it.
    """

    def __init__(
        self, driver: Driver, auth: TokenAuth | None, anew: Callable[[Question], Fresh | None], *, by_meaning: bool
    ) -> None:
        self._driver = driver
        self._auth = auth
        self._anew = anew
        self._by_meaning = by_meaning
        self._memory = Memory()
        self._asked, self._heard = Seen(), Seen()
        self._second = 0
        self._date = b""
        self.closed = False
        """Set when connections are to end: only the long way says so to clients."""

    def find(self, raw: bytes) -> tuple[Answer, LineTemplate | None] | None:
        """Return the answer to these bytes, and its line in the log, if everything that it rests on is as it was."""
        heard = self._memory.heard.get(raw)
        if heard is None or self.closed:
            return None
        answer = self._memory.answers.get(heard.asked)
        if answer is None or (heard.claims is not None and not self._is_proven(heard)):
            self._memory.forget(raw)
            return None
        return (answer, heard.log) if self._holds(heard.asked, answer) else None

    def read(self, raw: bytes) -> Question | None:
        """Return what a request asks, where that may be answered by its meaning."""
        return question_of(raw) if self._by_meaning and not self.closed else None

    def find_by_meaning(self, question: Question) -> tuple[Answer, Claims | None] | None:
        """Return the answer to a question, and the claims of who asks, as `find` does for bytes.

        Who may not ask it gets nothing here: the long way knows how to refuse.
        """
        answer = self._memory.answers.get(question.key)
        if answer is None:
            return None
        claims = None
        if self._auth is not None:
            claims = self._auth.permits(question.authorization, answer.needed)
            if claims is None:
                return None
        return (answer, claims) if self._holds(question.key, answer) else None

    def find_anew(self, question: Question) -> tuple[Answer, Claims | None] | None:
        """Return the answer to a question that is not remembered, likewise; when it comes again, it will be."""
        fresh = self._anew(question)
        if fresh is None:
            return None
        if fresh.witnesses is not None and self._asked.comes_again(question.key):
            self._keep(question.key, fresh.answer, fresh.witnesses)
        return fresh.answer, fresh.claims

    def hear(self, raw: bytes, question: Question, claims: Claims | None, log: LineTemplate | None) -> None:
        """Remember bytes, when they come again, whose answer is remembered."""
        if question.key in self._memory.answers and self._heard.comes_again(raw):
            heard = Heard(question.key, _token(question.authorization), claims, log, len(raw))
            self._memory.add_heard(raw, heard)

    def date(self) -> bytes:
        """Return the value of the Date header."""
        now = int(time.time())
        if now != self._second:
            self._second, self._date = now, rfc822_formatted_time().encode()
        return self._date

    def wants(self, request: web.Request, response: web.Response) -> bool:
        """Tell whether an answer, complete but for its sending, is one to remember: one that is given again."""
        raw = getattr(request.protocol, "raw", None)
        if raw is None or _RESTS_ON not in request or request.can_read_body:
            return False
        asked = self._asked_by(request)
        if response.status not in _STATUSES or not response.keep_alive or asked in self._memory.answers:
            return False
        # The line in the log names the other end of the connection, so that must be the client.
        is_direct = not request.app[TRUSTED] or client_address(request) == connection_address(request)
        return is_direct and self._asked.comes_again(asked)

    def learn(self, request: web.Request, response: web.Response, line: Line | None, log: LineTemplate | None) -> None:
        """Remember an answer that is wanted, if it holds; `log` is the line of this request, `line` makes others."""
        raw: bytes = request.protocol.raw  # type: ignore[attr-defined]
        witnesses, _ = request[_RESTS_ON]
        if not is_head_of(raw, request.method, request.raw_path, request.raw_headers):
            return  # connection and framework would disagree about where a request begins
        body = b"" if request.method == "HEAD" or response.body is None else response.body
        if not isinstance(body, bytes):
            return
        header, needed = request.headers.get("Authorization"), request.get(NEEDED, ())
        claims = self._auth.permits(header, needed) if self._auth is not None else None
        if claims is None and self._auth is not None:
            return
        before, after = head_around_date(response.status, response.headers.items())
        asked = self._asked_by(request)
        if self._keep(asked, Answer((), needed, before, after + body, line), witnesses):
            self._memory.add_heard(raw, Heard(asked, _token(header), claims, log, len(raw)))

    def _keep(self, asked: Asked, answer: Answer, witnesses: Sequence[Witness]) -> bool:
        """Remember an answer, if it holds and is not too large."""
        marks = [self._driver.mark(key, known) for key, known in witnesses]
        if any(mark is None for mark in marks) or len(answer.after) > _MOST_BYTES:
            return False
        held = tuple(mark for mark in marks if mark is not None)
        self._memory.add_answer(asked, replace(answer, marks=held))
        return True

    def _asked_by(self, request: web.Request) -> Asked:
        """Return by what an answer is to be found again: its question, or only the bytes of the request."""
        raw: bytes = request.protocol.raw  # type: ignore[attr-defined]
        question: Question | None = request.protocol.question  # type: ignore[attr-defined]
        _, is_for_all = request[_RESTS_ON]
        is_known_who_may = self._auth is None or NEEDED in request
        return question.key if question is not None and is_for_all and is_known_who_may else raw

    def _is_proven(self, heard: Heard) -> bool:
        assert self._auth is not None  # noqa: S101 - there are no claims without it
        try:
            return self._auth.verify(heard.token) is heard.claims
        except TokenRefused:
            return False

    def _holds(self, asked: Asked, answer: Answer) -> bool:
        """Tell whether the storage is as it was; what no longer holds is forgotten."""
        unchanged = self._driver.unchanged
        for mark in answer.marks:
            if not unchanged(mark):
                self._memory.forget(asked)
                return False
        return True


EXPRESS: Final = web.AppKey("express", Express)


def _token(header: str | None) -> str:
    """Return the token of an Authorization header that was good."""
    return (header or "").partition(" ")[2].strip()
