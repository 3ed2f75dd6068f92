"""Every operation of the API, for everyone who may knock: what is refused changes nothing."""

import sqlite3
from dataclasses import dataclass

import pytest

from tests.kit.actors import ADMIN
from tests.kit.api import PREFIX, program, program_with, token_of
from tests.web.conftest import PASSWORD
from web_service.api import OPERATIONS
from web_service.api.operations import Right, Via
from web_service.audit import Wanted
from web_service.models import AccessTokenRow
from web_service.roles import RuleDraft

SELF = """
    whoAmI listOwnTokens createOwnToken revokeOwnToken listOwnRefreshTokens revokeOwnRefreshToken setOwnPassword
"""
ADMINS = """
    listUsers createUser getUser changeUser deleteUser setPassword grantRole revokeRole
    listTokens createToken revokeToken listRefreshTokens revokeRefreshToken
    listRobots createRobot getRobot deleteRobot listRobotTokens createRobotToken revokeRobotToken
    listRoles createRole getRole changeRole deleteRole listRules addRule replaceRule deleteRule tryNewRule tryRuleChange
    listGroups createGroup getGroup changeGroup deleteGroup addMember removeMember grantGroupRole revokeGroupRole
    listAllTokens explainAccess listAudit
"""
RULES = {
    "describe": Right.OPEN,
    "listEvents": Right.BROWSE,
    **dict.fromkeys(SELF.split(), Right.SELF),
    **dict.fromkeys(ADMINS.split(), Right.ADMIN),
}
PASSWORD_ONLY = {"setOwnPassword", "setPassword"}
LIMITED = {"whoAmI", "listEvents"}
BODIES = {
    "createOwnToken": {"name": "fresh", "days": 1},
    "createToken": {"name": "fresh", "limits": ["team/**:pull"], "days": 1},
    "createRobotToken": {"name": "fresh", "days": 1},
    "createUser": {"name": "new"},
    "createRobot": {"name": "newbot", "rules": ["team/**:push"], "token": {"name": "first", "days": 1}},
    "createRole": {"name": "new role"},
    "createGroup": {"name": "new group"},
    "changeUser": {"enabled": False},
    "changeRole": {"enabled": False},
    "changeGroup": {"comment": "changed"},
    "setOwnPassword": {"password": "another horse"},
    "setPassword": {"password": "another horse"},
    "addRule": {"repository": "x", "level": "pull"},
    "replaceRule": {"repository": "x", "level": "push"},
    "tryNewRule": {"repository": "x", "level": "pull"},
    "tryRuleChange": {"rule": None},
}
QUERIES = {"explainAccess": "?repository=team/app"}


@dataclass(frozen=True)
class Persona:
    """Who knocks: with what right, with what token (None for a password), and whether the credentials count."""

    right: Right
    api: str | None = None
    limits: tuple[str, ...] = ()
    valid: bool = True


PERSONAS = {
    "anonymous": Persona(Right.OPEN, valid=False),
    "wrong password": Persona(Right.ADMIN, valid=False),
    "plain": Persona(Right.SELF),
    "browser": Persona(Right.BROWSE),
    "deleter": Persona(Right.BROWSE),
    "boss": Persona(Right.ADMIN),
    "disabled": Persona(Right.ADMIN, valid=False),
    "robot": Persona(Right.SELF, "write"),
    "robot that administers": Persona(Right.ADMIN, "write"),
    "plain writer": Persona(Right.SELF, "write"),
    "no api": Persona(Right.ADMIN, "none"),
    "reader": Persona(Right.ADMIN, "read"),
    "writer": Persona(Right.ADMIN, "write"),
    "limited": Persona(Right.ADMIN, "read", ("team/**:pull",)),
    "revoked": Persona(Right.ADMIN, "write", valid=False),
    "expired": Persona(Right.ADMIN, "write", valid=False),
    "disabled with a token": Persona(Right.ADMIN, "write", valid=False),
}
ROLES = {"plain": ("write-all",), "browser": ("UI_USER", "read-all"), "deleter": ("UI_USER", "read-all", "UI_DELETE")}
RANKS = {None: 2, "none": 0, "read": 1, "write": 2}
ORDER = [Right.OPEN, Right.SELF, Right.BROWSE, Right.ADMIN]


def is_admitted(operation, persona):
    right = RULES[operation.id]
    if right is Right.OPEN:
        return True
    by_token = persona.api is not None
    if RANKS[persona.api] < (1 if operation.method == "GET" else 2):
        return False
    if by_token and (operation.id in PASSWORD_ONLY or (persona.limits and operation.id not in LIMITED)):
        return False
    return persona.valid and ORDER.index(persona.right) >= ORDER.index(right)


async def knocking(console, name):
    """Return the program of a persona, and the account it uses."""
    persona = PERSONAS[name]
    if name == "anonymous":
        return await program(console, ""), "admin"
    account = name.replace(" ", "-")
    if name.startswith("robot"):
        await console.parts.users.create_robot(account, by=ADMIN)
    else:
        await console.user(account, *ROLES.get(name, ()))
    user = await console.parts.users.named(account)
    if persona.right is Right.ADMIN:
        role = await console.parts.roles.named("UI_ADMIN")
        await console.parts.users.grant(user.id, role.id, by=ADMIN)
    caller = await program(console, account, "wrong" if name == "wrong password" else PASSWORD)
    if persona.api is not None:
        token, secret = await token_of(console, account, persona.api, *persona.limits)
        caller = await program_with(console, secret)
        if name == "revoked":
            await console.parts.access_tokens.revoke(user.id, token.id, by=ADMIN)
        if name == "expired":
            held = AccessTokenRow.update(expires=1).where(AccessTokenRow.id == token.id)
            await console.parts.database.write(held.execute)
    if name.startswith("disabled"):
        await console.parts.users.set_enabled(user.id, enabled=False, by=ADMIN)
    return caller, account


async def furnished(console, number, account):
    """Make one of everything to work on, and return the names and numbers by the beginning of paths."""
    parts = console.parts
    user = await console.user(f"subject{number}")
    robot = await parts.users.create_robot(f"bot{number}", by=ADMIN)
    role = await parts.roles.create(f"role {number}", by=ADMIN)
    rule = await parts.roles.add_rule(role.id, RuleDraft("*", "x", "pull"), by=ADMIN)
    group = await parts.groups.create(f"group {number}", by=ADMIN)
    await parts.users.grant(user.id, role.id, by=ADMIN)
    await parts.groups.add_member(group.id, user.id, by=ADMIN)
    await parts.groups.grant(group.id, role.id, by=ADMIN)
    found = {"{role}": role.name, "{group}": group.name, "/roles/{role}/rules/{id}": rule.id}
    for prefix, owner in (("/users/{name}", user.name), ("/robots/{name}", robot.name), ("/user", account)):
        owner_id = (await parts.users.named(owner)).id
        token, _ = await token_of(console, owner, label=f"held {number}")
        await parts.refresh_tokens.create(owner_id, "docker", by=ADMIN)
        refresh = (await parts.refresh_tokens.of_user(owner_id))[0]
        found |= {f"{prefix}/tokens/{{id}}": token.id, f"{prefix}/refresh-tokens/{{id}}": refresh.id, prefix: owner}
    return found


def filled(operation, found):
    number = next((value for start, value in found.items() if operation.path.startswith(start) and "{id}" in start), 0)
    kind = "/robots/{name}" if operation.path.startswith("/robots") else "/users/{name}"
    path = operation.path.replace("{name}", found[kind]).replace("{id}", str(number))
    return path.replace("{role}", found["{role}"]).replace("{group}", found["{group}"]) + QUERIES.get(operation.id, "")


def contents(console):
    """Return all that the database holds but the audit trail, which `lines` returns."""
    with sqlite3.connect(console.parts.database.place) as connection:
        dump = list(connection.iterdump())
    connection.close()
    return [line for line in dump if '"audit"' not in line.partition("VALUES")[0] and "sqlite_sequence" not in line]


async def lines(console):
    """Return the lines of the audit trail, the oldest first."""
    entries = (await console.parts.audit.page(Wanted(), size=10_000)).entries
    return [(one.actor, one.via, one.action, one.subject) for one in reversed(entries)]


@pytest.mark.parametrize("name", PERSONAS)
async def test_every_operation_is_for_whom_the_table_says(console, name):
    caller, account = await knocking(console, name)
    shared = await furnished(console, "", account)
    await caller.call("GET", "/user")  # the use of a token is noted once a minute
    before = contents(console)
    refused = [one for one in OPERATIONS if not is_admitted(one, PERSONAS[name])]
    trail = await lines(console)
    for operation in refused:
        path = filled(operation, shared)
        status, found = await caller.call(operation.method, path, BODIES.get(operation.id))
        expected = {403} if PERSONAS[name].valid else {401, 429} if name == "wrong password" else {401}
        assert status in expected, (operation.id, status, found)
        assert found["errors"][0]["code"] in ("DENIED", "UNAUTHORIZED", "TOOMANYREQUESTS")
        assert contents(console) == before, operation.id
        now = await lines(console)
        assert now[: len(trail)] == trail, operation.id
        if status == 403:
            line = (account, "api", "request.refused", f"{operation.method} {PREFIX}{path.partition('?')[0]}")
            assert now[len(trail) :] == [line] * (line not in trail), operation.id  # once an hour
        else:
            assert {action for _, _, action, _ in now[len(trail) :]} <= {"signin.refused", "signin.locked"}
        trail = now
    admitted = [one for one in OPERATIONS if is_admitted(one, PERSONAS[name])]
    for number, operation in enumerate(sorted(admitted, key=lambda one: one.id == "setOwnPassword")):
        mine = await furnished(console, number, account)
        status, found = await caller.call(operation.method, filled(operation, mine), BODIES.get(operation.id))
        assert status == operation.status, (operation.id, status, found)
    assert len(refused) + len(admitted) == len(RULES)


async def test_reading_changes_nothing(console):
    caller, account = await knocking(console, "boss")
    shared = await furnished(console, "", account)
    before = contents(console)
    for operation in OPERATIONS:
        if operation.method == "GET":
            for method in ("GET", "HEAD"):
                await caller.call(method, filled(operation, shared))
                assert caller.answer.status == 200, operation.id
    assert contents(console) == before


def test_every_operation_has_a_rule_and_every_rule_an_operation():
    """A new operation without a line in RULES fails here, and so does one whose right is another."""
    assert {one.id: one.right for one in OPERATIONS} == RULES
    assert {one.id for one in OPERATIONS if one.via is Via.PASSWORD} == PASSWORD_ONLY
    assert {one.id for one in OPERATIONS if one.via is Via.LIMITED_TOKEN} == LIMITED
    assert len({(one.method, one.path) for one in OPERATIONS}) == len(OPERATIONS) == len(RULES)


def test_no_page_of_another_site_can_send_a_change():
    """A browser that knows a Basic password sends it along with what a foreign page may send unasked: a POST of a form.

    All else it asks us for first, and we never say yes: other methods, and JSON, which every POST must be.
    """
    assert all(one.takes for one in OPERATIONS if one.method == "POST")
    assert {one.method for one in OPERATIONS if not one.takes} == {"GET", "PUT", "DELETE"}


async def test_every_route_of_the_api_is_an_operation(console):
    routes = {
        (route.method, route.resource.canonical)
        for route in console.server.app.router.routes()
        if route.resource.canonical.startswith("/api/v1")
    }
    known = {(one.method, PREFIX + one.path) for one in OPERATIONS}
    assert routes == known | {("HEAD", path) for method, path in known if method == "GET"}


async def test_without_accounts_there_is_no_api(start, with_registry):
    console = await start(with_registry(auth={"enabled": False}))
    caller = await program(console)
    values = {"{role}": "read-all", "{group}": "g", "/users/{name}": "admin", "/robots/{name}": "ci"}
    for operation in OPERATIONS:
        status, found = await caller.call(operation.method, filled(operation, values), BODIES.get(operation.id))
        assert (status, found["errors"][0]["code"]) == (404, "NOTFOUND"), operation.id
