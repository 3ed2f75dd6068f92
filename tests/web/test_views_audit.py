"""The audit page: what was done, in words, newest first; found again, and never changed."""

import pytest

from tests.kit.actors import ADMIN
from tests.kit.reading import rows
from web_service.actors import Actor, Via
from web_service.audit import Entry
from web_service.models import AuditRow
from web_service.roles import RuleDraft
from web_service.views import ROUTES
from web_service.views.audit import ACTIONS, KINDS, Change, changes

NOTHING = "\N{EN DASH}"
HOSTILE = '"><script>alert(1)</script>'


async def test_what_is_done_in_the_console_is_listed_newest_first_with_old_and_new(console):
    admin = await console.admin()
    await admin.post("/role/create", name="team")
    role = await console.parts.roles.named("team")
    await admin.post(f"/role/addAcl/{role.id}", address="*", repository="team/**", level="pull", comment="")
    rule = (await console.parts.roles.named("team")).rules[0]
    await admin.post(
        f"/role/editAcl/{role.id}/{rule.id}", address="*", repository="team/**", level="push", comment="more"
    )
    page = await admin.text("/audit/index")
    found = [(action, subject, changed) for _, _, action, subject, changed in rows(page)[:3]]
    assert found == [
        ("rule changed", "team", f"address: * repository: team/** level: pull → push comment: {NOTHING} → more"),
        ("rule added", "team", "address: * repository: team/** level: pull"),
        ("role created", "team", NOTHING),
    ]
    assert "<del>pull</del> → <ins>push</ins>" in page
    assert all(who == "admin console · 127.0.0.1" for _, who, *_ in rows(page)[:3])


async def test_lines_are_filtered(console):
    admin = await console.admin()
    await console.parts.users.create("dev", "x", by=Actor("alice", Via.API, "10.0.0.1"))
    await console.parts.groups.create("developers", by=ADMIN)
    everything = rows(await admin.text("/audit/index"))
    assert len(everything) == 3
    for query, subjects in (
        ("actor=alice", ["dev"]),
        ("subject=dev", ["developers", "dev"]),
        ("action=group.", ["developers"]),
        ("action=user.create", ["dev"]),
        ("action=signin", ["admin"]),
        ("action=signin.", []),
        ("actor=alice&action=group.", []),
        ("actor=nobody", []),
    ):
        page = await admin.text(f"/audit/index?{query}")
        assert [row[3] for row in rows(page)] == subjects, query
        assert ("No entries." in page) == (not subjects)
    assert '<option value="group." selected>' in await admin.text("/audit/index?action=group.")


async def test_it_has_pages(console):
    admin = await console.admin()
    for number in range(60):
        await console.parts.audit.record(ADMIN, "role.create", f"role {number}")
    first, second = await admin.text("/audit/index?action=role."), await admin.text("/audit/index?action=role.&page=2")
    assert (len(rows(first)), rows(first)[0][3], len(rows(second)), rows(second)[-1][3]) == (
        50,
        "role 59",
        10,
        "role 0",
    )
    assert 'href="?action=role.&amp;page=2"' in first
    assert 'rel="prev"' not in first
    assert 'href="?action=role.&amp;page=1"' in second
    assert 'rel="next"' not in second


@pytest.mark.parametrize("value", [HOSTILE, [HOSTILE], {HOSTILE: HOSTILE}])
async def test_whatever_was_recorded_is_harmless(console, value):
    admin = await console.admin()
    actor = Actor(HOSTILE, Via.API, HOSTILE)
    await console.parts.audit.record(actor, HOSTILE[:32], HOSTILE, comment=value, **{HOSTILE: value})
    page = await admin.text("/audit/index")
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert") >= 5
    assert "<script>alert" not in await admin.text("/audit/index", params={"actor": HOSTILE, "subject": HOSTILE})


def test_values_are_told_in_words(console_language):
    old = {"enabled": True, "limits": [], "expires": 0, "x": None, "comment": ""}
    new = {"enabled": False, "limits": ["a:pull", "b:push"], "expires": 1_767_323_045, "x": 5, "comment": ""}
    entry = Entry(1, 1, "", "", "", "", "", old, new)
    told = {change.label: (change.old, change.new) for change in changes(entry, console_language)}
    assert told["enabled"] == ("yes", "no")
    assert told["limits"] == ("", "a:pull, b:push")
    assert told["expires"][0] == "never"
    assert told["expires"][1].startswith("2026-01-02 ")
    assert told["x"] == ("", "5")
    assert "comment" not in told  # it was, and is, empty


def test_what_was_only_before_or_after_has_one_side(console_language):
    entry = Entry(1, 1, "", "", "", "", "", {"role": "a"}, {"member": "b"})
    assert changes(entry, console_language) == (Change("role", "a", None), Change("member", None, "b"))


@pytest.fixture
def console_language(console):
    return console.parts.settings.languages["en"]


async def refuse(console, times):
    for _ in range(times):
        await (await console.visitor()).post("/login", name="admin", password="a guess")


async def test_who_was_not_let_in_is_told_with_the_reason(console):
    admin = await console.admin()
    await refuse(console, times=1)
    assert rows(await admin.text("/audit/index?action=signin."))[0][2:] == [
        "sign-in refused",
        "admin",
        "reason: wrong password",
    ]
    page = await admin.text("/audit/index?action=signin.", headers={"Accept-Language": "zh"})
    assert [one.strip() for one in rows(page)[0][4].split("\N{FULLWIDTH COLON}")] == ["原因", "密码错误"]


async def test_every_action_that_is_recorded_has_words_and_a_kind(console):
    """What the domain records when everything is done once."""
    parts, users = console.parts, console.parts.users
    dev = await users.create("dev", "x", by=ADMIN)
    robot = await users.create_robot("ci", [RuleDraft("*", "x", "pull")], by=ADMIN)
    await users.rename(dev.id, "devi", by=ADMIN)
    await users.set_enabled(dev.id, enabled=False, by=ADMIN)
    await users.set_enabled(dev.id, enabled=True, by=ADMIN)
    await users.set_password(dev.id, "y", by=ADMIN)
    role = await parts.roles.create("team", by=ADMIN)
    await parts.roles.rename(role.id, "crew", by=ADMIN)
    rule = await parts.roles.add_rule(role.id, RuleDraft("*", "x", "pull"), by=ADMIN)
    await parts.roles.edit_rule(role.id, rule.id, RuleDraft("*", "x", "push"), by=ADMIN)
    await parts.roles.delete_rule(role.id, rule.id, by=ADMIN)
    await users.grant(dev.id, role.id, by=ADMIN)
    await users.revoke(dev.id, role.id, by=ADMIN)
    await parts.roles.set_enabled(role.id, enabled=False, by=ADMIN)
    await parts.roles.set_enabled(role.id, enabled=True, by=ADMIN)
    group = await parts.groups.create("group", by=ADMIN)
    await parts.groups.update(group.id, "groupe", "", by=ADMIN)
    await parts.groups.add_member(group.id, dev.id, by=ADMIN)
    await parts.groups.grant(group.id, role.id, by=ADMIN)
    await parts.groups.revoke(group.id, role.id, by=ADMIN)
    await parts.groups.remove_member(group.id, dev.id, by=ADMIN)
    await parts.groups.delete(group.id, by=ADMIN)
    await parts.roles.delete(role.id, by=ADMIN)
    await users.delete(robot.id, by=ADMIN)
    await users.delete(dev.id, by=ADMIN)
    visitor = await console.admin()
    await visitor.post("/account/addToken", name="laptop", days="1", api="none")
    admin = await users.named("admin")
    (token,) = await parts.access_tokens.of_user(admin.id)
    await visitor.post(f"/account/revokeToken/{token.id}")
    await parts.refresh_tokens.create(admin.id, "docker", by=ADMIN)
    (client,) = await parts.refresh_tokens.of_user(admin.id)
    await visitor.post(f"/account/revokeClient/{client.id}")
    await visitor.post("/logout")
    assert (await console.token(scope="repository:a:pull")).status == 200
    assert (await (await console.visitor()).post("/login", csrf="none")).status == 403
    await refuse(console, times=20)
    recorded = await parts.database.read(lambda: {row.action for row in AuditRow.select()})
    assert recorded | {"image.delete"} == set(ACTIONS)
    assert [one for one in recorded - {"signout"} if not one.startswith(tuple(KINDS))] == []


def test_there_is_no_way_to_change_it():
    assert [route.method for route in ROUTES if route.path.startswith("/audit")] == ["GET"]


async def test_it_is_chinese_for_chinese_readers(console):
    admin = await console.admin()
    page = await admin.text("/audit/index", headers={"Accept-Language": "zh-CN"})
    assert "审计日志" in page
    assert rows(page)[0][2] == "登录"
    for english in ("Audit", "Who", "Action", "Subject", "What changed", "Filter"):
        assert f">{english}<" not in page
