"""What was refused to somebody, on a page or by the REST API, for the audit trail.

A request without credentials is none of it: it is asked to sign in. Nor is one with wrong ones, which has a line of its
own.
"""

from aiohttp import web

from web_service.actors import Actor, Via
from web_service.errors import Unavailable
from web_service.views.routing import PARTS, VISIT


async def record_refusal(request: web.Request) -> None:
    """Record why a request is refused, unless that was done lately."""
    visit, doorkeeper = request[VISIT], request.app[PARTS].doorkeeper
    user = visit.user or (visit.login.user if visit.login else None)
    by = Actor(user.name if user else "", _via(request.path), visit.client.address, user.id if user else 0)
    due = doorkeeper.request_refused(by, visit.login, request.method, request.path, visit.refusal)
    if not due:
        return
    try:
        await doorkeeper.write(due)
    except Unavailable:
        return  # it stays refused, it is due again, and the log has the reason already


def _via(path: str) -> Via:
    if path.startswith("/api/v1/"):
        return Via.API
    return Via.DOCKER if path.startswith("/api/") else Via.CONSOLE
