"""The route table: every address, what answers it, and who may use it. Nothing changes anything by GET."""

from typing import Final

from aiohttp import web

from web_service.views import (
    access,
    account,
    audit,
    deletion,
    events,
    groups,
    keys,
    notification,
    repositories,
    robots,
    roles,
    signin,
    status,
    token,
    tokens,
    trials,
    users,
)
from web_service.views.routing import NEEDS, Needs, Route

ROUTES: Final = (
    Route("GET", "/api/auth", token.get_token, Needs.MACHINE),
    Route("POST", "/api/auth", token.post_token, Needs.MACHINE),
    Route("GET", "/api/auth/jwks", keys.get_jwks, Needs.MACHINE),
    Route("POST", "/api/notification", notification.receive, Needs.MACHINE),
    Route("GET", "/api/health", notification.health, Needs.MACHINE),
    Route("GET", "/login", signin.show_sign_in, Needs.OPEN),
    Route("POST", "/login", signin.sign_in, Needs.OPEN),
    Route("POST", "/logout", signin.sign_out, Needs.OPEN),
    Route("POST", "/language", signin.choose_language, Needs.OPEN),
    Route("GET", "/", repositories.show_repositories, Needs.LOOK),
    Route("GET", "/repo/tags/{name:.+}", repositories.show_tags, Needs.LOOK),
    Route("GET", "/repo/tag/{name:.+}/{tag}", repositories.show_image, Needs.LOOK),
    Route("GET", "/repo/details/{name:.+}/{tag}", repositories.show_details, Needs.LOOK),
    Route("GET", "/repo/delete/{name:.+}/{tag}", deletion.confirm, Needs.BROWSE),
    Route("POST", "/repo/delete/{name:.+}/{tag}", deletion.delete, Needs.BROWSE),
    Route("GET", "/event/index", events.show_events, Needs.BROWSE),
    Route("GET", "/account", account.show_account),
    Route("GET", "/account/index", account.show_account),
    Route("POST", "/account/updatePassword", account.change_password),
    Route("POST", "/account/addToken", tokens.add_own_token),
    Route("POST", r"/account/revokeToken/{token:\d{1,9}}", tokens.revoke_own_token),
    Route("POST", r"/account/revokeClient/{token:\d{1,9}}", tokens.revoke_own_client),
    Route("GET", "/user/index", users.show_users, Needs.ADMIN),
    Route("GET", "/user/add", users.show_new_user, Needs.ADMIN),
    Route("POST", "/user/create", users.create_user, Needs.ADMIN),
    Route("GET", r"/user/show/{id:\d{1,9}}", users.show_user, Needs.ADMIN),
    Route("POST", r"/user/update/{id:\d{1,9}}", users.update_user, Needs.ADMIN),
    Route("POST", r"/user/rename/{id:\d{1,9}}", users.rename_user, Needs.ADMIN),
    Route("POST", r"/user/addRole/{id:\d{1,9}}", users.add_role, Needs.ADMIN),
    Route("POST", r"/user/deleteRole/{id:\d{1,9}}", users.remove_role, Needs.ADMIN),
    Route("GET", r"/user/delete/{id:\d{1,9}}", users.confirm_delete_user, Needs.ADMIN),
    Route("POST", r"/user/delete/{id:\d{1,9}}", users.delete_user, Needs.ADMIN),
    Route("POST", r"/user/revokeToken/{id:\d{1,9}}/{token:\d{1,9}}", tokens.revoke_token, Needs.ADMIN),
    Route("POST", r"/user/revokeClient/{id:\d{1,9}}/{token:\d{1,9}}", tokens.revoke_client, Needs.ADMIN),
    Route("GET", "/robot/index", robots.show_robots, Needs.ADMIN),
    Route("GET", "/robot/add", robots.show_new_robot, Needs.ADMIN),
    Route("POST", "/robot/create", robots.create_robot, Needs.ADMIN),
    Route("GET", r"/robot/show/{id:\d{1,9}}", robots.show_robot, Needs.ADMIN),
    Route("POST", r"/robot/addToken/{id:\d{1,9}}", tokens.add_robot_token, Needs.ADMIN),
    Route("GET", "/group/index", groups.show_groups, Needs.ADMIN),
    Route("POST", "/group/create", groups.create_group, Needs.ADMIN),
    Route("GET", r"/group/show/{id:\d{1,9}}", groups.show_group, Needs.ADMIN),
    Route("POST", r"/group/update/{id:\d{1,9}}", groups.update_group, Needs.ADMIN),
    Route("POST", r"/group/addMember/{id:\d{1,9}}", groups.add_member, Needs.ADMIN),
    Route("POST", r"/group/deleteMember/{id:\d{1,9}}", groups.remove_member, Needs.ADMIN),
    Route("POST", r"/group/addRole/{id:\d{1,9}}", groups.add_role, Needs.ADMIN),
    Route("POST", r"/group/deleteRole/{id:\d{1,9}}", groups.remove_role, Needs.ADMIN),
    Route("GET", r"/group/delete/{id:\d{1,9}}", groups.confirm_delete_group, Needs.ADMIN),
    Route("POST", r"/group/delete/{id:\d{1,9}}", groups.delete_group, Needs.ADMIN),
    Route("GET", "/role/index", roles.show_roles, Needs.ADMIN),
    Route("POST", "/role/create", roles.create_role, Needs.ADMIN),
    Route("GET", r"/role/show/{id:\d{1,9}}", roles.show_role, Needs.ADMIN),
    Route("POST", r"/role/update/{id:\d{1,9}}", roles.update_role, Needs.ADMIN),
    Route("POST", r"/role/rename/{id:\d{1,9}}", roles.rename_role, Needs.ADMIN),
    Route("GET", r"/role/delete/{id:\d{1,9}}", roles.confirm_delete_role, Needs.ADMIN),
    Route("POST", r"/role/delete/{id:\d{1,9}}", roles.delete_role, Needs.ADMIN),
    Route("POST", r"/role/addAcl/{id:\d{1,9}}", roles.add_rule, Needs.ADMIN),
    Route("GET", r"/role/editAcl/{id:\d{1,9}}/{rule:\d{1,9}}", roles.show_rule, Needs.ADMIN),
    Route("POST", r"/role/editAcl/{id:\d{1,9}}/{rule:\d{1,9}}", roles.update_rule, Needs.ADMIN),
    Route("POST", r"/role/deleteAcl/{id:\d{1,9}}/{rule:\d{1,9}}", roles.delete_rule, Needs.ADMIN),
    Route("POST", r"/role/tryAcl/{id:\d{1,9}}", trials.try_new_rule, Needs.ADMIN),
    Route("POST", r"/role/tryAcl/{id:\d{1,9}}/{rule:\d{1,9}}", trials.try_changed_rule, Needs.ADMIN),
    Route("POST", r"/role/tryDelete/{id:\d{1,9}}/{rule:\d{1,9}}", trials.try_without_rule, Needs.ADMIN),
    Route("GET", "/access", access.show_access, Needs.ADMIN),
    Route("GET", "/audit/index", audit.show_audit, Needs.ADMIN),
    Route("GET", "/status", status.show_status, Needs.OPERATE),
    Route("GET", "/status/index", status.show_status, Needs.OPERATE),
)
"""Everything but the static files, which are open."""


def add_routes(app: web.Application) -> None:
    """Give the application the routes of the table; GET answers HEAD as well."""
    needs: dict[web.AbstractRoute, Needs] = {}
    for route in ROUTES:
        for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
            needs[app.router.add_route(method, route.path, route.handler)] = route.needs
    app[NEEDS] = needs
