"""The parts of HTTP that a registry needs beyond its framework: ranges, validators, links. Pure.

Sources: RFC 9110 sections 13 (conditional requests) and 14 (ranges); RFC 8288 (Link); OCI distribution-spec 1.1,
"Pushing a blob in chunks" (its Content-Range has neither unit nor total).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

_RANGE = re.compile(r"bytes=\s*(\d*)\s*-\s*(\d*)\s*", re.IGNORECASE | re.ASCII)
_CONTENT_RANGE = re.compile(r"(?:bytes[ =])?(\d+)-(\d+)(?:/(?:\d+|\*))?", re.IGNORECASE | re.ASCII)
_MOST_DIGITS: Final = 18
_MOST_RANGES: Final = 32


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
    """Return the single range that a Range header asks for, None when it is something else.

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


def parse_ranges(header: str, size: int) -> list[ByteRange]:
    """Return the ranges that a Range header asks for, one or several; none when the header is to be ignored.

    Ranges without a byte are left out of several. Raises UnsatisfiableRange when none has a byte.
    """
    unit, equals, text = header.partition("=")
    parts = text.split(",")
    if len(parts) > _MOST_RANGES:
        return []
    found: list[ByteRange] = []
    for part in parts:
        try:
            one = parse_range(f"{unit}{equals}{part}", size)
        except UnsatisfiableRange:
            continue
        if one is None:
            return []
        found.append(one)
    if not found:
        raise UnsatisfiableRange
    if sum(one.length for one in found) > size and len(found) > 1:
        return []  # overlapping ranges are how a small request asks for a large answer
    return found


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


def accepts(headers: Sequence[str], media_type: str) -> bool:
    """Tell whether Accept headers name a media type, or everything. Weights and parameters are not looked at."""
    ranges = {part.partition(";")[0].strip().lower() for header in headers for part in header.split(",")}
    return not ranges.isdisjoint({media_type, "application/*", "*/*", "*"})


def may_replace(if_match: str | None, if_none_match: str | None, present: str | None) -> bool:
    """Tell whether the conditions of a write hold; `present` is the digest that is there now, None for nothing."""
    if if_match is not None and (present is None or not etag_matches(if_match, present)):
        return False
    return if_none_match is None or present is None or not etag_matches(if_none_match, present)


def if_range_holds(header: str, digest: str) -> bool:
    """Tell whether an If-Range header lets a range through: only an equal strong validator does."""
    return header.strip() in ("", etag(digest))


def warning(text: str) -> str:
    """Return a Warning header for the people behind a client (distribution-spec, "Warnings")."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{escaped}"'


def next_link(path: str, parameters: Mapping[str, str | int]) -> str:
    """Return the Link header to the next page; its parameters in alphabetical order, as in the Go registry."""
    return f'<{path}?{urlencode(sorted(parameters.items()))}>; rel="next"'
