"""Every route of the table, for everyone who may knock."""

import re

import pytest

from tests.kit.actors import ADMIN
from tests.kit.reading import contents
from web_service.access_tokens import Draft
from web_service.audit import Wanted
from web_service.models import AuditRow
from web_service.roles import RuleDraft
from web_service.views import ROUTES
from web_service.views.routing import Needs, Route

PERSONAS = {
    "anonymous": None,
    "plain": ("write-all",),
    "browser": ("UI_USER", "read-all"),
    "deleter": ("UI_USER", "read-all", "UI_DELETE"),
    "boss": ("UI_ADMIN",),
}
MAY = {
    Needs.OPEN: set(PERSONAS),
    Needs.SIGNED_IN: set(PERSONAS) - {"anonymous"},
    Needs.BROWSE: {"browser", "deleter", "boss"},
    Needs.LOOK: {"browser", "deleter", "boss"},
    Needs.ADMIN: {"boss"},
    Needs.OPERATE: {"boss"},
}
PAGES = [route for route in ROUTES if route.needs is not Needs.MACHINE]
CHANGES = [route for route in PAGES if route.method == "POST"]


def ids(routes):
    return [f"{route.method} {route.path}" for route in routes]


async def furnished(console, registry):
    """A console with an image, a user and more to work on; returns the values of the paths."""
    registry.add_image("team/app", "1.0")
    subject = await console.user("subject", "read-all")
    role = await console.parts.roles.create("some role", by=ADMIN)
    await console.parts.roles.add_rule(role.id, RuleDraft("*", "x", "pull"), by=ADMIN)
    rule = (await console.parts.roles.get(role.id)).rules[0].id
    token, _ = await console.parts.access_tokens.create(subject.id, Draft("token", 1), by=ADMIN)
    group = await console.parts.groups.create("some group", by=ADMIN)
    robot = await console.parts.users.create_robot("robot", by=ADMIN)
    ids = {"/user": subject.id, "/role": role.id, "/group": group.id, "/robot": robot.id}
    return {"{name:.+}": "team/app", "{tag}": "1.0", "{rule:": str(rule), "{token:": str(token.id), **ids}


def filled(path, values):
    parts = []
    for part in path.split("/"):
        if part.startswith("{id:"):
            parts.append(str(values[f"/{path.split('/')[1]}"]))
        elif part.startswith(("{rule:", "{token:")):
            parts.append(values[part[: part.index(":") + 1]])
        else:
            parts.append(values.get(part, part))
    return "/".join(parts)


async def knock(visitor, route, values):
    path = filled(route.path, values)
    return await (visitor.get(path) if route.method == "GET" else visitor.post(path))


def check(route, persona, response):
    allowed = {"deleter"} if "/repo/delete/" in route.path else MAY[route.needs]
    if persona in allowed:
        refused_name = (route.path, response.status) == ("/login", 401)
        assert response.status not in (401, 403, 500) or refused_name, route
        assert "/login?" not in response.headers.get("Location", ""), route
    elif persona == "anonymous":
        assert (response.status, response.headers["Location"][:6]) == (303, "/login"), route
    else:
        assert response.status == 403, route


@pytest.mark.parametrize("persona", [name for name in PERSONAS if name != "boss"])
async def test_each_route_is_open_to_whom_the_table_says(console, registry, persona):
    values = await furnished(console, registry)
    roles = PERSONAS[persona]
    visitor = await console.visitor() if roles is None else await console.member(persona, *roles)
    for route in sorted(PAGES, key=lambda route: route.path == "/logout"):
        check(route, persona, await knock(visitor, route, values))


@pytest.mark.parametrize("persona", ["anonymous", "plain"])
async def test_while_the_role_anonymous_is_enabled_everybody_may_look_and_no_more(console, registry, persona):
    values = await furnished(console, registry)
    await console.open_to_everybody(RuleDraft("*", "team/**", "admin"), RuleDraft("local", "**", "ui-delete"))
    visitor = await console.visitor() if persona == "anonymous" else await console.member(persona, "write-all")
    for route in sorted(PAGES, key=lambda route: route.path == "/logout"):
        response = await knock(visitor, route, values)
        if route.needs is Needs.LOOK:
            assert response.status == 200, route
        elif persona not in MAY[route.needs]:
            assert response.status == (303 if persona == "anonymous" else 403), route
    assert "1.0" in registry.tags["team/app"]


@pytest.mark.parametrize("route", PAGES, ids=ids(PAGES))
async def test_each_route_is_open_to_administrators_but_deletion_of_images(console, registry, route):
    values = await furnished(console, registry)
    check(route, "boss", await knock(await console.member("boss", "UI_ADMIN"), route, values))


@pytest.mark.parametrize(
    ("fields", "headers"),
    [
        ({"csrf": ""}, {}),
        ({"csrf": "0" * 64}, {}),
        ({}, {"Origin": "http://evil.example"}),
        ({}, {"Origin": "null"}),
        ({}, {"Sec-Fetch-Site": "cross-site"}),
        ({}, {"Sec-Fetch-Site": "same-site"}),
    ],
)
async def test_a_form_that_is_not_ours_changes_nothing(console, registry, fields, headers):
    values = await furnished(console, registry)
    member = await console.member("boss", "UI_ADMIN", "UI_DELETE")
    before, refused = contents(console.parts.database.place), []
    for route in CHANGES:
        path = filled(route.path, values)
        response = await member.post(path, headers=headers, **fields)
        assert (route, response.status) == (route, 403)
        refused.append(("boss", "request.refused", f"POST {path}"))
    new = (await console.parts.audit.page(Wanted(), size=len(refused))).entries
    assert [(one.actor, one.action, one.subject) for one in reversed(new)] == refused
    await console.parts.database.write(AuditRow.delete().where(AuditRow.id.in_([one.id for one in new])).execute)
    assert contents(console.parts.database.place) == before
    assert "1.0" in registry.tags["team/app"]


async def test_no_page_changes_anything_by_get(console, registry):
    values = await furnished(console, registry)
    member = await console.member("boss", "UI_ADMIN", "UI_DELETE")
    before = contents(console.parts.database.place)
    for route in ROUTES:
        response = await member.get(filled(route.path, values))
        assert response.status < 500
    assert contents(console.parts.database.place) == before
    assert {method for method, _, _ in registry.requests} <= {"GET", "HEAD"}


async def test_a_form_with_the_origin_of_the_page_is_accepted(console):
    admin = await console.admin()
    origin = f"http://{console.server.host}:{console.server.port}"
    for headers in ({"Origin": origin}, {"Sec-Fetch-Site": "same-origin"}, {}):
        response = await admin.post("/role/create", headers=headers, name="role" + "".join(headers))
        assert response.status == 303


def test_what_says_nothing_is_for_signed_in_users():
    assert Route("GET", "/x", None).needs is Needs.SIGNED_IN


def test_the_table_names_each_route_once():
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


async def test_unknown_pages_and_methods_are_told_kindly(console):
    visitor = await console.visitor()
    response = await visitor.get("/nowhere")
    assert response.status == 404
    assert "There is no such page." in await response.text()
    response = await visitor.get("/logout")
    assert (response.status, response.headers["Allow"]) == (405, "POST")
    response = await visitor.get("/api/nowhere")
    assert (response.status, (await response.json())["errors"][0]["message"]) == (404, "There is no such page.")


async def test_every_answer_carries_the_security_headers(console):
    visitor = await console.visitor()
    for path in ("/login", "/", "/nowhere", "/api/health", "/api/auth", "/static/console.css"):
        headers = (await visitor.get(path)).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"


async def test_head_is_answered_like_get(console):
    client = await console.new_client(console.server)
    assert (await client.head("/api/health")).status == 200
    assert (await client.head("/login")).status == 200


async def test_an_error_in_a_view_is_told_without_its_reason_and_logged_with_it(console, monkeypatch, caplog):
    admin = await console.admin()

    async def broken(*_):
        raise RuntimeError("deep inside")

    monkeypatch.setattr(type(console.parts.users), "all", broken)
    response = await admin.get("/user/index")
    text = await response.text()
    assert response.status == 500
    assert "Something went wrong" in text
    assert "deep inside" not in text
    assert "deep inside" in caplog.text


async def test_without_accounts_everything_is_open_but_what_is_about_accounts(start, with_registry, registry):
    registry.add_image("team/app", "1.0")
    console = await start(with_registry(auth={"enabled": False}))
    visitor = await console.visitor()
    ids = dict.fromkeys(("/user", "/role", "/group", "/robot"), 1)
    values = {"{name:.+}": "team/app", "{tag}": "1.0", "{rule:": "1", "{token:": "1", **ids}
    for route in PAGES:
        if route.method == "GET":
            response = await visitor.get(filled(route.path, values))
            expected = 303 if route.path == "/login" else 404 if route.needs in (Needs.SIGNED_IN, Needs.ADMIN) else 200
            assert (route.path, response.status) == (route.path, expected)


async def test_without_accounts_anybody_may_delete(start, with_registry, registry):
    registry.add_image("team/app", "1.0")
    console = await start(with_registry(auth={"enabled": False}))
    client = await console.new_client(console.server)
    page = await (await client.get("/repo/delete/team/app/1.0")).text()
    fields = dict(re.findall(r'name="(csrf|digest|tags)" value="([^"]+)"', page))
    response = await client.post("/repo/delete/team/app/1.0", data=fields, allow_redirects=False)
    assert response.status == 303
    assert registry.tags["team/app"] == {}
    del fields["csrf"]
    assert (await client.post("/repo/delete/team/app/1.0", data=fields)).status == 403


async def test_a_page_that_is_not_there_looks_like_the_others_to_who_has_signed_in(console):
    admin = await console.admin()
    for path in ("/nowhere", "/role/create"):
        response = await admin.get(path)
        assert response.status in (404, 405)
        assert 'href="/user/index"' in await response.text()
