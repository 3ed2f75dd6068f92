"""What the express lane remembers, within one bound: answers by what was asked, and the bytes in which it was asked."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final

from registry_service.api.questions import Key
from registry_service.storage.driver import Mark
from shared.logs import LineTemplate
from shared.tokens import Claims, Scope

Line = Callable[[str | None, str | None], LineTemplate]
"""Makes the line of an answer in the log, from the user and the program that asked."""
Asked = Key | bytes
"""A question; for an answer that is for these callers alone, the bytes of their request."""

_MOST_BYTES: Final = 16 << 20
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
        self.weight = 0

    def add_answer(self, asked: Asked, answer: Answer) -> None:
        """Remember an answer."""
        self._lose(self.answers.pop(asked, None))
        self.answers[asked] = answer
        self._gain(answer)

    def add_heard(self, raw: bytes, heard: Heard) -> None:
        """Remember a request whose answer is remembered."""
        self._lose(self.heard.pop(raw, None))
        self.heard[raw] = heard
        self._gain(heard)

    def forget(self, asked: Asked) -> None:
        """Forget an answer, or a request; where one is there for the other alone, both."""
        self._lose(self.answers.pop(asked, None))
        if isinstance(asked, bytes):
            self._lose(self.heard.pop(asked, None))

    def _gain(self, one: Answer | Heard) -> None:
        """Make room by what is oldest of that of which there is more, so that neither crowds out the other."""
        self.weight += one.weight
        while self.weight > _MOST_BYTES:
            self.forget(next(iter(self.answers if len(self.answers) > len(self.heard) else self.heard)))

    def _lose(self, one: Answer | Heard | None) -> None:
        if one is not None:
            self.weight -= one.weight
