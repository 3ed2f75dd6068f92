"""What strangers send, made harmless where it is read: text that can be kept, times that can be told. No I/O."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from shared.texts import clean

_LARGEST: Final = 1 << 63
_END_OF_TIME: Final = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())
"""A day later in some zone of the world, a calendar ends."""


def parse_json(body: bytes) -> Any:
    """Return the document with clean texts; raises ValueError or RecursionError."""
    text = body.decode(json.detect_encoding(body), "replace")
    document = json.loads(text)
    return _cleaned(document) if "\\u" in text else document  # what is not clean can only be written that way


def parse_time(value: Any) -> int | None:
    """Return the seconds since the epoch of an RFC 3339 time, None for anything else and what no calendar holds."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    return seconds if 0 < seconds < _END_OF_TIME else None  # reproducible builds write the year 1 for "no time"


def parse_size(value: Any) -> int:
    """Return a number of bytes, 0 for what cannot be one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST else 0


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        return {clean(key): _cleaned(item) for key, item in value.items()}
    return value
