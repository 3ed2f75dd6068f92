"""The line of a request in the access log: what is told, and in which order."""

import logging
from functools import partial
from typing import Final

from registry_service.api.remembered import Line
from shared.logs import LineTemplate, fields

access_log: Final = logging.getLogger("registry.access")

Asker = tuple[str | None, str | None]
"""The user and the program that make a request."""
Told = tuple[str, str, int]
"""The method and the path of a request, and the status of its answer."""


def log_request(told: Told, size: int | None, milliseconds: float, asker: Asker, address: str) -> None:
    """Write the line of one request; `size` is the number of bytes in the answer."""
    access_log.info("%s %s %s", *told, extra=fields(**_values(size, milliseconds, address, *asker)))


def line_for_all(told: Told, size: int | None) -> Line:
    """Return what makes the line of an answer for all who ask, as it takes no time worth telling."""
    return partial(_template, told, size)


def _values(
    size: int | None, milliseconds: float, address: str, user: str | None, agent: str | None
) -> dict[str, object]:
    return {"bytes": size, "ms": milliseconds, "user": user, "address": address, "agent": agent}


def _template(told: Told, size: int | None, user: str | None, agent: str | None) -> LineTemplate:
    return LineTemplate(access_log, "%s %s %s", *told, **_values(size, 0.0, "", user, agent))
