"""Access tokens and clients in the browser: made, shown once, listed, revoked, and nobody else's."""

import html
import logging
import re

import pytest

from tests.kit.actors import ADMIN
from web_service.access_tokens import Draft
from web_service.audit import Wanted
from web_service.models import AccessTokenRow

SECRET = re.compile(r"ck[prf]_[0-9A-Za-z]{40}")
HOSTILE = '"><script>alert(1)</script>'


async def named(console, name):
    return await console.parts.users.named(name)


async def tokens_of(console, name):
    return await console.parts.access_tokens.of_user((await named(console, name)).id)


async def make(visitor, path="/account/addToken", **fields):
    return await visitor.post(path, **({"name": "laptop", "days": "90", "limits": "", "api": "none"} | fields))


async def test_a_token_is_made_and_its_secret_shown_once_and_nowhere_else(console, caplog):
    caplog.set_level(logging.DEBUG)
    dev = await console.member("dev", "UI_USER", "read-all")
    response = await make(dev)
    page = await response.text()
    secrets = set(SECRET.findall(page))
    assert (response.status, response.headers["Cache-Control"], len(secrets)) == (200, "no-store", 1)
    secret = secrets.pop()
    assert "docker login -u dev registry:5000" in page
    assert "docker login -u dev --password-stdin registry:5000" in page
    assert f"-p {secret}" not in page
    assert "Set-Cookie" not in response.headers
    assert (await console.token(user="dev", password=secret)).status == 200
    admin = await console.admin()
    for visitor, path in ((dev, "/account"), (admin, f"/user/show/{(await named(console, 'dev')).id}")):
        page = await visitor.text(path)
        assert "laptop" in page
        assert f"{secret[:8]}…" in page
        assert secret not in page
    assert secret[9:] not in await admin.text("/audit/index")
    assert secret[9:] not in caplog.text


@pytest.mark.parametrize(("api", "told"), [("none", False), ("read", True), ("write", True)])
async def test_how_a_token_is_used_is_told_with_it(console, api, told):
    dev = await console.member("dev", "UI_USER")
    page = html.unescape(await (await make(dev, api=api, days="1")).text())
    command = f'curl -H "Authorization: Bearer $(cat token.txt)" http://{dev.client.host}:{dev.client.port}/api/v1/user'
    assert (command in page) == told
    assert "docker login -u dev registry:5000" in page


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"name": ""}, 400, "A token name has up to 64"),
        ({"name": "<b>"}, 400, "A token name has up to 64"),
        ({"days": ""}, 400, "Choose how long"),
        ({"days": "-1"}, 400, "Choose how long"),
        ({"days": "3651"}, 400, "Choose how long"),
        ({"days": "9" * 5000}, 400, "Choose how long"),
        ({"api": "all"}, 400, "Choose what the token may do"),
        ({"limits": "team/**"}, 400, "A limit has the form"),
        ({"limits": "team/**:deny"}, 400, "one of the levels"),
        ({"limits": "{a:pull"}, 400, "lacks the &#39;}&#39; of a group"),
        ({"limits": "team/**:pull", "api": "write"}, 400, "cannot be limited"),
        ({"limits": "\n".join(f"r{number}:pull" for number in range(60_000))}, 400, "at most 50 limits"),
    ],
)
async def test_a_token_that_cannot_be_made_shows_the_form_again(console, fields, status, words):
    dev = await console.member("dev")
    response = await make(dev, **fields)
    page = await response.text()
    assert response.status == status
    assert words in page
    assert 'name="limits"' in page
    assert fields.get("limits", "")[:20] in page
    assert not SECRET.search(page)
    assert await tokens_of(console, "dev") == []


async def test_what_was_typed_is_kept_and_a_name_is_had_once(console):
    dev = await console.member("dev")
    typed = {"name": "laptop", "days": "365", "limits": "team/**:push\r\n\r\n base:pull ", "api": "read"}
    assert (await make(dev, **typed)).status == 200
    (token,) = await tokens_of(console, "dev")
    assert [str(limit) for limit in token.limits] == ["team/**:push", "base:pull"]
    assert (token.api, token.expires - token.created) == ("read", 365 * 86400)
    response = await make(dev, **typed)
    page = await response.text()
    assert response.status == 409
    assert "already a token named laptop" in page
    assert 'value="laptop"' in page
    assert '<option value="365" selected>' in page
    assert '<option value="read" selected>' in page
    assert "team/**:push\r\n\r\n base:pull" in page
    assert (await make(dev, name="other", days="0")).status == 200
    assert {token.name: token.expires == 0 for token in await tokens_of(console, "dev")} == {
        "laptop": False,
        "other": True,
    }


async def test_a_token_is_revoked_and_signs_nobody_in_any_more(console):
    dev = await console.member("dev")
    secret = SECRET.search(await (await make(dev)).text())[0]
    (token,) = await tokens_of(console, "dev")
    assert f'action="/account/revokeToken/{token.id}"' in await dev.text("/account")
    response = await dev.post(f"/account/revokeToken/{token.id}")
    assert (response.status, response.headers["Location"]) == (303, "/account#tokens")
    assert "The token laptop was revoked." in await dev.text("/account")
    assert (await console.token(user="dev", password=secret)).status == 401
    assert (await dev.post(f"/account/revokeToken/{token.id}")).status == 404


async def test_clients_are_listed_and_revoked(console):
    dev = await console.member("dev")
    user = await named(console, "dev")
    for client in ("containerd/1.7", HOSTILE):
        await console.parts.refresh_tokens.create(user.id, client, by=ADMIN)
    page = await dev.text("/account")
    assert "containerd/1.7" in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    clients = await console.parts.refresh_tokens.of_user(user.id)
    admin = await console.admin()
    assert "containerd/1.7" in await admin.text(f"/user/show/{user.id}")
    assert (await dev.post(f"/account/revokeClient/{clients[0].id}")).headers["Location"] == "/account#clients"
    response = await admin.post(f"/user/revokeClient/{user.id}/{clients[1].id}")
    assert response.headers["Location"] == f"/user/show/{user.id}#clients"
    assert await console.parts.refresh_tokens.of_user(user.id) == []


async def test_nobody_sees_or_revokes_what_is_anothers(console):
    await console.user("ops", "UI_USER")
    dev, ops = await console.member("dev", "UI_USER"), await named(console, "ops")
    token, _ = await console.parts.access_tokens.create(ops.id, Draft("hers alone", 1), by=ADMIN)
    await console.parts.refresh_tokens.create(ops.id, "the client of ops", by=ADMIN)
    (client,) = await console.parts.refresh_tokens.of_user(ops.id)
    page = await dev.text("/account")
    assert "hers alone" not in page
    assert "the client of ops" not in page
    for path, status in (
        (f"/account/revokeToken/{token.id}", 404),
        (f"/account/revokeClient/{client.id}", 404),
        (f"/user/revokeToken/{ops.id}/{token.id}", 403),
        (f"/user/revokeClient/{ops.id}/{client.id}", 403),
        (f"/robot/addToken/{ops.id}", 403),
    ):
        assert (await dev.post(path)).status == status, path
    assert len(await tokens_of(console, "ops")) == 1
    assert len(await console.parts.refresh_tokens.of_user(ops.id)) == 1


async def test_an_administrator_revokes_but_makes_no_token_for_a_person(console):
    admin = await console.admin()
    dev = await console.user("dev")
    other = await console.user("other")
    token, _ = await console.parts.access_tokens.create(dev.id, Draft("laptop", 1), by=ADMIN)
    assert (await admin.post(f"/user/revokeToken/{other.id}/{token.id}")).status == 404
    response = await make(admin, f"/robot/addToken/{dev.id}")
    assert response.status == 404
    assert not SECRET.search(await response.text())
    response = await admin.post(f"/user/revokeToken/{dev.id}/{token.id}")
    assert response.headers["Location"] == f"/user/show/{dev.id}#tokens"
    assert await tokens_of(console, "dev") == []
    page = await console.parts.audit.page(Wanted(action="token.revoke"))
    assert [(entry.actor, entry.subject) for entry in page.entries] == [("admin", "dev")]


async def test_names_that_were_written_past_us_are_harmless(console):
    dev = await console.member("dev")
    await make(dev)
    await console.parts.database.write(lambda: AccessTokenRow.update(name=HOSTILE, last_address=HOSTILE).execute())
    await console.parts.database.write(lambda: AccessTokenRow.update(last_used=1_767_323_045).execute())
    admin = await console.admin()
    for page in (await dev.text("/account"), await admin.text(f"/user/show/{(await named(console, 'dev')).id}")):
        assert "<script>alert" not in page
        assert page.count("&lt;script&gt;alert") > 1


@pytest.mark.parametrize(
    ("expires_in", "chip"), [(-5, "expired"), (5 * 86400, "soon"), (20 * 86400, None)], ids=["past", "soon", "later"]
)
async def test_what_ends_soon_is_marked(console, expires_in, chip):
    dev = await console.member("dev")
    await make(dev)
    (token,) = await tokens_of(console, "dev")
    moment = token.created + expires_in
    await console.parts.database.write(lambda: AccessTokenRow.update(expires=moment).execute())
    page = await dev.text("/account")
    assert {one for one in ("expired", "soon") if f">{one}</span>" in page} == ({chip} if chip else set())


async def test_the_language_can_be_changed_on_the_page_that_answers_a_form(console):
    dev = await console.member("dev")
    page = await (await make(dev)).text()
    assert '<input type="hidden" name="next" value="/account">' in page


async def test_it_is_chinese_for_chinese_readers(console):
    dev = await console.member("dev")
    page = await (
        await dev.post("/account/addToken", {"Accept-Language": "zh"}, name="a", days="30", api="none")
    ).text()
    assert "新的访问令牌 a" in page
    page = await dev.text("/account", headers={"Accept-Language": "zh-CN"})
    for english in ("Access tokens", "Limits", "Expires", "Revoke token", "Make a token"):
        assert f">{english}<" not in page
    assert "吊销令牌" in page
