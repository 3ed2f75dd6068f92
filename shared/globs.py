r"""Globs over repository names and addresses, with the meaning they have in Java's `glob:` path matcher. No I/O.

`*` any run of characters but `/`; `**` any run; `?` one character but `/`; `[abc]`, `[a-z]`, `[!a]` one character,
never `/`; `{one,two}` either (may hold wildcards, not another group); `\` takes the next character as it is.

A pattern becomes a small automaton that reads a value once, from left to right: however many wildcards a pattern
has, no value can make it slow. Source: the javadoc of `FileSystem.getPathMatcher`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

MAX_LENGTH: Final = 255
_MOST_REMEMBERED: Final = 4096

_Test = Callable[[str], bool]


class InvalidGlob(ValueError):
    """The text is not a glob; `message % values` goes on after "it": it has an empty character class."""

    def __init__(self, message: str, **values: object) -> None:
        super().__init__(message % values if values else message)
        self.message = message
        self.values = values


@lru_cache(maxsize=1024)
def compile_glob(pattern: str) -> "Glob":
    """Read a pattern; raises InvalidGlob."""
    if len(pattern) > MAX_LENGTH:
        raise InvalidGlob("has more than %(most)d characters", most=MAX_LENGTH)
    return Glob(_Reader(pattern).read())


@dataclass(slots=True)
class _State:
    """Where the automaton can stand: one way on that takes a character, and ways that take none."""

    test: _Test | None = None
    target: int = 0
    free: list[int] = field(default_factory=list)


class Glob:
    """A compiled pattern; the last state is the one that accepts."""

    def __init__(self, states: list[_State]) -> None:
        self._states = states
        self._steps: dict[tuple[frozenset[int], str], frozenset[int]] = {}
        self._start = self._closure([0])

    def matches(self, value: str) -> bool:
        """Return whether the whole value matches."""
        standing = self._start
        for character in value:
            standing = self._step(standing, character)
            if not standing:
                return False
        return len(self._states) - 1 in standing

    def _step(self, standing: frozenset[int], character: str) -> frozenset[int]:
        key = (standing, character)
        known = self._steps.get(key)
        if known is None:
            if len(self._steps) >= _MOST_REMEMBERED:
                self._steps.clear()
            moves = (state for state in (self._states[i] for i in standing) if state.test and state.test(character))
            known = self._steps[key] = self._closure(state.target for state in moves)
        return known

    def _closure(self, start: "Iterator[int] | list[int]") -> frozenset[int]:
        waiting, reached = list(start), set[int]()
        while waiting:
            number = waiting.pop()
            if number not in reached:
                reached.add(number)
                waiting.extend(self._states[number].free)
        return frozenset(reached)


class _Reader:
    """Turns a pattern into states, one element after the other; each element starts where the last one ended."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.states = [_State()]
        self.group_start: int | None = None
        self.branch_ends: list[int] = []

    def read(self) -> list[_State]:
        while self.at < len(self.pattern):
            self._element(self._next())
        if self.group_start is not None:
            raise InvalidGlob("lacks the '}' of a group")
        return self.states

    def _next(self) -> str:
        character = self.pattern[self.at]
        self.at += 1
        return character

    def _peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _element(self, character: str) -> None:
        in_group = self.group_start is not None
        if character == "*":
            self._star()
        elif character == "?":
            self._one(_not_slash)
        elif character == "[":
            self._one(self._bracket())
        elif character == "\\":
            if not self._peek():
                raise InvalidGlob("ends with a '\\' that escapes nothing")
            self._one(self._next().__eq__)
        elif character == "{":
            self._open_group()
        elif character == "}" and in_group:
            self._close_group()
        elif character == "," and in_group:
            self._next_branch()
        else:
            self._one(character.__eq__)

    def _add(self) -> int:
        self.states.append(_State())
        return len(self.states) - 1

    def _one(self, test: _Test) -> None:
        here = self.states[-1]
        here.test, here.target = test, self._add()

    def _star(self) -> None:
        test: _Test = _not_slash
        if self._peek() == "*":
            self._next()
            test = _anything
        start = len(self.states) - 1
        loop = self._add()
        self.states[start].free.append(loop)
        self.states[loop].test, self.states[loop].target = test, loop
        self.states[loop].free.append(self._add())

    def _open_group(self) -> None:
        if self.group_start is not None:
            raise InvalidGlob("has a group within a group")
        self.group_start, self.branch_ends = len(self.states) - 1, []
        self.states[self.group_start].free.append(self._add())

    def _next_branch(self) -> None:
        self.branch_ends.append(len(self.states) - 1)
        self.states[self.group_start or 0].free.append(self._add())

    def _close_group(self) -> None:
        ends = [*self.branch_ends, len(self.states) - 1]
        after = self._add()
        for end in ends:
            self.states[end].free.append(after)
        self.group_start = None

    def _bracket(self) -> _Test:
        negated = self._peek() == "!"
        if negated:
            self._next()
        ranges: list[tuple[str, str]] = []
        while True:
            if not self._peek():
                raise InvalidGlob("lacks the ']' of a character class")
            first = self._next()
            if first == "]":
                break
            if first == "/":
                raise InvalidGlob("has a '/' in a character class")
            ranges.append((first, self._range_end(first)))
        if not ranges:
            raise InvalidGlob("has an empty character class")
        return lambda character: character != "/" and negated != any(low <= character <= high for low, high in ranges)

    def _range_end(self, first: str) -> str:
        if self._peek() != "-" or self.pattern[self.at + 1 : self.at + 2] in ("", "]"):
            return first
        self._next()
        last = self._next()
        if last == "/":
            raise InvalidGlob("has a '/' in a character class")
        if last < first:
            raise InvalidGlob("has the range %(range)s, whose end comes before its start", range=f"{first}-{last}")
        return last


def _not_slash(character: str) -> bool:
    return character != "/"


def _anything(_character: str) -> bool:
    return True
