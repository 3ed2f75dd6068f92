"""What a visitor may see and do with a repository in the console."""

from aiohttp import web

from web_service.access import allowed_actions, allows_ui_delete, is_denied
from web_service.errors import N_, NotFound
from web_service.views.routing import PARTS, VISIT


def may_see(request: web.Request, repository: str) -> bool:
    """Return whether a repository exists for this visitor: administrators, and who may pull or delete it.

    What is denied is denied to administrators as well. Who may only look sees what is public.
    """
    visit, address = request[VISIT], request[VISIT].client.address
    if visit.public is not None:
        return "pull" in allowed_actions(visit.public, repository, address)
    if visit.user is None:
        return _everybody_may(request)
    rules = visit.user.rules
    if is_denied(rules, repository, address):
        return False
    return visit.user.is_admin or "pull" in allowed_actions(rules, repository, address) or _deletes(request, repository)


def sees_all(request: web.Request) -> bool:
    """Return whether there is nothing that the visitor may not see."""
    user = request[VISIT].user
    if user is None:
        return _everybody_may(request)
    return user.is_admin and not any(rule.denies and not rule.public for rule in user.rules)


def may_delete(request: web.Request, repository: str) -> bool:
    """Return whether the visitor may delete: the console is not read-only and a role holds `ui-delete`."""
    return not request.app[PARTS].settings.config.registry.readonly and _deletes(request, repository)


def check_visible(request: web.Request, repository: str) -> None:
    """Raise NotFound, as for a repository that does not exist, when the visitor may not see it."""
    if not may_see(request, repository):
        raise NotFound(N_("There is no such repository."))


def _deletes(request: web.Request, repository: str) -> bool:
    visit = request[VISIT]
    if visit.user is None or visit.public is not None:
        return _everybody_may(request)
    return allows_ui_delete(visit.user.rules, repository, visit.client.address)


def _everybody_may(request: web.Request) -> bool:
    """Return whether nobody has to sign in, and everybody may do everything."""
    return not request.app[PARTS].settings.has_accounts
