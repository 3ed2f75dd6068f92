"""What commands print: tables and short lines for people, documents for programs. No other module writes to stdout."""

import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from pydantic import BaseModel

_GAP: Final = "  "


def say(text: str) -> None:
    """Print lines, harmless to a terminal. Who reads no further ends the program quietly."""
    encoding = sys.stdout.encoding or "utf-8"
    shown = "\n".join(map(printable, text.split("\n")))
    try:
        sys.stdout.write(shown.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more at its end


def as_json(document: BaseModel) -> str:
    """Return a document as the API shows it; in its texts, what does not print is escaped."""
    text = document.model_dump_json(indent=2)
    return "".join(one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in text)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], nothing: str) -> str:
    """Return aligned columns under their headings, or `nothing` when there are no rows."""
    lines = [[printable(cell) or "-" for cell in row] for row in rows]
    if not lines:
        return nothing
    return "\n".join(_aligned([list(headings), *lines]))


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Return one line for each name and value; what is empty is left out."""
    return "\n".join(_aligned([[name, printable(value)] for name, value in pairs if value]))


def moment(seconds: int) -> str:
    """Return a time in the zone of this machine, to the minute."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def moment_or_never(seconds: int) -> str:
    """Return a time, `never` for 0."""
    return moment(seconds) if seconds else "never"


def state(*, enabled: bool) -> str:
    """Return whether something counts, in a word."""
    return "enabled" if enabled else "disabled"


def printable(text: str) -> str:
    """Return a text on one line that changes nothing on a terminal but what it shows: strangers wrote some of it."""
    return "".join(one if one.isprintable() else " " if one.isspace() else "\ufffd" for one in text)


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes: a Chinese character two, an accent of its own none."""
    return sum(0 if unicodedata.combining(one) else 1 + (unicodedata.east_asian_width(one) in "WF") for one in text)


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(width(cell) for cell in column) for column in zip(*lines, strict=True)]
    return [
        _GAP.join(cell + " " * (most - width(cell)) for cell, most in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
