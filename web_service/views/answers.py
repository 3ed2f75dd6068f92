"""Answers for programs: JSON, and errors in the form that Docker's clients show to their users."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

_CODES: Final = {
    400: "UNSUPPORTED",
    401: "UNAUTHORIZED",
    403: "DENIED",
    404: "UNSUPPORTED",
    405: "UNSUPPORTED",
    429: "TOOMANYREQUESTS",
    503: "UNAVAILABLE",
}


def error(
    status: int, message: str, headers: Mapping[str, str] | None = None, extra: Mapping[str, str] | None = None
) -> web.Response:
    """Return an error; the code follows from the status."""
    body = {"errors": [{"code": _CODES.get(status, "UNKNOWN"), "message": message}], **(extra or {})}
    return web.json_response(body, status=status, headers=headers)
