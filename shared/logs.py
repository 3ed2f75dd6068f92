"""Logging: one line per happening on standard output, as text or JSON. Configured once, in `__main__`."""

import asyncio
import json
import logging
import secrets
import sys
import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Literal, TextIO

Level = Literal["error", "warn", "info", "debug"]
Format = Literal["text", "json"]

_LEVELS = {"error": logging.ERROR, "warn": logging.WARNING, "info": logging.INFO, "debug": logging.DEBUG}
_NAMES = {number: name for name, number in _LEVELS.items()}


def configure(level: Level, form: Format = "text", stream: TextIO | None = None) -> None:
    """Send every log record of this process, from `level` up, to `stream` (standard output) in the form wanted."""
    handler = _LineHandler(stream or sys.stdout)
    handler.setFormatter(_JSONFormatter() if form == "json" else _TextFormatter())
    handler.addFilter(_without_strangers_mistakes)
    logging.basicConfig(level=_LEVELS[level], handlers=[handler], force=True)


def fields(**values: object) -> dict[str, dict[str, object]]:
    """Return what `extra=` needs to add `key=value` to a log line; None is left out."""
    return {"fields": {key: value for key, value in values.items() if value is not None}}


class LineTemplate:
    """A line that is logged again and again, the same but for its time and its `address`.

    It comes out as `logger.info(message, *args, extra=fields(**values, address=...))` would print it, for a fraction of
    the cost, unless somebody else listens to the logger as well: then it is that call. To be used on an event loop.
    """

    def __init__(self, logger: logging.Logger, message: str, *args: object, **values: object) -> None:
        self._logger, self._message, self._args, self._values = logger, message, args, values
        self._handler = _only_handler(logger)
        if self._handler is not None:
            address, now = secrets.token_hex(16), time.time()
            record = logger.makeRecord(
                logger.name, logging.INFO, "", 0, message, args, None, extra=fields(**{**values, "address": address})
            )
            record.created, record.msecs = now, now % 1 * 1000
            line = self._handler.format(record) + self._handler.terminator
            self._handler.before, _, rest = line.partition(_stamp(now))
            self._between, _, self._after = rest.partition(address)

    def addressed(self, address: str) -> Callable[[], None]:
        """Return what logs the line with an address; each line is written before the loop's next round."""
        if self._handler is None:
            values = {key: address if key == "address" else value for key, value in self._values.items()}
            return partial(self._logger.info, self._message, *self._args, extra=fields(**values))
        return partial(self._handler.write_soon, f"{self._between}{address}{self._after}")


class _LineHandler(logging.StreamHandler[TextIO]):
    """Writes records at once, and lines that are ready with others of the same round of the event loop."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.before = ""
        """What is before the time of a line: it depends on the form alone."""
        self._waiting: list[str] = []
        """Lines without their beginning and their time, which they have in common."""

    def emit(self, record: logging.LogRecord) -> None:
        self._write_waiting()
        super().emit(record)

    def write_soon(self, rest: str) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._write_waiting)
        self._waiting.append(rest)

    def _write_waiting(self) -> None:
        if self._waiting:
            beginning = self.before + _stamp(time.time())
            lines = beginning + beginning.join(self._waiting)
            self._waiting.clear()
            self.stream.write(lines)
            self.flush()


def _only_handler(logger: logging.Logger) -> _LineHandler | None:
    """Return our handler if it is the only one that a logger's records reach."""
    handlers = [one for place in (logger, logging.getLogger()) for one in place.handlers]
    if len(handlers) == 1 and isinstance(handlers[0], _LineHandler) and logger.isEnabledFor(logging.INFO):
        return handlers[0]
    return None


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


def _stamp(seconds: float) -> str:
    """Return a time as RFC 3339 has it, to the millisecond."""
    second = int(seconds)
    start, zone = _stamp_of_second(second)
    return f"{start}.{int((seconds - second) * 1000):03d}{zone}"


@lru_cache(maxsize=4)
def _stamp_of_second(second: int) -> tuple[str, str]:
    moment = time.localtime(second)
    zone = time.strftime("%z", moment)
    return time.strftime("%Y-%m-%dT%H:%M:%S", moment), f"{zone[:3]}:{zone[3:]}"


def _parts(record: logging.LogRecord) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "time": _stamp(record.created),
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
    return _quoted_text(value if isinstance(value, str) else str(value))


@lru_cache(maxsize=4096)
def _quoted_text(text: str) -> str:
    plain = text and text.isprintable() and not set(text) & set(' "=\\')
    return text if plain else _dump(text)
