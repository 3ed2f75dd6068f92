"""How numbers and spans of time are read from the command line; argparse tells what is wrong with them."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import Final

from shared.config import parse_duration

_DAYS_OF: Final = {"d": 1, "w": 7}
_DAY: Final = 24 * 3600


def between(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers."""

    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text[:12]) <= most:
            raise ArgumentTypeError(f"must be between {least} and {most}")
        return int(text)

    return read


def span(text: str) -> int:
    """Return the seconds of 7d, 2w, 12h or 1h30m."""
    unit = _DAYS_OF.get(text[-1:])
    try:
        if unit and text[:-1].isdecimal():
            return int(text[:-1][:6]) * unit * _DAY
        return int(parse_duration(text))
    except (ValueError, OverflowError):
        raise ArgumentTypeError(f"{text!r} is not a span of time; write it as in 7d, 2w, 12h or 30m") from None
