"""Robot accounts in the browser: made with rules and a token, kept apart from people, changed and deleted."""

import logging
import re

import pytest

from tests.kit.actors import ADMIN
from web_service.access_tokens import Draft
from web_service.models import AccessTokenRow, UserRow

SECRET = re.compile(r"ckr_[0-9A-Za-z]{40}")
HOSTILE = '"><script>alert(1)</script>'


async def create(admin, **fields):
    typed = {"name": "ci", "rules": "team/**:push\n\nbase/*:pull", "address": "*", "days": "90"}
    return await admin.post("/robot/create", **(typed | fields))


async def robot(console, name="ci"):
    return await console.parts.users.named(name)


async def test_a_robot_is_made_with_a_role_and_a_token_that_is_shown_once(console, caplog):
    caplog.set_level(logging.DEBUG)
    admin = await console.admin()
    response = await create(admin)
    page = await response.text()
    secrets = set(SECRET.findall(page))
    assert (response.status, response.headers["Cache-Control"], len(secrets)) == (200, "no-store", 1)
    secret = secrets.pop()
    assert "docker login -u ci registry:5000" in page
    made = await robot(console)
    assert made.robot
    assert [(rule.repository, rule.level, rule.address) for rule in made.rules] == [
        ("team/**", "push", "*"),
        ("base/*", "pull", "*"),
    ]
    answer = await console.token(user="ci", password=secret, scope="repository:team/app:pull,push")
    assert answer.status == 200
    for path in ("/robot/index", f"/robot/show/{made.id}", "/audit/index", "/user/index"):
        assert secret[9:] not in await admin.text(path)
    assert secret[9:] not in caplog.text


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"name": "admin"}, 409, "already a user named admin"),
        ({"name": "a b"}, 400, "A user name has up to 64"),
        ({"rules": "team/**"}, 400, "team/** is no rule of the form"),
        ({"rules": "team/**:write"}, 400, "team/**:write is no rule of the form"),
        ({"rules": ":push"}, 400, ":push is no rule of the form"),
        ({"rules": "<i>:x"}, 400, "&lt;i&gt;:x is no rule of the form"),
        ({"rules": "{a:pull"}, 400, "lacks the &#39;}&#39; of a group"),
        ({"rules": "a:pull\n" * 51}, 400, "At most 50 rules"),
        ({"address": "10.0.0.0/99"}, 400, "is not a network"),
        ({"days": "x"}, 400, "Choose how long"),
        ({"days": "3651"}, 400, "Choose how long"),
    ],
)
async def test_a_robot_that_cannot_be_made_leaves_nothing_behind(console, fields, status, words):
    admin = await console.admin()
    response = await create(admin, **fields)
    page = await response.text()
    assert response.status == status
    assert words in page
    assert f'value="{fields.get("name", "ci")}"' in page
    assert [user.name for user in await console.parts.users.all()] == ["admin"]
    assert await console.parts.roles.named("robot ci") is None


async def test_robots_and_people_have_lists_and_pages_of_their_own(console):
    admin = await console.admin()
    await create(admin)
    dev, made = await console.user("dev"), await robot(console)
    people, robots = await admin.text("/user/index"), await admin.text("/robot/index")
    assert ">dev<" in people
    assert ">ci<" not in people
    assert ">ci<" in robots
    assert ">dev<" not in robots
    assert (await admin.get(f"/user/show/{made.id}")).headers["Location"] == f"/robot/show/{made.id}"
    assert (await admin.get(f"/robot/show/{dev.id}")).headers["Location"] == f"/user/show/{dev.id}"
    assert 'type="password"' not in await admin.text(f"/robot/show/{made.id}")
    assert (await (await console.visitor()).sign_in("ci", "")).status == 401


async def test_the_list_tells_when_tokens_were_used_and_which_end_soon(console):
    admin = await console.admin()
    assert "There are no robots yet." in await admin.text("/robot/index")
    await create(admin, days="0")
    row = (await admin.text("/robot/index")).partition("<tbody>")[2]
    assert "never" in row
    await console.parts.access_tokens.create((await robot(console)).id, Draft("short", 5), by=ADMIN)
    await console.parts.database.write(lambda: AccessTokenRow.update(last_used=1_767_323_045).execute())
    row = (await admin.text("/robot/index")).partition("<tbody>")[2]
    assert ">soon</span>" in row
    assert "2026-01-02T03:04:05" in row


async def test_tokens_are_added_and_revoked(console):
    admin = await console.admin()
    await create(admin)
    made = await robot(console)
    path = f"/robot/addToken/{made.id}"
    page = await (await admin.post(path, name="second", days="30", limits="team/app:pull", api="none")).text()
    assert SECRET.search(page)
    assert f'href="/robot/show/{made.id}#tokens"' in page
    response = await admin.post(path, name="second", days="30", limits="kept:pull", api="none")
    assert response.status == 409
    assert "kept:pull" in await response.text()
    for token in await console.parts.access_tokens.of_user(made.id):
        response = await admin.post(f"/user/revokeToken/{made.id}/{token.id}")
        assert response.headers["Location"] == f"/robot/show/{made.id}#tokens"
    assert "this robot cannot sign in" in await admin.text(f"/robot/show/{made.id}")


async def test_a_robot_is_changed_as_a_user_is_and_one_comes_back_to_its_page(console):
    admin = await console.admin()
    await create(admin)
    made = await robot(console)
    place = f"/robot/show/{made.id}"
    role = await console.parts.roles.named("read-all")
    for path, fields in (
        (f"/user/addRole/{made.id}", {"role": str(role.id)}),
        (f"/user/deleteRole/{made.id}", {"role": str(role.id)}),
        (f"/user/update/{made.id}", {}),
        (f"/user/rename/{made.id}", {"name": "builder"}),
    ):
        assert (await admin.post(path, **fields)).headers["Location"] == place, path
    page = await admin.text(place)
    assert "This account is disabled." in page
    assert "robot builder" in page
    response = await admin.post(f"/user/rename/{made.id}", name="admin")
    assert response.status == 409
    assert "Robot" in await response.text()
    response = await admin.post(f"/user/update/{made.id}", password="a password", enabled="on")
    assert response.status == 403
    assert "A robot has no password" in await response.text()


@pytest.mark.parametrize("renamed", [False, True])
async def test_a_robot_is_deleted_with_the_role_that_was_made_for_it(console, renamed):
    admin = await console.admin()
    await create(admin)
    made = await robot(console)
    if renamed:
        await admin.post(f"/user/rename/{made.id}", name="builder")
    page = await admin.text(f"/user/delete/{made.id}")
    assert f"Delete the robot account {'builder' if renamed else 'ci'}?" in page
    assert f'href="/robot/show/{made.id}"' in page
    response = await admin.post(f"/user/delete/{made.id}")
    assert response.headers["Location"] == "/robot/index"
    assert "was deleted." in await admin.text("/robot/index")
    assert [role.name for role in await console.parts.roles.all() if role.name.startswith("robot ")] == []


async def test_names_that_were_written_past_us_are_harmless(console):
    admin = await console.admin()
    await create(admin)
    made = await robot(console)
    await console.parts.database.write(lambda: UserRow.update(name=HOSTILE).where(UserRow.id == made.id).execute())
    for path in ("/robot/index", f"/robot/show/{made.id}", f"/user/delete/{made.id}", "/group/index"):
        assert "<script>alert" not in await admin.text(path), path
    page = await (await admin.post(f"/robot/addToken/{made.id}", name="x", days="1", api="none")).text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


async def test_it_is_chinese_for_chinese_readers(console):
    admin = await console.admin()
    await create(admin)
    for path in ("/robot/index", "/robot/add", f"/robot/show/{(await robot(console)).id}"):
        page = await admin.text(path, headers={"Accept-Language": "zh-CN"})
        assert "机器人账户" in page
        for english in ("Robots", "Name", "Rules", "Tokens", "Create robot account", "Delete robot account"):
            assert f">{english}<" not in page, path
