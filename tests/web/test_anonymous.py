"""The role anonymous: what everybody may do without signing in, while it is enabled and not a moment longer."""

import jwt
import pytest
from aiohttp import encode_basic_auth

from tests.kit.actors import ADMIN
from web_service.events import Event
from web_service.roles import RuleDraft

PUBLIC = RuleDraft("*", "public/**", "pull")


def claims(body):
    return jwt.decode(body["token"], options={"verify_signature": False})


async def ask(console, scope, authorization=None):
    client = await console.new_client(console.server)
    headers = {} if authorization is None else {"Authorization": authorization}
    return await client.get("/api/auth", params={"scope": scope}, headers=headers)


async def test_without_it_nobody_gets_a_token_or_a_page(console):
    assert (await ask(console, "repository:public/app:pull")).status == 401
    assert (await (await console.visitor()).get("/")).headers["Location"] == "/login"


@pytest.mark.parametrize(
    ("scope", "granted"),
    [
        ("repository:public/app:pull", ["pull"]),
        ("repository:public/app:pull,push", ["pull"]),
        ("repository:public/app:push,delete,*", None),
        ("repository:team/app:pull", None),
        ("repository:public/own/app:push", None),
        ("repository:user/app:pull", None),
        ("registry:catalog:*", ["list"]),
    ],
)
async def test_a_token_without_credentials_names_nobody_and_permits_what_the_rules_say(console, scope, granted):
    await console.open_to_everybody(PUBLIC, RuleDraft("*", "{user}**", "admin"), RuleDraft("10.0.0.0/8", "**", "push"))
    response = await ask(console, scope)
    told = claims(await response.json())
    assert (response.status, told["sub"]) == (200, "")
    assert [entry["actions"] for entry in told["access"]] == ([] if granted is None else [granted])
    assert told.get("readable") == (["public/**"] if granted == ["list"] else None)


@pytest.mark.parametrize(
    "header",
    ["", "Basic", "Bearer x", "Basic !!!", encode_basic_auth("admin", "wrong"), encode_basic_auth("nobody", "x"),
     encode_basic_auth("", "")],
)  # fmt: skip
async def test_wrong_credentials_are_refused_all_the_same(console, header):
    await console.open_to_everybody(PUBLIC)
    response = await ask(console, "repository:public/app:pull", header)
    assert response.status == 401
    assert "token" not in await response.json()


async def test_a_form_without_credentials_is_no_form(console):
    await console.open_to_everybody(PUBLIC)
    client = await console.new_client(console.server)
    response = await client.post("/api/auth", data={"grant_type": "password", "scope": "repository:public/app:pull"})
    assert response.status == 400


async def test_it_ends_with_the_role(console):
    await console.open_to_everybody(PUBLIC)
    visitor = await console.visitor()
    assert (await visitor.get("/")).status == 200
    role = next(role for role in await console.parts.roles.all() if role.is_anonymous)
    await console.parts.roles.set_enabled(role.id, enabled=False, by=ADMIN)
    assert (await visitor.get("/")).status == 303
    assert (await ask(console, "repository:public/app:pull")).status == 401


async def test_the_console_shows_what_is_public_and_nothing_else(console, registry):
    registry.add_image("public/app", "1.0")
    registry.add_image("team/app", "1.0")
    await console.open_to_everybody(PUBLIC, RuleDraft("local", "**", "ui-delete"))
    visitor = await console.visitor()
    page = await visitor.text("/")
    assert "public/app" in page
    assert "team/app" not in page
    assert "/login?next=/" in page
    for word in ("/repo/delete/", "/event/index", "/user/index", "Sign out", "/access"):
        assert word not in page
    for path in ("/repo/tags/public/app", "/repo/tag/public/app/1.0", "/repo/details/public/app/1.0"):
        assert "/repo/delete/" not in await visitor.text(path)
    for path in ("/repo/tags/team/app", "/repo/tag/team/app/1.0", "/repo/details/team/app/1.0"):
        assert (await visitor.get(path)).status == 404
    response = await visitor.post("/repo/delete/public/app/1.0", digest="x", tags="1.0")
    assert (response.status, response.headers["Location"]) == (303, "/login")
    assert registry.tags["public/app"]


async def test_an_empty_public_console_asks_to_sign_in(console):
    await console.open_to_everybody()
    page = await (await console.visitor()).text("/")
    assert "No image is public. Sign in to see more." in page
    assert "docker push" not in page


async def test_who_has_signed_in_may_do_as_much(console, registry):
    registry.add_image("public/app", "1.0")
    registry.add_image("public/secret", "1.0")
    registry.add_image("own/app", "1.0")
    await console.open_to_everybody(PUBLIC, RuleDraft("*", "public/secret", "deny"))
    member = await console.member_with("dev", RuleDraft("*", "own/**", "pull"), roles=())
    page = await member.text("/")
    assert "public/app" in page
    assert "own/app" not in page, "the console shows those without UI_USER what is public"
    assert "public/secret" not in page
    for scope, granted in (("public/app", True), ("public/secret", False), ("own/app", True)):
        response = await ask(console, f"repository:{scope}:pull", encode_basic_auth("dev", "correct horse"))
        assert bool(claims(await response.json())["access"]) is granted
    reader = await console.member("reader", "UI_USER", "read-all")
    assert "public/secret" in await reader.text("/"), "a public deny is no business of other roles"


async def test_events_stay_with_those_who_may_see_them(console):
    await console.parts.events.record([Event("1", 1_767_323_045, "", "pull", "public/app")])
    await console.open_to_everybody(PUBLIC)
    response = await (await console.visitor()).get("/event/index")
    assert response.headers["Location"].startswith("/login")
    assert "public/app" in await (await console.admin()).text("/event/index")


async def test_its_page_warns_and_offers_neither_a_name_nor_an_end(console):
    admin = await console.admin()
    role = next(role for role in await console.parts.roles.all() if role.is_anonymous)
    page = await admin.text(f"/role/show/{role.id}")
    assert "everybody who can reach this server may do without signing in what its rules allow" in page
    for word in (f"/role/rename/{role.id}", f"/role/delete/{role.id}", "Granted to"):
        assert word not in page
    assert f"/role/addAcl/{role.id}" in page
    for path in (f"/role/rename/{role.id}", f"/role/delete/{role.id}"):
        assert (await admin.post(path, name="other")).status == 403
    await admin.post(f"/role/update/{role.id}", enabled="1")
    assert (await console.parts.users.anonymous()) == ()
    user = await console.user("dev")
    assert f'value="{role.id}"' not in await admin.text(f"/user/show/{user.id}")
    assert (await admin.post(f"/user/addRole/{user.id}", role=str(role.id))).status == 403
