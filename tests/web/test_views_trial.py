"""Trying a rule in the browser: who would lose or gain what; nothing is saved until it is."""

import pytest

from tests.kit.api import program
from tests.kit.reading import contents, form_to, rows
from web_service.asked import Asked
from web_service.roles import RuleDraft

HOSTILE = '"><script>alert(1)</script>'
DRAFT = {"address": "*", "repository": "team/**", "level": "push", "comment": "a note"}


@pytest.fixture
async def team(console):
    """A role with a rule, held by dev, who has asked for this and that."""
    await console.member_with("dev", RuleDraft("10.*", "team/**", "pull", "as it was"))
    asked = [Asked("dev", "10.0.0.1", "team/app", action, action == "pull") for action in ("pull", "push")]
    console.parts.asked.note([*asked, *asked, Asked("", "10.0.0.1", "team/app", "pull", False)])
    await console.parts.asked.flush()
    return await console.parts.roles.named("role of dev")


@pytest.mark.parametrize(
    ("level", "expected", "words"),
    [
        ("push", [["gained", "dev", "team/app", "push", "10.0.0.1", "2"]], "1 request that is refused now would be"),
        ("deny", [["lost", "dev", "team/app", "pull", "10.0.0.1", "2"]], "1 request that is allowed now would be"),
        ("pull", [], "Nobody would lose or gain anything that was asked for."),
    ],
)
async def test_a_new_rule_is_tried(console, team, level, expected, words):
    admin = await console.admin()
    before = contents(console.parts.database.place)
    response = await admin.post(f"/role/tryAcl/{team.id}", **(DRAFT | {"level": level}))
    page = await response.text()
    assert response.status == 200
    assert [row[:6] for row in rows(page)] == expected
    assert words in page
    assert "Looked at: 3 different requests of the last 14 days." in page
    assert "Nothing has been saved yet." in page
    assert contents(console.parts.database.place) == before
    back = form_to(page, f"/role/show/{team.id}")
    assert back == DRAFT | {"level": level}
    saved = form_to(page, f"/role/addAcl/{team.id}")
    assert saved.pop("csrf")
    assert (await admin.post(f"/role/addAcl/{team.id}", **saved)).status == 303
    assert [rule.level for rule in (await console.parts.roles.get(team.id)).rules] == ["pull", level]


async def test_a_changed_rule_is_tried(console, team):
    admin, rule = await console.admin(), team.rules[0]
    before, place = contents(console.parts.database.place), f"/role/editAcl/{team.id}/{rule.id}"
    page = await (await admin.post(f"/role/tryAcl/{team.id}/{rule.id}", **(DRAFT | {"address": "192.168.*"}))).text()
    assert [row[:4] for row in rows(page)] == [["lost", "dev", "team/app", "pull"]]
    assert "<del><code>team/** · pull · 10.*</code></del>" in page
    assert "<ins><code>team/** · push · 192.168.*</code></ins>" in page
    assert contents(console.parts.database.place) == before
    assert form_to(page, place) == DRAFT | {"address": "192.168.*"}
    edited = await admin.text(place, params=form_to(page, place))
    for value in ("192.168.*", "team/**", "a note"):
        assert f'value="{value}"' in edited
    assert (await admin.post(place, **(DRAFT | {"address": "192.168.*"}))).status == 303
    assert (await console.parts.roles.get(team.id)).rules[0].address == "192.168.*"


async def test_doing_without_a_rule_is_tried(console, team):
    admin, rule = await console.admin(), team.rules[0]
    before = contents(console.parts.database.place)
    assert f'formaction="/role/tryDelete/{team.id}/{rule.id}"' in await admin.text(f"/role/show/{team.id}")
    page = await (await admin.post(f"/role/tryDelete/{team.id}/{rule.id}")).text()
    assert [row[:4] for row in rows(page)] == [["lost", "dev", "team/app", "pull"]]
    assert contents(console.parts.database.place) == before
    assert set(form_to(page, f"/role/deleteAcl/{team.id}/{rule.id}")) == {"csrf"}
    assert (await admin.post(f"/role/deleteAcl/{team.id}/{rule.id}")).status == 303
    assert (await console.parts.roles.get(team.id)).rules == ()


async def test_who_has_not_signed_in_is_named(console, team):
    await console.open_to_everybody()
    role = await console.parts.roles.named("anonymous")
    page = await (await (await console.admin()).post(f"/role/tryAcl/{role.id}", **(DRAFT | {"level": "pull"}))).text()
    assert ["gained", "not signed in", "team/app", "pull"] in [row[:4] for row in rows(page)]
    assert team.rules  # what dev has is untouched


@pytest.mark.parametrize("changes", [False, True], ids=["new", "changed"])
async def test_a_rule_that_cannot_be_tried_shows_the_form_again(console, team, changes):
    path = f"/role/tryAcl/{team.id}" + (f"/{team.rules[0].id}" if changes else "")
    response = await (await console.admin()).post(path, address="*", repository="{a", level="pull", comment="kept")
    page = await response.text()
    assert response.status == 400
    assert "lacks the &#39;}&#39; of a group" in page
    assert 'value="{a"' in page
    assert 'value="kept"' in page


@pytest.mark.parametrize(("path", "status"), [("tryAcl/{0}/99", 404), ("tryDelete/{0}/99", 404), ("tryAcl/99", 404)])
async def test_what_is_not_there_is_not_tried(console, team, path, status):
    assert (await (await console.admin()).post(f"/role/{path.format(team.id)}", **DRAFT)).status == status


async def test_a_role_that_opens_the_console_gets_no_rule_by_trying(console):
    role = await console.parts.roles.named("UI_ADMIN")
    response = await (await console.admin()).post(f"/role/tryAcl/{role.id}", **DRAFT)
    assert response.status == 403


async def test_who_tries_while_another_does_finds_the_form_as_it_was_typed(console, team):
    console.parts.simulation._busy = True
    response = await (await console.admin()).post(f"/role/tryAcl/{team.id}", **DRAFT)
    page = await response.text()
    assert (response.status, response.headers["Retry-After"]) == (429, "5")
    caller = await program(console)
    status, _ = await caller.call("POST", "/roles/read-all/rules/try", {"repository": "x", "level": "pull"})
    assert (status, caller.answer.headers["Retry-After"]) == (429, "5")
    assert "Somebody else tries a change at the moment" in page
    assert 'value="a note"' in page


async def test_without_anything_asked_it_says_that_it_knows_nothing(console):
    role = await console.parts.roles.named("read-all")
    page = await (await (await console.admin()).post(f"/role/tryAcl/{role.id}", **DRAFT)).text()
    assert "Nothing was asked of the registry in the last 14 days" in page


async def test_many_differences_are_counted_and_not_all_shown(console, team):
    console.parts.asked.note([Asked("dev", "10.0.0.1", f"team/app{number}", "push", False) for number in range(230)])
    page = await (await (await console.admin()).post(f"/role/tryAcl/{team.id}", **DRAFT)).text()
    assert "231 requests that are refused now would be allowed." in page
    assert len(rows(page)) == 200
    assert "31 more are not shown." in page


async def test_whatever_was_asked_for_or_typed_is_harmless(console, team):
    console.parts.asked.note([Asked("dev", HOSTILE[:64], "team/app", HOSTILE[:32], False)])
    admin = await console.admin()
    draft = {"address": "*", "repository": f"team/{HOSTILE}", "level": "admin", "comment": HOSTILE}
    for fields in (draft, draft | {"repository": "**"}):
        page = await (await admin.post(f"/role/tryAcl/{team.id}", **fields)).text()
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page
    for path in (f"/role/show/{team.id}", f"/role/editAcl/{team.id}/{team.rules[0].id}"):
        page = await admin.text(path, params=draft)
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


async def test_who_comes_back_finds_the_new_rule_as_it_was_typed(console, team):
    page = await (await console.admin()).text(f"/role/show/{team.id}", params=DRAFT)
    assert '<option value="push" selected>' in page
    assert 'value="a note"' in page
    assert [rule.level for rule in (await console.parts.roles.get(team.id)).rules] == ["pull"]


async def test_it_is_chinese_for_chinese_readers(console, team):
    response = await (await console.admin()).post(f"/role/tryAcl/{team.id}", {"Accept-Language": "zh"}, **DRAFT)
    page = await response.text()
    assert "试运行" in page
    assert "1 种目前被拒绝的请求将被允许。" in page
    for english in ("Trial", "Save", "Back", "gained", "Effect", "How often"):
        assert f">{english}<" not in page
