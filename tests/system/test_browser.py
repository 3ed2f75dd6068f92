"""The console in a real Chromium, as an administrator and a developer use it."""

import asyncio
import re

import pytest
from playwright.async_api import expect

from tests.kit.clients import Skopeo
from tests.kit.console import browser_page
from tests.kit.layouts import write_layout
from tests.kit.services import ADMIN_PASSWORD, running_services
from tests.kit.walk import PASSWORD, WRITER

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with running_services(tmp_path_factory.mktemp("pair")) as pair:
        yield pair


@pytest.fixture
async def console(pair, tmp_path):
    async with browser_page(pair.console_url, tmp_path) as console:
        yield console


@pytest.fixture(scope="module")
def developer(pair, tmp_path_factory):
    """A user whom the administrator has created in the browser, and whose image lies in the registry twice."""
    folder = tmp_path_factory.mktemp("developer")
    asyncio.run(create_users(pair, folder))
    skopeo = Skopeo(pair.registry, folder, WRITER, PASSWORD)
    skopeo.login()
    layout = write_layout(folder / "layout")
    for image in ("team/kept:latest", "team/kept:v1", "team/deleted:latest"):
        skopeo.push(layout, image)
    return WRITER


async def create_users(pair, folder):
    async with browser_page(pair.console_url, folder) as console:
        await console.sign_in("admin", ADMIN_PASSWORD)
        await console.create_user(WRITER, PASSWORD, roles=["write-all", "UI_USER", "UI_DELETE"])
        await console.create_user("onlooker", PASSWORD, roles=["read-all", "UI_USER"])


async def test_first_sign_in_warns_of_the_default_password(console):
    await console.sign_in("admin", ADMIN_PASSWORD)
    await expect(console.page.get_by_role("alert")).to_contain_text("default password")


async def test_wrong_password_does_not_get_in(pair, tmp_path):
    async with browser_page(pair.console_url, tmp_path) as console:
        await console.open("/login")
        await console.page.get_by_label("User name").fill("admin")
        await console.page.get_by_label("Password").fill("wrong")
        await console.page.get_by_role("button", name="Sign in").click()
        await expect(console.page.get_by_role("alert")).to_be_visible()
        await expect(console.page.get_by_role("button", name="Sign out")).not_to_be_visible()


async def test_images_are_listed_and_unfold(console, developer):
    await console.sign_in(developer, PASSWORD)
    assert "team/kept" in await console.repositories()
    await console.page.get_by_text("team/kept").click()
    await expect(console.page.get_by_role("link", name="v1", exact=True)).to_be_visible()

    assert sorted(await console.tags("team/kept")) == ["latest", "v1"]
    row = console.page.locator("tr.first").first
    await expect(row).to_contain_text(re.compile(r"[0-9a-f]{12}"))  # digest
    await expect(row).to_contain_text(re.compile(r"\d MB"))
    await expect(row).to_contain_text("linux/")
    await console.page.get_by_text("Details").first.click()
    await expect(console.page.locator(".layers li").first).to_be_visible()


async def test_image_is_deleted_from_the_list_and_the_events_tell_it(console, pair, developer, tmp_path):
    skopeo = Skopeo(pair.registry, tmp_path, developer, PASSWORD)
    skopeo.login()
    skopeo.pull("team/deleted:latest")
    await console.sign_in(developer, PASSWORD)
    await console.delete("team/deleted", "latest")
    assert "team/deleted" not in await console.repositories()
    events = [event for event in await console.events() if event.image.startswith("team/deleted")]
    *deletions, pull, push = events
    # As from the Go registry: an event for each tag that went, and one for what they pointed to.
    assert [event.action for event in deletions] == ["delete", "delete"]
    assert "team/deleted:latest" in [event.image for event in deletions]
    assert (pull.action, pull.image) == ("pull", "team/deleted:latest")
    assert (push.action, push.image) == ("push", "team/deleted:latest")
    assert {event.user for event in events} == {developer}
    assert all(event.address in ("127.0.0.1", "::1") for event in events)


@pytest.mark.usefixtures("developer")
async def test_who_may_not_delete_is_not_offered_it(console):
    await console.sign_in("onlooker", PASSWORD)
    assert sorted(await console.tags("team/kept")) == ["latest", "v1"]
    await expect(console.page.get_by_role("link", name="Delete team/kept:v1")).not_to_be_visible()


async def test_a_token_signs_in_in_place_of_the_password_until_it_is_revoked(console, pair, developer, tmp_path):
    await console.sign_in(developer, PASSWORD)
    await console.open("/account")
    secret = await console.make_token("laptop", limits="team/**:pull")
    skopeo = Skopeo(pair.registry, tmp_path, developer, secret)
    skopeo.login()
    skopeo.pull("team/kept:latest")
    await console.open("/account")
    row = console.page.get_by_role("row", name="laptop")
    await expect(row).to_contain_text("127.0.0.1")
    await expect(row).to_contain_text("team/**:pull")
    assert secret not in await console.page.content()
    await row.get_by_role("button", name="Revoke the token laptop").click()
    await expect(console.page.get_by_role("status")).to_contain_text("The token laptop was revoked.")
    with pytest.raises(AssertionError, match=Skopeo.wrong_password):
        skopeo.login()


async def test_a_robot_is_made_pushes_and_is_seen_in_the_audit(console, pair, tmp_path):
    page = console.page
    await console.sign_in("admin", ADMIN_PASSWORD)
    await page.get_by_role("link", name="Administration").click()
    await page.get_by_role("link", name="Robots").click()
    await page.get_by_role("link", name="Create robot account").click()
    await page.get_by_label("Name").fill("ci")
    await page.get_by_label("Rules").fill("built/**:push")
    await page.get_by_role("button", name="Create robot account").click()
    secret = await console.new_secret()
    await expect(page.get_by_role("heading", name="ci", exact=True)).to_be_visible()
    skopeo = Skopeo(pair.registry, tmp_path, "ci", secret)
    skopeo.login()
    skopeo.push(write_layout(tmp_path / "layout"), "built/app:latest")
    await page.get_by_role("link", name="Audit").click()
    await expect(page.get_by_role("row", name="robot account created")).to_contain_text("ci")
    assert secret[9:] not in await page.content()


@pytest.mark.usefixtures("developer")
async def test_a_rule_is_tried_before_it_is_saved(console):
    page = console.page
    await console.sign_in("admin", ADMIN_PASSWORD)
    await console.open("/role/index")
    await page.get_by_role("link", name="write-all").click()
    await page.get_by_label("Repository").fill("team/**")
    await page.get_by_label("Level").select_option("deny")
    await page.get_by_role("button", name="Try", exact=True).click()
    await expect(page.get_by_role("row", name=WRITER).first).to_contain_text("lost")
    await page.get_by_role("button", name="Back").click()
    await expect(page.get_by_label("Repository")).to_have_value("team/**")
    await expect(page.get_by_role("cell", name="deny")).not_to_be_visible()


async def test_language_is_the_browsers_and_can_be_switched(pair, tmp_path):
    async with browser_page(pair.console_url, tmp_path, locale="zh-CN") as console:
        await console.open("/login")
        await expect(console.page.get_by_role("heading", name="登录")).to_be_visible()
        await console.page.get_by_role("button", name="English").click()
        await console.sign_in("admin", ADMIN_PASSWORD)
        await console.page.get_by_role("button", name="简体中文").click()
        await console.page.get_by_role("link", name="管理", exact=True).click()
        await expect(console.page.get_by_role("link", name="用户", exact=True)).to_be_visible()
        assert await console.page.locator("html").get_attribute("lang") == "zh-CN"
