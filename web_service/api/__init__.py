"""The table of the REST API: every operation, what answers it, and who may use it.

From it are made the routes, and the description that is served as openapi.json.
"""

from functools import cache
from typing import Final

from aiohttp import web

from web_service import documents as doc
from web_service import inputs as new
from web_service.api import groups, insight, robots, roles, users
from web_service.api.endpoints import endpoint
from web_service.api.failures import CONFLICT
from web_service.api.openapi import OpenAPI, describe
from web_service.api.operations import PREFIX, Call, Operation, Right, Via
from web_service.api.queries import AccessQuery, AuditQuery, EventsQuery, Paging
from web_service.api.tokens import OF_ROBOT, OF_USER, OWN, show_all_tokens
from web_service.views.routing import NEEDS, Needs


async def show_description(call: Call) -> OpenAPI:
    """Show the description of the API."""
    return _description(call.parts.settings.version)


@cache
def _description(version: str) -> OpenAPI:
    return describe(OPERATIONS, version)


_GET, _POST, _PUT, _PATCH, _DELETE = "GET", "POST", "PUT", "PATCH", "DELETE"
_SELF, _ADMIN = Right.SELF, Right.ADMIN
_CLASH: Final = (CONFLICT,)

# fmt: off
OPERATIONS: Final = (
    Operation(_GET, "/openapi.json", show_description, Right.OPEN, "describe", "This description", gives=OpenAPI),
    # What an account may do about itself
    Operation(_GET, "/user", users.show_me, _SELF, "whoAmI", "Who I am and what I may do", gives=doc.WhoAmI,
              via=Via.LIMITED_TOKEN),
    Operation(_PUT, "/user/password", users.set_own_password, _SELF, "setOwnPassword", "Set my password",
              takes=new.PasswordChange, via=Via.PASSWORD),
    Operation(_GET, "/user/tokens", OWN.show, _SELF, "listOwnTokens", "List my access tokens", query=Paging,
              gives=doc.AccessTokens),
    Operation(_POST, "/user/tokens", OWN.create, _SELF, "createOwnToken", "Make an access token for me",
              takes=new.NewAccessToken, gives=doc.NewToken, created=True, errors=_CLASH),
    Operation(_DELETE, "/user/tokens/{id}", OWN.revoke, _SELF, "revokeOwnToken", "Revoke my access token"),
    Operation(_GET, "/user/refresh-tokens", OWN.show_refresh, _SELF, "listOwnRefreshTokens", "List my refresh tokens",
              query=Paging, gives=doc.RefreshTokens),
    Operation(_DELETE, "/user/refresh-tokens/{id}", OWN.revoke_refresh, _SELF, "revokeOwnRefreshToken",
              "Revoke my refresh token"),
    # Accounts
    Operation(_GET, "/users", users.show_users, _ADMIN, "listUsers", "List accounts, robots among them", query=Paging,
              gives=doc.Users),
    Operation(_POST, "/users", users.create_user, _ADMIN, "createUser", "Add a person", takes=new.NewUser,
              gives=doc.User, created=True, errors=_CLASH),
    Operation(_GET, "/users/{name}", users.show_user, _ADMIN, "getUser", "Show an account", gives=doc.User),
    Operation(_PATCH, "/users/{name}", users.change_user, _ADMIN, "changeUser", "Rename, open or close an account",
              takes=new.UserChange, gives=doc.User, errors=_CLASH),
    Operation(_DELETE, "/users/{name}", users.delete_user, _ADMIN, "deleteUser", "Delete an account"),
    Operation(_PUT, "/users/{name}/password", users.set_password, _ADMIN, "setPassword", "Set somebody's password",
              takes=new.PasswordChange, via=Via.PASSWORD),
    Operation(_PUT, "/users/{name}/roles/{role}", users.grant_role, _ADMIN, "grantRole", "Give an account a role"),
    Operation(_DELETE, "/users/{name}/roles/{role}", users.revoke_role, _ADMIN, "revokeRole",
              "Take a role from an account"),
    Operation(_GET, "/users/{name}/tokens", OF_USER.show, _ADMIN, "listTokens", "List somebody's access tokens",
              query=Paging, gives=doc.AccessTokens),
    Operation(_POST, "/users/{name}/tokens", OF_USER.create, _ADMIN, "createToken", "Make an access token for somebody",
              takes=new.NewAccessToken, gives=doc.NewToken, created=True, errors=_CLASH),
    Operation(_DELETE, "/users/{name}/tokens/{id}", OF_USER.revoke, _ADMIN, "revokeToken",
              "Revoke somebody's access token"),
    Operation(_GET, "/users/{name}/refresh-tokens", OF_USER.show_refresh, _ADMIN, "listRefreshTokens",
              "List somebody's refresh tokens", query=Paging, gives=doc.RefreshTokens),
    Operation(_DELETE, "/users/{name}/refresh-tokens/{id}", OF_USER.revoke_refresh, _ADMIN, "revokeRefreshToken",
              "Revoke somebody's refresh token"),
    # Robots
    Operation(_GET, "/robots", robots.show_robots, _ADMIN, "listRobots", "List robots", query=Paging, gives=doc.Users),
    Operation(_POST, "/robots", robots.create_robot, _ADMIN, "createRobot", "Add a robot, its rules, its first token",
              takes=new.NewRobotAccount, gives=doc.NewRobot, created=True, errors=_CLASH),
    Operation(_GET, "/robots/{name}", robots.show_robot, _ADMIN, "getRobot", "Show a robot", gives=doc.User),
    Operation(_DELETE, "/robots/{name}", robots.delete_robot, _ADMIN, "deleteRobot", "Delete a robot"),
    Operation(_GET, "/robots/{name}/tokens", OF_ROBOT.show, _ADMIN, "listRobotTokens", "List a robot's access tokens",
              query=Paging, gives=doc.AccessTokens),
    Operation(_POST, "/robots/{name}/tokens", OF_ROBOT.create, _ADMIN, "createRobotToken",
              "Make an access token for a robot", takes=new.NewAccessToken, gives=doc.NewToken, created=True,
              errors=_CLASH),
    Operation(_DELETE, "/robots/{name}/tokens/{id}", OF_ROBOT.revoke, _ADMIN, "revokeRobotToken",
              "Revoke a robot's access token"),
    # Roles and rules
    Operation(_GET, "/roles", roles.show_roles, _ADMIN, "listRoles", "List roles", query=Paging, gives=doc.Roles),
    Operation(_POST, "/roles", roles.create_role, _ADMIN, "createRole", "Add a role", takes=new.NewRole, gives=doc.Role,
              created=True, errors=_CLASH),
    Operation(_GET, "/roles/{role}", roles.show_role, _ADMIN, "getRole", "Show a role", gives=doc.Role),
    Operation(_PATCH, "/roles/{role}", roles.change_role, _ADMIN, "changeRole", "Rename a role, let it count or not",
              takes=new.RoleChange, gives=doc.Role, errors=_CLASH),
    Operation(_DELETE, "/roles/{role}", roles.delete_role, _ADMIN, "deleteRole", "Delete a role"),
    Operation(_GET, "/roles/{role}/rules", roles.show_rules, _ADMIN, "listRules", "List the rules of a role",
              query=Paging, gives=doc.Rules),
    Operation(_POST, "/roles/{role}/rules", roles.add_rule, _ADMIN, "addRule", "Add a rule", takes=new.NewRule,
              gives=doc.Rule, created=True, errors=_CLASH),
    Operation(_PUT, "/roles/{role}/rules/{id}", roles.replace_rule, _ADMIN, "replaceRule", "Replace a rule",
              takes=new.NewRule, gives=doc.Rule, errors=_CLASH),
    Operation(_DELETE, "/roles/{role}/rules/{id}", roles.delete_rule, _ADMIN, "deleteRule", "Delete a rule"),
    Operation(_POST, "/roles/{role}/rules/try", roles.try_new_rule, _ADMIN, "tryNewRule",
              "What a new rule would change", takes=new.NewRule, gives=doc.Trial, errors=_CLASH),
    Operation(_POST, "/roles/{role}/rules/{id}/try", roles.try_rule_change, _ADMIN, "tryRuleChange",
              "What a change of a rule would change", takes=new.RuleChange, gives=doc.Trial, errors=_CLASH),
    # Groups
    Operation(_GET, "/groups", groups.show_groups, _ADMIN, "listGroups", "List groups", query=Paging, gives=doc.Groups),
    Operation(_POST, "/groups", groups.create_group, _ADMIN, "createGroup", "Add a group", takes=new.NewGroup,
              gives=doc.Group, created=True, errors=_CLASH),
    Operation(_GET, "/groups/{group}", groups.show_group, _ADMIN, "getGroup", "Show a group", gives=doc.Group),
    Operation(_PATCH, "/groups/{group}", groups.change_group, _ADMIN, "changeGroup", "Change name or comment",
              takes=new.GroupChange, gives=doc.Group, errors=_CLASH),
    Operation(_DELETE, "/groups/{group}", groups.delete_group, _ADMIN, "deleteGroup", "Delete a group"),
    Operation(_PUT, "/groups/{group}/members/{name}", groups.add_member, _ADMIN, "addMember", "Take an account in"),
    Operation(_DELETE, "/groups/{group}/members/{name}", groups.remove_member, _ADMIN, "removeMember",
              "Let an account go"),
    Operation(_PUT, "/groups/{group}/roles/{role}", groups.grant_role, _ADMIN, "grantGroupRole",
              "Give all members a role"),
    Operation(_DELETE, "/groups/{group}/roles/{role}", groups.revoke_role, _ADMIN, "revokeGroupRole",
              "Take a role from all members"),
    # Looking
    Operation(_GET, "/tokens", show_all_tokens, _ADMIN, "listAllTokens", "List the access tokens of all accounts",
              query=Paging, gives=doc.AccessTokens),
    Operation(_GET, "/access", insight.explain_access, _ADMIN, "explainAccess", "Why something is allowed or not",
              query=AccessQuery, gives=doc.Explanation),
    Operation(_GET, "/events", insight.show_events, Right.BROWSE, "listEvents", "What happened in the registry",
              query=EventsQuery, gives=doc.Events, via=Via.LIMITED_TOKEN),
    Operation(_GET, "/audit", insight.show_audit, _ADMIN, "listAudit", "Who changed what", query=AuditQuery,
              gives=doc.AuditEntries),
)
"""Below PREFIX. Nothing changes anything by GET."""
# fmt: on


def add_routes(app: web.Application) -> None:
    """Give the application the routes of the table; GET answers HEAD as well."""
    for operation in OPERATIONS:
        answer, path = endpoint(operation), PREFIX + operation.path.replace("{id}", "{id:[0-9]+}")
        for method in ("GET", "HEAD") if operation.reads else (operation.method,):
            app[NEEDS][app.router.add_route(method, path, answer)] = Needs.MACHINE
