"""How the body of a request is marked off on its connection: by a length, or in chunks. Pure.

Source: RFC 9112 sections 6 and 7.1.
"""

import re
from typing import Final, Protocol

_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[^\r\n]*)?\r\n")
_COMMON_LINE: Final = re.compile(rb"\r\n([0-9A-Fa-f]{1,8})\r\n")
"""The end of one chunk and the size of the next, as nearly all come."""
_COMMON_BYTES: Final = 12
_LINE_BYTES: Final = 256
_TRAILER_LINE: Final = re.compile(rb"[!-9;-~]+:[^\r\n\0]*\r\n|\r\n")
_MOST_SIZE_BYTES: Final = 512
"""Extensions of a chunk tell nothing here."""
_MOST_LINE_BYTES: Final = 8 << 10
_MOST_TRAILER_BYTES: Final = 64 << 10


class BadFraming(ValueError):
    """Bytes that cannot belong to the body: where it ends is not known any more."""


class Framing(Protocol):
    """Tells the bytes of one body from what is around them; `ended` after the last of them.

    `rest` is what came after that: the begin of the next request. After an `error` nobody can tell what comes next.
    """

    is_costly: bool
    """Whether a client can make it take long."""
    ended: bool
    rest: bytes
    error: BadFraming | None

    def room(self, size: int) -> int:
        """Return how many bytes of so many may be read at once from the connection."""

    def unwrap(self, view: memoryview) -> int:
        """Move what belongs to the body to the begin of the view, and return how much it is."""


class Length:
    """A body of so many bytes, at least one."""

    is_costly = False

    def __init__(self, length: int) -> None:
        self._left = length
        self.ended = False
        self.rest = b""
        self.error: BadFraming | None = None

    def room(self, size: int) -> int:
        """See Framing."""
        return min(size, self._left)

    def unwrap(self, view: memoryview) -> int:
        """See Framing."""
        count = min(len(view), self._left)
        self._left -= count
        if self._left == 0:
            self.ended, self.rest = True, bytes(view[count:])
        return count


class Chunked:
    """A body in chunks, each after a line with its size; one of size 0, and lines to ignore, are the end."""

    is_costly = True

    def __init__(self) -> None:
        self._left = 0
        self._line = b""
        """The begin of a line that has not come whole yet."""
        self._trailer_bytes = 0
        self._read_line = self._read_size
        self.ended = False
        self.rest = b""
        self.error: BadFraming | None = None

    def room(self, size: int) -> int:
        """See Framing."""
        return size

    def unwrap(self, view: memoryview) -> int:
        """See Framing."""
        read = kept = 0
        size = len(view)
        try:
            while read < size and not self.ended:
                if self._left:
                    count = min(self._left, size - read)
                    if read != kept:
                        view[kept : kept + count] = view[read : read + count]
                    read, kept = read + count, kept + count
                    self._count(count)
                else:
                    read += self._next_line(view, read)
        except BadFraming as error:
            self.ended, self.error = True, error
        else:
            self.rest = bytes(view[read:])
        return kept

    def _count(self, count: int) -> None:
        self._left -= count
        if self._left == 0:
            self._read_line = self._read_end

    def _next_line(self, view: memoryview, start: int) -> int:
        """Read a line, or what there is of it, and return how many bytes it took."""
        if self._read_line == self._read_end and not self._line:
            common = _COMMON_LINE.match(view[start : start + _COMMON_BYTES])
            if common is not None and (chunk := int(common[1], 16)):
                self._left = chunk
                return common.end()
        window = bytes(view[start : start + _LINE_BYTES])
        end = window.find(b"\n") + 1
        self._line += window[:end] if end else window
        if len(self._line) > (_MOST_LINE_BYTES if self._read_line == self._read_trailer else _MOST_SIZE_BYTES):
            raise BadFraming("a line between chunks is too long")
        if not end:
            return len(window)
        line, self._line = self._line, b""
        self._read_line(line)
        return end

    def _read_size(self, line: bytes) -> None:
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise BadFraming("a chunk begins with its size in hexadecimal digits")
        self._left = int(match[1], 16)
        if self._left == 0:
            self._read_line = self._read_trailer

    def _read_end(self, line: bytes) -> None:
        if line != b"\r\n":
            raise BadFraming("a chunk is longer than its size")
        self._read_line = self._read_size

    def _read_trailer(self, line: bytes) -> None:
        if _TRAILER_LINE.fullmatch(line) is None:
            raise BadFraming("what follows the last chunk are fields, and an empty line")
        self._trailer_bytes += len(line)
        if self._trailer_bytes > _MOST_TRAILER_BYTES:
            raise BadFraming("there are too many lines after the last chunk")
        self.ended = line == b"\r\n"
