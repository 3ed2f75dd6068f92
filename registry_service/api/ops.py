"""The API's own pages: is it there, is it alive."""

from aiohttp import web

from registry_service.api.express import rests_on


async def ping(request: web.Request) -> web.Response:
    """Say that this is a registry, to whoever may come in: what `docker login` asks."""
    rests_on(request, (), for_all=True)
    return web.Response(text="{}", content_type="application/json")


async def health(request: web.Request) -> web.Response:  # noqa: ARG001
    """Say that the service answers."""
    return web.Response(headers={"Cache-Control": "no-cache"})
