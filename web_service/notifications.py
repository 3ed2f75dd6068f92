"""The registry's notification envelope, read into events. No I/O.

Sources: the notifications chapter of the distribution documentation; the v1 and v2 event envelopes of the Go registry.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from web_service.access import CONSOLE
from web_service.events import Event
from web_service.foreign import parse_time

_BLOB_TYPE: Final = "application/octet-stream"
_LONGEST_TEXT: Final = 255
_LONGEST_AGENT: Final = 512
_LONGEST_ID: Final = 128


class InvalidEnvelope(ValueError):
    """The body is no envelope of events."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The events worth recording, how many others there were, and what is wrong with the unusable ones."""

    events: tuple[Event, ...]
    ignored: int
    problems: tuple[str, ...]


def parse_envelope(document: Any) -> Envelope:
    """Read an envelope; raises InvalidEnvelope. One bad event does not lose the others."""
    entries = document.get("events") if isinstance(document, dict) else None
    if entries is None:
        raise InvalidEnvelope("the body must be a JSON object with a list of events")
    if not isinstance(entries, list):
        raise InvalidEnvelope("events must be a list")
    events: list[Event] = []
    problems: list[str] = []
    for entry in entries:
        try:
            event = _event(entry)
        except ValueError as error:
            problems.append(str(error))
        else:
            events += [event] if event else []
    return Envelope(tuple(events), len(entries) - len(events) - len(problems), tuple(problems))


def client_host(address: str) -> str:
    """Return the host of `host:port`, `[v6]:port` or a bare address."""
    text = address.strip()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        host, colon, port = text.rpartition(":")
        return host if colon and port.isdecimal() else text


def _event(entry: Any) -> Event | None:
    """Return the event, None when it is not one that people look for; raises ValueError when it makes no sense."""
    if not isinstance(entry, dict):
        raise ValueError("an event is not an object")
    target, request = _object(entry, "target"), _object(entry, "request")
    user, action = _text(_object(entry, "actor"), "name"), _text(entry, "action")
    if _is_blob(target) or (user == CONSOLE and action == "pull"):
        return None
    event = Event(
        event_id=_needed(entry, "id", _LONGEST_ID),
        time=_time(_text(entry, "timestamp")),
        user=user[:_LONGEST_TEXT],
        action=_needed(entry, "action", 32),
        repository=_needed(target, "repository", _LONGEST_TEXT),
        tag=_text(target, "tag")[:_LONGEST_ID],
        digest=_text(target, "digest")[:160],
        media_type=_text(target, "mediaType")[:_LONGEST_TEXT],
        address=client_host(_text(request, "addr"))[:64],
        user_agent=_text(request, "useragent")[:_LONGEST_AGENT],
    )
    if not event.tag and not event.digest:
        raise ValueError("an event names neither tag nor digest")
    return event


def _is_blob(target: Mapping[str, Any]) -> bool:
    """Return whether it is about a layer or configuration, which the events of its manifest already speak for.

    The deletion of a blob cannot be told from that of a manifest when it comes without a type; it is recorded.
    """
    media_type = _text(target, "mediaType")
    if media_type:
        return media_type == _BLOB_TYPE or not ("manifest" in media_type or "index" in media_type)
    return "/blobs/" in _text(target, "url")


def _time(text: str) -> int:
    seconds = parse_time(text)
    if seconds is None:
        raise ValueError("an event has no usable timestamp")
    return seconds


def _object(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _text(value: Mapping[str, Any], key: str) -> str:
    found = value.get(key)
    return found if isinstance(found, str) else ""


def _needed(value: Mapping[str, Any], key: str, longest: int) -> str:
    text = _text(value, key)
    if not text or len(text) > longest:
        raise ValueError(f"an event has no usable {key}")
    return text
