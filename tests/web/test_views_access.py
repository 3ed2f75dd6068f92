"""The page that explains decisions, and renaming."""

import pytest

from web_service.events import Event
from web_service.roles import RuleDraft


async def test_the_page_asks_and_answers(console):
    await console.member_with("dev", RuleDraft("*", "{user}/**", "push"), RuleDraft("10.*", "team/**", "pull"))
    admin = await console.admin()
    page = await admin.text("/access")
    assert "Allowed" not in page
    assert '<option value="dev">' in page
    page = await admin.text("/access?user=dev&repository=dev/app&action=push")
    assert "Allowed" in page
    assert "A rule of the role role of dev grants it." in page
    assert "<strong>grants it</strong>" in page
    assert "is about other repositories" in page
    page = await admin.text("/access?user=dev&repository=team/app&action=pull&from=192.168.0.1")
    assert "Refused" in page
    assert "is about other addresses" in page
    assert "Allowed" in await admin.text("/access?user=dev&repository=team/app&action=pull&from=10.0.0.1")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (
            "user=dev&repository=team/app&action=pull",
            "A rule of the role role of dev denies it, whatever others allow.",
        ),
        ("user=dev&repository=A%2F%2Fb&action=pull", "A//b is no repository name."),
        ("user=dev&repository=x&action=nonsense", "A rule of the role read-all grants it."),
        ("user=&repository=x", "The role anonymous is disabled: everybody has to sign in."),
        ("user=dev&repository=x&action=ui-delete", "No rule grants it."),
        ("user=admin&repository=x&action=pull", "There is no rule to look at."),
        ("user=dev&repository=%3Cb%3Ex", "&lt;b&gt;x is no repository name."),
    ],
)
async def test_the_reason_is_told(console, query, words):
    await console.member_with("dev", RuleDraft("*", "team/**", "deny"), roles=("UI_USER", "read-all"))
    assert words in await (await console.admin()).text(f"/access?{query}")


async def test_an_unknown_user_is_told(console):
    response = await (await console.admin()).get("/access?user=eve&repository=x")
    assert response.status == 404
    assert "There is no user named eve." in await response.text()


async def test_a_console_that_is_read_only_deletes_nothing(start, with_registry):
    console = await start(with_registry(readonly=True))
    await console.user("dev", "UI_USER", "UI_DELETE")
    page = await (await console.admin()).text("/access?user=dev&repository=x&action=ui-delete")
    assert "The console is read-only" in page


async def test_it_is_chinese_for_chinese_readers(console):
    admin = await console.admin()
    page = await admin.text("/access?user=admin&repository=x", headers={"Accept-Language": "zh-CN"})
    assert "没有规则允许此操作。" in page
    for english in ("Explain", "Access", "Refused", "User"):
        assert f">{english}<" not in page


async def test_pages_of_users_and_roles_lead_to_it(console):
    dev = await console.user("dev")
    admin = await console.admin()
    assert f'href="/access?user={dev.name}"' in await admin.text(f"/user/show/{dev.id}")
    role = next(role for role in await console.parts.roles.all() if role.name == "read-all")
    assert 'href="/access"' in await admin.text(f"/role/show/{role.id}")


async def test_a_user_is_renamed_and_stays_signed_in_while_events_keep_the_old_name(console):
    dev = await console.member("dev", "UI_USER")
    await console.parts.events.record([Event("1", 1_767_323_045, "dev", "push", "team/app")])
    admin = await console.admin()
    user = await console.parts.users.named("dev")
    page = await admin.text(f"/user/show/{user.id}")
    assert "Events keep the old name" in page
    response = await admin.post(f"/user/rename/{user.id}", name=" devi ")
    assert response.headers["Location"] == f"/user/show/{user.id}"
    assert ">devi<" in await dev.text("/account")
    assert "team/app" in await admin.text("/event/index?user=dev")
    assert "No events." in await admin.text("/event/index?user=devi")
    assert (await (await console.visitor()).sign_in("devi")).status == 303
    assert (await (await console.visitor()).sign_in("dev")).status == 401


@pytest.mark.parametrize(
    ("kind", "name", "status"),
    [("user", "admin", 409), ("user", "a b", 400), ("role", "write-all", 409), ("role", "", 400)],
)
async def test_a_name_that_cannot_be_had_shows_the_form_again(console, kind, name, status):
    user = await console.user("dev")
    role = next(role for role in await console.parts.roles.all() if role.name == "read-all")
    subject = user if kind == "user" else role
    response = await (await console.admin()).post(f"/{kind}/rename/{subject.id}", name=name)
    page = await response.text()
    assert response.status == status
    assert f'name="name" value="{name}"' in page
    assert subject.name in page


async def test_a_role_is_renamed_but_a_special_one(console):
    admin = await console.admin()
    roles = {role.name: role.id for role in await console.parts.roles.all()}
    response = await admin.post(f"/role/rename/{roles['read-all']}", name="readers")
    assert "readers" in await admin.text(response.headers["Location"])
    for name in ("UI_ADMIN", "UI_USER", "anonymous"):
        assert (await admin.post(f"/role/rename/{roles[name]}", name="other")).status == 403
        assert f"/role/rename/{roles[name]}" not in await admin.text(f"/role/show/{roles[name]}")
