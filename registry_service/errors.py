"""The error table: every code that a client can see, with its status and message.

Sources: OCI distribution-spec 1.1, "Error Codes"; Docker Registry HTTP API V2, "Errors".

    Exception
    └── RegistryError        a request failed in a way the specification names; the middleware writes it
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any


@dataclass(frozen=True, slots=True)
class _Entry:
    status: int
    message: str


class Code(Enum):
    """A code of the specification; its value holds the HTTP status and the default message."""

    UNKNOWN = _Entry(500, "unknown error")
    UNSUPPORTED = _Entry(405, "The operation is unsupported.")
    UNAUTHORIZED = _Entry(401, "authentication required")
    DENIED = _Entry(403, "requested access to the resource is denied")
    UNAVAILABLE = _Entry(503, "service unavailable")
    TOOMANYREQUESTS = _Entry(429, "too many requests")
    DIGEST_INVALID = _Entry(400, "provided digest did not match uploaded content")
    SIZE_INVALID = _Entry(400, "provided length did not match content length")
    PRECONDITION_FAILED = _Entry(412, "someone else has changed it in the meantime")
    RANGE_INVALID = _Entry(416, "invalid content range")
    NAME_INVALID = _Entry(400, "invalid repository name")
    TAG_INVALID = _Entry(400, "manifest tag did not match URI")
    NAME_UNKNOWN = _Entry(404, "repository name not known to registry")
    NOT_FOUND = _Entry(404, "no such page in the registry API")
    MANIFEST_UNKNOWN = _Entry(404, "manifest unknown")
    MANIFEST_INVALID = _Entry(400, "manifest invalid")
    MANIFEST_BLOB_UNKNOWN = _Entry(400, "blob unknown to registry")
    BLOB_UNKNOWN = _Entry(404, "blob unknown to registry")
    BLOB_UPLOAD_UNKNOWN = _Entry(404, "blob upload unknown to registry")
    BLOB_UPLOAD_INVALID = _Entry(404, "blob upload invalid")
    PAGINATION_NUMBER_INVALID = _Entry(400, "invalid number of results requested")


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of an error answer."""

    code: Code
    detail: Any = None
    message: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the entry as the specification shapes it."""
        return {"code": self.code.name, "message": self.message or self.code.value.message, "detail": self.detail}


class RegistryError(Exception):
    """A failed request: one or more problems; the first decides the status unless `status` is given."""

    def __init__(
        self,
        code: Code,
        detail: Any = None,
        message: str = "",
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code.name, detail)
        self.problems: Sequence[Problem] = (Problem(code, detail, message),)
        self.status = status or code.value.status
        self.headers = dict(headers or {})

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> "RegistryError":
        """Return an error that reports several problems at once; `problems` is not empty."""
        error = cls(problems[0].code)
        error.problems = tuple(problems)
        return error

    def body(self) -> bytes:
        """Return the JSON document for the client."""
        document = {"errors": [problem.to_json() for problem in self.problems]}
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
