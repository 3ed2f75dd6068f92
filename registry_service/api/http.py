"""The parts of HTTP that a registry needs beyond its framework: ranges, validators, links. Pure.

Sources: RFC 9110 sections 13 (conditional requests) and 14 (ranges); RFC 8288 (Link); OCI distribution-spec 1.1,
"Pushing a blob in chunks" (its Content-Range has neither unit nor total).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

_RANGE = re.compile(r"bytes=\s*(\d*)\s*-\s*(\d*)\s*", re.IGNORECASE)
_CONTENT_RANGE = re.compile(r"(?:bytes[ =])?(\d+)-(\d+)(?:/(?:\d+|\*))?", re.IGNORECASE)
_MOST_DIGITS: Final = 18


class UnsatisfiableRange(ValueError):
    """A well-formed range of which the content has not a single byte."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `start` up to, and not with, `end`."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Return the number of bytes."""
        return self.end - self.start

    def content_range(self, size: int) -> str:
        """Return the Content-Range of a 206 answer from content of `size` bytes."""
        return f"bytes {self.start}-{self.end - 1}/{size}"


def parse_range(header: str, size: int) -> ByteRange | None:
    """Return the range that a Range header asks for, None when it is to be ignored.

    Ignored are other units, malformed ranges and lists of ranges: the whole content is a lawful answer to those.
    Raises UnsatisfiableRange.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or not any(match.groups()) or any(len(text) > _MOST_DIGITS for text in match.groups()):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
        if int(last) == 0:
            raise UnsatisfiableRange
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < int(first):
            raise UnsatisfiableRange
    if start >= size:
        raise UnsatisfiableRange
    return ByteRange(start, end)


def parse_content_range(header: str) -> ByteRange | None:
    """Return the range of an upload's chunk, `start-end` with both ends in it; None when it is malformed."""
    match = _CONTENT_RANGE.fullmatch(header.strip())
    if match is None or any(len(text) > _MOST_DIGITS for text in match.groups()):
        return None
    first, last = int(match.group(1)), int(match.group(2))
    return ByteRange(first, last + 1) if first <= last else None


def upload_range(offset: int) -> str:
    """Return the Range header that tells how much of an upload has arrived; `0-0` also when nothing has."""
    return f"0-{max(0, offset - 1)}"


def etag(digest: str) -> str:
    """Return the strong validator of content named by a digest."""
    return f'"{digest}"'


def etag_matches(header: str, digest: str) -> bool:
    """Tell whether an If-None-Match header names the digest: quoted or bare, weak or in a list, or `*`."""
    candidates = [part.strip().removeprefix("W/").strip('"') for part in header.split(",")]
    return digest in candidates or "*" in candidates


def if_range_holds(header: str, digest: str) -> bool:
    """Tell whether an If-Range header lets a range through: only an equal strong validator does."""
    return header.strip() in ("", etag(digest))


def next_link(path: str, parameters: Mapping[str, str | int]) -> str:
    """Return the Link header to the next page."""
    return f'<{path}?{urlencode(parameters)}>; rel="next"'
