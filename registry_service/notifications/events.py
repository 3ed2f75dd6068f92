"""Events: what happened, in the shape that receivers of Docker's registry know. Pure.

Source: Docker registry notifications ("Events", "Envelope"), version 1 of the envelope.
"""

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

from shared.texts import clean

ENVELOPE_TYPE: Final = "application/vnd.docker.distribution.events.v1+json"
BLOB_TYPE: Final = "application/octet-stream"

_LONGEST_TEXT: Final = 1024

Action = Literal["push", "pull", "mount", "delete"]


@dataclass(frozen=True, slots=True)
class Target:
    """What an event is about. Fields that do not apply are empty; `size` is in bytes."""

    repository: str
    media_type: str = ""
    digest: str = ""
    size: int | None = None
    tag: str = ""
    url: str = ""
    from_repository: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the object with the fields that apply."""
        document = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
            "length": self.size,
            "repository": self.repository,
            "fromRepository": self.from_repository,
            "url": self.url,
            "tag": self.tag,
        }
        return {key: value for key, value in document.items() if value not in ("", None)}


@dataclass(frozen=True, slots=True)
class Origin:
    """The request behind an event, and who made it."""

    request_id: str
    address: str
    host: str
    method: str
    user_agent: str
    actor: str


@dataclass(frozen=True, slots=True)
class Event:
    """One happening. `timestamp` is RFC 3339; `source_address` and `instance_id` name the registry process."""

    id: str
    timestamp: str
    action: Action
    target: Target
    origin: Origin
    source_address: str
    instance_id: str

    def to_json(self) -> dict[str, Any]:
        """Return the event as receivers know it."""
        origin = self.origin
        return {
            "id": self.id,
            "timestamp": self.timestamp,
            "action": self.action,
            "target": self.target.to_json(),
            "request": {
                "id": origin.request_id,
                "addr": origin.address,
                "host": clean(origin.host[:_LONGEST_TEXT]),
                "method": origin.method,
                "useragent": clean(origin.user_agent[:_LONGEST_TEXT]),
            },
            "actor": {"name": clean(origin.actor[:_LONGEST_TEXT])} if origin.actor else {},
            "source": {"addr": self.source_address, "instanceID": self.instance_id},
        }


def envelope(event: Event) -> bytes:
    """Return the body of the request that tells of an event."""
    return json.dumps({"events": [event.to_json()]}, indent=3, ensure_ascii=False).encode()
