"""The state of the installation, for administrators. It shows no secret."""

from aiohttp import web

from web_service.errors import RegistryProblem
from web_service.views.page import render
from web_service.views.routing import PARTS


async def show_status(request: web.Request) -> web.StreamResponse:
    """Show the version, the registry and whether it accepts our tokens."""
    parts = request.app[PARTS]
    failure: RegistryProblem | None = None
    try:
        await parts.browser.check()
    except RegistryProblem as problem:
        failure = problem
    issuer = parts.settings.issuer
    key_id = issuer.key_id if issuer else ""
    return await render(request, "status.html", registry_problem=failure, key_id=key_id, issuer=issuer)
