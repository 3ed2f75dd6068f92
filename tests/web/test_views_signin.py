"""Signing in and out, the cookies, the way back, and the language."""

import dataclasses

import pytest

from web_service.config import HTTPConfig


async def test_who_signs_in_gets_to_the_page_that_was_asked_for(console):
    visitor = await console.visitor()
    response = await visitor.get("/event/index?user=a&action=push")
    assert response.status == 303
    assert response.headers["Location"] == "/login?next=/event/index%3Fuser%3Da%26action%3Dpush"
    page = await visitor.text(response.headers["Location"])
    assert 'name="next" value="/event/index?user=a&amp;action=push"' in page
    response = await visitor.sign_in("admin", "admin", next="/event/index?user=a&action=push")
    assert (response.status, response.headers["Location"]) == (303, "/event/index?user=a&action=push")
    assert (await visitor.get("/event/index")).status == 200


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "evil",
        "javascript:alert(1)",
        "/\t/evil",
        "/\n/x",
        "",
    ],
)
async def test_nobody_is_sent_to_another_site(console, target):
    visitor = await console.visitor()
    response = await visitor.sign_in("admin", "admin", next=target)
    assert (response.status, response.headers["Location"]) == (303, "/")
    response = await visitor.get("/login", params={"next": target})
    assert response.headers["Location"] == "/"


async def test_a_wrong_password_shows_the_form_again_with_the_name(console):
    visitor = await console.visitor()
    response = await visitor.sign_in('admin"><b>', "wrong")
    page = await response.text()
    assert response.status == 401
    assert "The user name or the password is wrong." in page
    assert 'value="admin&#34;&gt;&lt;b&gt;"' in page
    assert "wrong" not in page.replace("is wrong", "")


async def test_the_session_cookie_is_kept_from_scripts_and_other_sites(console):
    visitor = await console.visitor()
    cookie = (await visitor.sign_in("admin", "admin")).cookies["cangku_session"]
    assert (cookie["httponly"], cookie["samesite"], cookie["secure"], cookie["path"]) == (True, "Lax", "", "/")
    assert int(cookie["max-age"]) == 12 * 3600


async def test_behind_tls_the_cookie_is_for_tls_only(start, config):
    console = await start(dataclasses.replace(config, http=HTTPConfig(trustedproxies=("127.0.0.0/8",))))
    visitor = await console.visitor()
    cookie = (await visitor.post("/login", {"X-Forwarded-Proto": "https"}, name="admin", password="admin")).cookies
    assert cookie["cangku_session"]["secure"] is True


async def test_a_session_that_was_planted_is_not_used(console):
    visitor = await console.visitor()
    visitor.client.session.cookie_jar.update_cookies({"cangku_session": "planted"}, visitor.client.make_url("/"))
    response = await visitor.sign_in("admin", "admin")
    assert response.cookies["cangku_session"].value != "planted"


async def test_signing_in_again_ends_the_session_before(console):
    visitor = await console.admin()
    (old,) = (cookie.value for cookie in visitor.client.session.cookie_jar if cookie.key == "cangku_session")
    await visitor.sign_in("admin", "admin")
    assert await console.parts.sessions.user(old) is None


async def test_signing_out_ends_the_session(console):
    visitor = await console.admin()
    (token,) = (cookie.value for cookie in visitor.client.session.cookie_jar if cookie.key == "cangku_session")
    assert (await visitor.post("/logout")).headers["Location"] == "/login"
    assert await console.parts.sessions.user(token) is None
    assert (await visitor.get("/")).headers["Location"] == "/login"


async def test_a_disabled_account_cannot_sign_in(console):
    await console.user("dev", enabled=False)
    response = await (await console.visitor()).sign_in("dev")
    assert response.status == 401
    assert "This account is disabled." in await response.text()


async def test_who_has_no_console_lands_on_the_account(console):
    await console.user("dev", "write-all")
    visitor = await console.visitor()
    assert (await visitor.sign_in("dev")).headers["Location"] == "/account"
    page = await visitor.text("/account")
    assert "UI_USER" in page
    assert 'href="/event/index"' not in page


async def test_a_guesser_is_told_to_wait_on_the_page(console):
    visitor = await console.visitor()
    for number in range(10):
        await visitor.sign_in("admin", f"guess {number}")
    response = await visitor.sign_in("admin", "admin")
    assert response.status == 429
    assert "Too many failed attempts" in await response.text()


async def test_the_language_follows_the_browser_until_one_is_chosen(console):
    visitor = await console.visitor()
    chinese = {"Accept-Language": "zh-CN,zh;q=0.9"}
    assert '<html lang="zh-CN">' in await visitor.text("/login", headers=chinese)
    assert "登录" in await visitor.text("/login", headers=chinese)
    response = await visitor.post("/language", language="en", next="/login?next=/x")
    assert (response.status, response.headers["Location"]) == (303, "/login?next=/x")
    assert '<html lang="en">' in await visitor.text("/login", headers=chinese)


async def test_the_chosen_language_goes_with_the_account(console):
    visitor = await console.admin()
    await visitor.post("/language", language="zh-CN", next="/")
    assert '<html lang="zh-CN">' in await (await console.admin()).text("/")


@pytest.mark.parametrize("code", ["klingon", "", "../../x"])
async def test_another_language_is_not_set(console, code):
    visitor = await console.visitor()
    response = await visitor.post("/language", language=code, next="//evil.example")
    assert response.headers["Location"] == "/"
    assert "cangku_language" not in response.cookies
