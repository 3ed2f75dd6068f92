"""What the express lane remembers, within bounds: answers by what was asked, and the bytes in which it was asked."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from registry_service.api.questions import Key
from registry_service.storage.driver import Mark
from shared.logs import LineTemplate
from shared.tokens import Claims, Scope

Line = Callable[[str | None, str | None], LineTemplate]
"""Makes the line of an answer in the log, from the user and the program that asked."""
Asked = Key | bytes
"""A question; for an answer that is for these callers alone, the bytes of their request."""

_MOST_ANSWER_BYTES: Final = 12 << 20
_MOST_HEARD_BYTES: Final = 4 << 20
"""Bytes with a token are many, and save little beside the question that they ask: no answer makes room for them."""
_MOST_SEEN: Final = 10_000
_OVERHEAD_BYTES: Final = 1 << 10
_MARK_BYTES: Final = 1 << 9


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What was answered: `before` and `after` the date; it rests on `marks`, and a token that permits `needed`."""

    marks: tuple[Mark, ...]
    needed: Sequence[Scope]
    before: bytes
    after: bytes
    line: Line | None

    @property
    def weight(self) -> int:
        """Return about how many bytes of memory it takes."""
        return _OVERHEAD_BYTES + len(self.marks) * _MARK_BYTES + len(self.before) + len(self.after)


def head_around_date(status: int, headers: Iterable[tuple[str, str]]) -> tuple[bytes, bytes]:
    """Return the head of an answer as it goes out, before its date and after it."""
    lines = [f"{name}: {value}" for name, value in headers if name != "Date"]
    start = "\r\n".join([f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *lines, "Date: "])
    return start.encode(), b"\r\n\r\n"


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What is known of the bytes of a request: what they ask, the token in them and what it proved, their line."""

    asked: Asked
    token: str
    claims: Claims | None
    log: LineTemplate | None
    size: int

    @property
    def weight(self) -> int:
        """Return about how many bytes of memory it takes: the token is there twice."""
        return _OVERHEAD_BYTES + 2 * self.size


class Seen:
    """Which things came lately: at least the last `_MOST_SEEN` of them, and at most twice as many."""

    def __init__(self) -> None:
        self._lately: set[int] = set()
        self._before: set[int] = set()

    def comes_again(self, thing: Hashable) -> bool:
        """Tell whether a thing came before: what comes once is not worth remembering."""
        number = hash(thing)
        if number in self._lately:
            return True
        if len(self._lately) >= _MOST_SEEN:
            self._lately, self._before = set(), self._lately
        self._lately.add(number)
        return number in self._before


class Memory:
    """Answers, and requests by their bytes; these do not hold their answer, and are worth nothing without it."""

    def __init__(self) -> None:
        self.answers: OrderedDict[Asked, Answer] = OrderedDict()
        self.heard: OrderedDict[bytes, Heard] = OrderedDict()
        self._answer_weight = self._heard_weight = 0

    @property
    def weight(self) -> int:
        """Return about how many bytes of memory all takes."""
        return self._answer_weight + self._heard_weight

    def add_answer(self, asked: Asked, answer: Answer) -> None:
        """Remember an answer; the oldest make room."""
        self._forget_answer(asked)
        self.answers[asked] = answer
        self._answer_weight += answer.weight
        while self._answer_weight > _MOST_ANSWER_BYTES:
            self.forget(next(iter(self.answers)))

    def add_heard(self, raw: bytes, heard: Heard) -> None:
        """Remember a request whose answer is remembered; the oldest make room."""
        self._forget_heard(raw)
        self.heard[raw] = heard
        self._heard_weight += heard.weight
        while self._heard_weight > _MOST_HEARD_BYTES:
            self._forget_heard(next(iter(self.heard)))

    def forget(self, asked: Asked) -> None:
        """Forget an answer, or a request; where one is there for the other alone, both."""
        self._forget_answer(asked)
        if isinstance(asked, bytes):
            self._forget_heard(asked)

    def _forget_answer(self, asked: Asked) -> None:
        answer = self.answers.pop(asked, None)
        self._answer_weight -= 0 if answer is None else answer.weight

    def _forget_heard(self, raw: bytes) -> None:
        heard = self.heard.pop(raw, None)
        self._heard_weight -= 0 if heard is None else heard.weight
