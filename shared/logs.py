"""Logging: one line per happening on standard output, as text or JSON. Configured once, in `__main__`."""

import json
import logging
import sys
import time
from typing import Any, Literal, TextIO

Level = Literal["error", "warn", "info", "debug"]
Format = Literal["text", "json"]

_LEVELS = {"error": logging.ERROR, "warn": logging.WARNING, "info": logging.INFO, "debug": logging.DEBUG}
_NAMES = {number: name for name, number in _LEVELS.items()}


def configure(level: Level, form: Format = "text", stream: TextIO | None = None) -> None:
    """Send every log record of this process, from `level` up, to `stream` (standard output) in the form wanted."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(_JSONFormatter() if form == "json" else _TextFormatter())
    handler.addFilter(_without_strangers_mistakes)
    logging.basicConfig(level=_LEVELS[level], handlers=[handler], force=True)


def fields(**values: object) -> dict[str, dict[str, object]]:
    """Return what `extra=` needs to add `key=value` to a log line; None is left out."""
    return {"fields": {key: value for key, value in values.items() if value is not None}}


def _without_strangers_mistakes(record: logging.LogRecord) -> bool:
    """Make one plain line of what the framework takes for a failure of ours: a request that is no HTTP."""
    kind = record.exc_info[0] if record.exc_info else None
    if record.name == "aiohttp.server" and kind is not None and kind.__module__ == "aiohttp.http_exceptions":
        reason = " ".join(str(getattr(record.exc_info[1], "message", kind.__name__)).split()) if record.exc_info else ""
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.msg, record.args = "bad request", ()
        record.exc_info = None
        record.fields = {"reason": reason[:200]}
    return record.levelno >= logging.getLogger().level


def _parts(record: logging.LogRecord) -> dict[str, Any]:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(record.created))
    zone = time.strftime("%z", time.localtime(record.created))
    parts: dict[str, Any] = {
        "time": f"{stamp}.{int(record.msecs):03d}{zone[:3]}:{zone[3:]}",
        "level": _NAMES.get(record.levelno, record.levelname.lower()),
        "logger": record.name,
        "msg": record.getMessage(),
    }
    trace = {"error": logging.Formatter().formatException(record.exc_info)} if record.exc_info else {}
    own = parts.keys() | trace.keys()
    # A field may be called as a part of the line is; it does not take its place.
    extra = {f"field_{key}" if key in own else key: value for key, value in getattr(record, "fields", {}).items()}
    return parts | extra | trace


class _JSONFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _dump(_parts(record))


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        parts = _parts(record)
        head = f"{parts.pop('time')} {parts.pop('level'):5} {parts.pop('logger')}: {_one_line(parts.pop('msg'))}"
        return " ".join([head, *(f"{key}={_quoted(value)}" for key, value in parts.items())])


def _dump(value: object) -> str:
    """Return JSON in which all that does not print is escaped: line ends, controls, and what UTF-8 cannot hold."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def _one_line(text: str) -> str:
    return text if text.isprintable() else _dump(text)[1:-1]


def _quoted(value: object) -> str:
    """Return a value that cannot be taken for two, nor for a second line."""
    text = value if isinstance(value, str) else str(value)
    plain = text and text.isprintable() and not set(text) & set(' "=\\')
    return text if plain else _dump(text)
