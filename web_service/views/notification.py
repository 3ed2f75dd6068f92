"""/api/notification: where the registry tells what happened. /api/health: whether we are able to serve."""

import hmac
import logging

from aiohttp import web

from web_service.foreign import parse_json
from web_service.notifications import InvalidEnvelope, parse_envelope
from web_service.views import answers
from web_service.views.routing import PARTS, VISIT

_log = logging.getLogger("web.notification")


async def receive(request: web.Request) -> web.StreamResponse:
    """Record the events of one envelope. Whatever is not 2xx makes the registry send it again."""
    parts = request.app[PARTS]
    if not _is_known(request, parts.settings.notification_secret):
        return answers.error(
            401,
            "The notification secret is missing or wrong; send it as `Authorization: Bearer ...`.",
            headers={"WWW-Authenticate": 'Bearer realm="notification"'},
        )
    try:
        envelope = parse_envelope(parse_json(await request.read()))
    except InvalidEnvelope as error:
        return answers.error(400, f"{error}.")
    except (ValueError, RecursionError):
        return answers.error(400, "The body is not JSON.")
    for problem in envelope.problems:
        _log.warning("an event was not usable: %s", problem)
    recorded = await parts.events.record(envelope.events) if envelope.events else 0
    counts = {
        "recorded": recorded,
        "repeated": len(envelope.events) - recorded,
        "ignored": envelope.ignored,
        "unusable": len(envelope.problems),
    }
    request[VISIT].facts |= counts
    return web.json_response(counts)


async def health(request: web.Request) -> web.StreamResponse:
    """Answer ok when the database answers."""
    if not await request.app[PARTS].database.answers():
        _log.error("the database does not answer")
        return web.json_response({"status": "database unavailable"}, status=503)
    return web.json_response({"status": "ok"})


def _is_known(request: web.Request, secret: str) -> bool:
    if not secret:
        return True
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    raw = given.strip().encode("utf-8", "surrogateescape")
    return scheme.lower() == "bearer" and hmac.compare_digest(raw, secret.encode())
