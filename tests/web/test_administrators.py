"""Who acts is looked at again in the transaction of the change: what was true a moment ago may not be."""

import asyncio
import base64
import json

import pytest

from tests.kit.actors import ADMIN
from tests.web.conftest import PASSWORD
from web_service.access_tokens import AccessTokens, Api, Draft
from web_service.actors import Actor, Via
from web_service.administrators import check_actor
from web_service.errors import Refused
from web_service.roles import RuleDraft


async def role_id(roles, name):
    return (await roles.named(name)).id


@pytest.fixture
async def boss(users, roles):
    user = await users.create("boss", "hash", by=ADMIN)
    await users.grant(user.id, await role_id(roles, "UI_ADMIN"), by=ADMIN)
    return await users.get(user.id)


def as_admin(user):
    return Actor(user.name, Via.CONSOLE, "127.0.0.1", user.id, as_admin=True)


LOSSES = {
    "disabled": lambda users, _, boss: users.set_enabled(boss.id, enabled=False, by=ADMIN),
    "deleted": lambda users, _, boss: users.delete(boss.id, by=ADMIN),
    "renamed": lambda users, _, boss: users.rename(boss.id, "other", by=ADMIN),
    "demoted": lambda users, admin, boss: users.revoke(boss.id, admin, by=ADMIN),
}


@pytest.mark.parametrize("how", LOSSES)
async def test_who_may_no_more_changes_nothing_more(users, roles, boss, how):
    await users.create("first", "hash", by=as_admin(boss))
    await LOSSES[how](users, await role_id(roles, "UI_ADMIN"), boss)
    role = await role_id(roles, "read-all")
    for attempt in (
        users.create("second", "hash", by=as_admin(boss)),
        users.grant(1, role, by=as_admin(boss)),
        roles.add_rule(role, RuleDraft("*", "**", "admin"), by=as_admin(boss)),
    ):
        with pytest.raises(Refused, match="nothing was changed"):
            await attempt
    assert await users.named("second") is None


async def test_a_new_user_with_the_id_of_a_deleted_one_is_somebody_else(users, database, boss):
    await users.delete(boss.id, by=ADMIN)
    heir = await users.create("heir", "hash", by=ADMIN)
    stale = Actor("boss", Via.API, "127.0.0.1", heir.id)  # as SQLite once gave the highest id again
    with pytest.raises(Refused):
        await AccessTokens(database).create(heir.id, Draft("mine", 1), by=stale)
    assert await AccessTokens(database).of_user(heir.id) == []


async def test_a_token_that_was_revoked_makes_no_other(users, database, boss):
    tokens = AccessTokens(database)
    minter, _ = await tokens.create(boss.id, Draft("minter", 1, api=Api.WRITE), by=as_admin(boss))
    await tokens.revoke(boss.id, minter.id, by=ADMIN)
    with pytest.raises(Refused, match="revoked in the meantime"):
        await tokens.create(boss.id, Draft("mine", 1), by=as_admin(boss), minted_with=minter)


async def test_who_has_no_id_needs_no_account(database):
    await database.read(check_actor, Actor("root", Via.SHELL))


@pytest.mark.parametrize("account", ["robot", "nobody knows the password"])
async def test_an_administrator_who_cannot_sign_in_is_none_to_rely_on(users, roles, account):
    ui_admin = await role_id(roles, "UI_ADMIN")
    made = await (users.create_robot("ci", by=ADMIN) if account == "robot" else users.create("ghost", "", by=ADMIN))
    await users.grant(made.id, ui_admin, by=ADMIN)
    with pytest.raises(Refused, match="last administrator"):
        await users.revoke((await users.named("admin")).id, ui_admin, by=ADMIN)


async def held_back(console, lines, body, meanwhile):
    """Send a request whose body stops before its end while something happens; return the status of the answer."""
    reader, writer = await asyncio.open_connection(console.server.host, console.server.port)
    head = [*lines, "Host: console", "Connection: close", f"Content-Length: {len(body)}", "", ""]
    writer.write("\r\n".join(head).encode() + body[:5])
    await writer.drain()
    await asyncio.sleep(0.2)
    await meanwhile()
    writer.write(body[5:])
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(answer.split()[1])


async def test_rights_are_looked_at_when_all_of_a_request_is_there(console):
    boss = await console.user("boss", "UI_ADMIN")
    credentials = base64.b64encode(f"boss:{PASSWORD}".encode()).decode()
    lines = ["POST /api/v1/robots HTTP/1.1", f"Authorization: Basic {credentials}", "Content-Type: application/json"]
    body = json.dumps({"name": "held", "rules": ["**:push"], "token": {"name": "x", "days": 0}}).encode()

    async def disable():
        await console.parts.users.set_enabled(boss.id, enabled=False, by=ADMIN)

    assert await held_back(console, lines, body, disable) == 401
    assert await console.parts.users.named("held") is None


async def test_a_form_that_arrives_late_is_that_of_nobody_when_its_session_has_ended(console):
    boss = await console.user("boss", "UI_ADMIN")
    visitor = await console.visitor("boss")
    csrf = await visitor.csrf()
    jar = visitor.client.session.cookie_jar.filter_cookies(console.server.make_url("/"))
    cookies = "; ".join(f"{key}={morsel.value}" for key, morsel in jar.items())
    lines = ["POST /role/create HTTP/1.1", f"Cookie: {cookies}", "Content-Type: application/x-www-form-urlencoded"]

    async def nothing():
        return None

    async def disable():
        await console.parts.users.set_enabled(boss.id, enabled=False, by=ADMIN)

    assert await held_back(console, lines, f"name=first&csrf={csrf}".encode(), nothing) == 303
    assert await held_back(console, lines, f"name=held&csrf={csrf}".encode(), disable) in (303, 403)
    names = {role.name for role in await console.parts.roles.all()}
    assert "first" in names
    assert "held" not in names
