"""Users, roles, one's own account, events and the status page in the browser."""

import re

import pytest

from web_service.events import Event
from web_service.users import FIRST_ADMIN

BANNER = "still has the default password"


async def ids(console):
    roles = {role.name: str(role.id) for role in await console.parts.roles.all()}
    users = {user.name: str(user.id) for user in await console.parts.users.all()}
    return users, roles


async def test_the_walk_create_a_user_and_give_it_a_role(console):
    admin = await console.admin()
    response = await admin.post("/user/create", name=" dev ", password="dev-password", enabled="on")
    assert response.status == 303
    page = await admin.text(response.headers["Location"])
    assert "User dev was created." in page
    _, roles = await ids(console)
    user_id = response.headers["Location"].rpartition("/")[2]
    await admin.post(f"/user/addRole/{user_id}", role=roles["write-all"])
    assert [role.name for role in (await console.parts.users.named("dev")).roles] == ["write-all"]
    assert "write-all" in await admin.text("/user/index")
    assert (await console.token(user="dev", password="dev-password")).status == 200
    await admin.post(f"/user/deleteRole/{user_id}", role=roles["write-all"])
    assert (await console.parts.users.named("dev")).roles == ()


@pytest.mark.parametrize(("fields", "roles"), [({"browses": "on"}, ["UI_USER"]), ({}, [])], ids=["ticked", "not"])
async def test_a_new_user_may_use_the_console_if_that_is_ticked_as_it_is_at_first(console, fields, roles):
    admin = await console.admin()
    assert 'name="browses" checked' in await admin.text("/user/add")
    assert (await admin.post("/user/create", name="dev", password="dev-password", **fields)).status == 303
    assert [role.name for role in (await console.parts.users.named("dev")).roles] == roles
    page = await (await admin.post("/user/create", name="dev", password="dev-password", **fields)).text()
    assert ('name="browses" checked' in page) == bool(roles)


async def test_the_navigation_holds_what_one_may_use(console):
    admin, dev, nobody = await console.admin(), await console.member("dev", "UI_USER"), await console.member("nobody")
    sections = ("user/index", "group/index", "role/index", "robot/index", "access", "audit/index", "status")
    for path in sections:
        page = await admin.text(f"/{path}")
        assert [one for one in sections if f'<a href="/{one}"' not in page] == []
        assert page.count('aria-current="page"') == 1
        assert f'<a href="/{path}" aria-current="page"' in page
    assert 'href="/audit/index"' not in await admin.text("/")
    assert "Administration" in await admin.text("/")
    for visitor in (dev, nobody):
        page = await visitor.text("/account")
        assert "Administration" not in page
        assert 'href="/status"' not in page


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"name": "admin", "password": "long enough"}, 409, "already a user named admin"),
        ({"name": "dev", "password": "short"}, 400, "at least 8 characters"),
        ({"name": "dev", "password": ""}, 400, "at least 8 characters"),
        ({"name": "a:b", "password": "long enough"}, 400, "A user name has up to 64"),
        ({"name": "registry-web", "password": "long enough"}, 400, "reserved"),
        ({}, 400, "A user name has up to 64"),
    ],
)
async def test_an_unusable_user_shows_the_form_again(console, fields, status, words):
    response = await (await console.admin()).post("/user/create", **fields)
    page = await response.text()
    assert response.status == status
    assert words in page
    assert f'value="{fields.get("name", "")}"' in page
    assert "long enough" not in page
    assert len(await console.parts.users.all()) == 1


async def test_a_user_is_changed_and_deleted(console):
    admin, dev = await console.admin(), await console.member("dev", "UI_USER")
    users, _ = await ids(console)
    await admin.post(f"/user/update/{users['dev']}", password="another one", enabled="on")
    assert (await dev.get("/account")).headers["Location"].startswith("/login")
    assert (await dev.sign_in("dev", "another one")).status == 303
    await admin.post(f"/user/update/{users['dev']}", password="")
    assert not (await console.parts.users.named("dev")).enabled
    assert (await dev.get("/account")).headers["Location"].startswith("/login")
    assert "Delete the user dev?" in await admin.text(f"/user/delete/{users['dev']}")
    response = await admin.post(f"/user/delete/{users['dev']}")
    assert response.headers["Location"] == "/user/index"
    assert "User dev was deleted." in await admin.text("/user/index")
    assert (await admin.get(f"/user/show/{users['dev']}")).status == 404


async def test_the_last_administrator_is_kept_and_told_why(console):
    admin = await console.admin()
    users, roles = await ids(console)
    for path, fields, words in (
        (f"/user/deleteRole/{users['admin']}", {"role": roles["UI_ADMIN"]}, "last administrator"),
        (f"/user/delete/{users['admin']}", {}, "your own account"),
        (f"/user/update/{users['admin']}", {}, "your own account"),
    ):
        response = await admin.post(path, **fields)
        assert response.status == 403
        assert words in await response.text()
    assert (await console.parts.users.named("admin")).is_admin


@pytest.mark.parametrize("role", ["", "x", "99"])
async def test_a_role_that_is_not_there_is_not_granted(console, role):
    admin = await console.admin()
    users, _ = await ids(console)
    response = await admin.post(f"/user/addRole/{users['admin']}", role=role)
    assert response.status == (404 if role == "99" else 303)


async def test_a_role_gets_rules_that_count_until_it_is_disabled(console):
    admin = await console.admin()
    response = await admin.post("/role/create", name="team")
    path = response.headers["Location"]
    role_id = path.rpartition("/")[2]
    await admin.post(f"/role/addAcl/{role_id}", address="*", repository="team/**", level="push", comment="<i>note")
    page = await admin.text(path)
    assert "team/**" in page
    assert "&lt;i&gt;note" in page
    rule_id = re.search(rf"/role/editAcl/{role_id}/(\d+)", page)[1]
    assert 'value="team/**"' in await admin.text(f"/role/editAcl/{role_id}/{rule_id}")
    await admin.post(f"/role/editAcl/{role_id}/{rule_id}", address="*", repository="other/**", level="pull", comment="")
    assert "other/**" in await admin.text("/role/index")
    await admin.post(f"/role/update/{role_id}")
    assert "disabled and grants nothing" in await admin.text(path)
    await admin.post(f"/role/update/{role_id}", enabled="1")
    assert "disabled and grants nothing" not in await admin.text(path)
    await admin.post(f"/role/deleteAcl/{role_id}/{rule_id}")
    assert "other/**" not in await admin.text(path)
    assert "taken from 0 users" in await admin.text(f"/role/delete/{role_id}")
    await admin.post(f"/role/delete/{role_id}")
    assert (await admin.get(path)).status == 404


async def test_an_unusable_rule_shows_the_form_again_in_the_language_of_the_reader(console):
    admin = await console.admin()
    _, roles = await ids(console)
    path = f"/role/addAcl/{roles['read-all']}"
    response = await admin.post(
        path, {"Accept-Language": "zh"}, address="*", repository="{a", level="pull", comment="kept"
    )
    page = await response.text()
    assert response.status == 400
    assert "缺少分组的“}”" in page
    assert 'value="{a"' in page
    assert 'value="kept"' in page


async def test_special_roles_and_unknown_rules_are_refused(console):
    admin = await console.admin()
    _, roles = await ids(console)
    assert (await admin.post(f"/role/delete/{roles['UI_ADMIN']}")).status == 403
    assert (await admin.post(f"/role/update/{roles['UI_USER']}")).status == 403
    assert (await admin.get(f"/role/editAcl/{roles['read-all']}/99")).status == 404
    response = await admin.post("/role/create", name="read-all")
    assert response.status == 409


async def test_the_warning_stays_until_the_default_password_is_changed(console):
    admin = await console.admin()
    for path in ("/", "/user/index", "/account", "/status"):
        assert BANNER in await admin.text(path)
    response = await admin.post(
        "/account/updatePassword", current="admin", new="no longer admin", repeat="no longer admin"
    )
    assert (response.status, response.headers["Location"]) == (303, "/account")
    page = await admin.text("/account")
    assert "Your password was changed." in page
    assert BANNER not in page
    assert (await (await console.visitor()).sign_in("admin", "admin")).status == 401
    assert (await (await console.visitor()).sign_in("admin", "no longer admin")).status == 303


async def test_only_administrators_see_the_warning(console):
    assert BANNER not in await (await console.member("dev", "UI_USER")).text("/account")
    assert BANNER not in await (await console.visitor()).text("/login")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"current": "wrong", "new": "long enough", "repeat": "long enough"}, "The current password is wrong."),
        ({"current": "admin", "new": "long enough", "repeat": "different"}, "not the same"),
        ({"current": "admin", "new": "short", "repeat": "short"}, "at least 8"),
        ({"current": "admin", "new": "", "repeat": ""}, "at least 8"),
        ({}, "wrong"),
    ],
)
async def test_a_password_that_may_not_be_set_is_not(console, fields, words):
    admin = await console.admin()
    response = await admin.post("/account/updatePassword", **fields)
    assert response.status == 400
    assert words in await response.text()
    assert await console.parts.authenticator.authenticate(FIRST_ADMIN, "admin", "x")


async def test_a_changed_password_ends_the_other_sessions_and_keeps_this_one(console):
    await console.user("dev")
    here, elsewhere = await console.visitor("dev"), await console.visitor("dev")
    await here.post("/account/updatePassword", current="correct horse", new="battery staple", repeat="battery staple")
    assert (await here.get("/account")).status == 200
    assert (await elsewhere.get("/account")).status == 303


async def record(console, *events):
    await console.parts.events.record(
        [
            Event(
                str(number),
                1_767_323_045 + number,
                user,
                action,
                repository,
                tag,
                digest,
                address="::1",
                user_agent=agent,
            )
            for number, (user, action, repository, tag, digest, agent) in enumerate(events)
        ]
    )


async def test_events_are_listed_filtered_and_escaped(console):
    await record(
        console,
        ("dev", "push", "team/app", "1.0", "sha256:abcdef012345678", "docker/27"),
        ("ops", "pull", "team/app", "", "sha256:abcdef012345678", "<script>alert(1)</script>"),
        ("<b>x", "delete", "other", "2.0", "", ""),
    )
    admin = await console.admin()
    page = await admin.text("/event/index")
    assert page.index("2026-01-02 03:04:07") < page.index("2026-01-02 03:04:06") < page.index("2026-01-02 03:04:05")
    assert "<script>alert" not in page
    assert "<b>x" not in page
    assert "abcdef012345" in page
    filtered = await admin.text("/event/index?user=dev&action=push&repository=team")
    assert "docker/27" in filtered
    assert ">ops<" not in filtered
    assert "No events." in await admin.text("/event/index?user=nobody")


async def test_events_of_invisible_repositories_are_not_shown(console):
    await record(
        console,
        ("ops", "push", "secret/app", "1.0", "", ""),
        ("ops", "push", "public/app", "1.0", "", ""),
        ("dev", "push", "secret/own", "1.0", "", ""),
    )
    with_all = await console.member("reader", "UI_USER", "read-all")
    assert "secret/app" in await with_all.text("/event/index")
    dev = await console.member("dev", "UI_USER")
    page = await dev.text("/event/index")
    assert "secret/own" in page
    assert "secret/app" not in page
    assert "public/app" not in page
    assert "secret/own" in await dev.text("/account")


async def test_events_are_paged(console):
    await record(console, *[("dev", "push", "team/app", f"t{number}", "", "") for number in range(60)])
    admin = await console.admin()
    first, second = await admin.text("/event/index?user=dev"), await admin.text("/event/index?user=dev&page=2")
    assert ":t59<" in first
    assert ":t9<" not in first
    assert "?user=dev&amp;page=2" in first
    assert ":t9<" in second


async def test_the_status_page_says_whether_the_registry_accepts_us_and_no_secret(console, registry):
    admin = await console.admin()
    page = await admin.text("/status")
    assert "accepts our tokens" in page
    assert console.parts.settings.issuer.key_id in page
    assert "PRIVATE" not in page
    registry.failure = (401, "UNAUTHORIZED")
    assert "refuses the console" in await admin.text("/status")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/event/index",
        "/account",
        "/user/index",
        "/user/add",
        "/user/show/1",
        "/role/index",
        "/role/show/3",
        "/status",
    ],
)
async def test_every_page_is_chinese_for_chinese_readers(console, path):
    page = await (await console.admin()).text(path, headers={"Accept-Language": "zh-CN"})
    assert '<html lang="zh-CN">' in page
    for english in ("Sign out", "Repositories", "Events", "Users", "Roles", "Status", "Password", "default password"):
        assert f">{english}<" not in page


async def test_nothing_is_loaded_from_another_host(console, registry):
    registry.add_image("team/app", "1.0")
    admin = await console.admin()
    for path in ("/", "/repo/tags/team/app", "/account", "/user/index"):
        page = await admin.text(path)
        assert re.findall(r'(?:src|href|action)="(?:https?:)?//', page) == []
        for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
            assert (await admin.get(address)).status == 200
        assert "style=" not in page
        assert "<script>" not in page
