"""The list of what happened in the registry."""

from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from web_service.events import Wanted
from web_service.views.page import page_number, render
from web_service.views.rights import may_see, sees_all
from web_service.views.routing import PARTS, VISIT

ACTIONS: Final = ("push", "pull", "delete", "mount")


async def show_events(request: web.Request) -> web.StreamResponse:
    """List events, newest first, of the repositories that the visitor may see and of the visitor."""
    events, user = request.app[PARTS].events, request[VISIT].user
    filters = {key: request.query.get(key, "").strip() for key in ("user", "repository", "action")}
    visible = None
    if not sees_all(request):
        visible = frozenset(name for name in await events.repositories() if may_see(request, name))
    wanted = Wanted(**filters, visible=visible, viewer=user.name if user else "")
    page = await events.page(wanted, page_number(request))
    query = urlencode({key: value for key, value in filters.items() if value})
    return await render(request, "events.html", page=page, filters=filters, actions=ACTIONS, query=query)
