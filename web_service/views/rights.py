"""What a visitor may see and do with a repository in the console."""

from aiohttp import web

from web_service.access import LOCAL, allowed_actions
from web_service.errors import N_, NotFound
from web_service.views.routing import PARTS, VISIT


def may_see(request: web.Request, repository: str) -> bool:
    """Return whether a repository exists for this visitor: administrators, and who may pull or delete it."""
    user = request[VISIT].user
    if user is None or user.is_admin:
        return True  # nobody signed in means that nobody has to
    address = request[VISIT].client.address
    return "pull" in allowed_actions(user.rules, repository, address) or _may_delete_here(request, repository)


def may_delete(request: web.Request, repository: str) -> bool:
    """Return whether the visitor may delete: the console is not read-only and a role holds `ui-delete`."""
    return not request.app[PARTS].settings.config.registry.readonly and _may_delete_here(request, repository)


def check_visible(request: web.Request, repository: str) -> None:
    """Raise NotFound, as for a repository that does not exist, when the visitor may not see it."""
    if not may_see(request, repository):
        raise NotFound(N_("There is no such repository."))


def _may_delete_here(request: web.Request, repository: str) -> bool:
    user = request[VISIT].user
    return user is None or "ui-delete" in allowed_actions(user.rules, repository, LOCAL)
