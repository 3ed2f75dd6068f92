"""Looking by the API: decisions, events and the audit trail."""

import pytest

from tests.kit.actors import ADMIN
from tests.kit.api import program, program_with, token_of
from tests.web.conftest import PASSWORD
from web_service.events import Event
from web_service.roles import RuleDraft


async def happened(console):
    """Record events: of three repositories by dev, by somebody else, and by nobody who has signed in."""
    users = ("dev", "other", "")
    events = [
        Event(f"{user}-{name}", 1_800_000_000 + number, user, "pull", name, tag="1.0", address="10.0.0.1")
        for user in users
        for number, name in enumerate(("team/a", "team/b", "secret/c"))
    ]
    await console.parts.events.record(events)


async def with_rules(console, name, *rules):
    role = await console.parts.roles.create(f"role of {name}", by=ADMIN)
    for rule in rules:
        await console.parts.roles.add_rule(role.id, rule, by=ADMIN)
    return await console.user(name, "UI_USER", role.name)


def seen(found):
    return {(one["user"], one["repository"]) for one in found["items"]}


def of(users, *repositories):
    return {(user, repository) for user in users for repository in repositories}


ALL = ("dev", "other", "")
NAMES = ("team/a", "team/b", "secret/c")


async def test_events_are_of_what_one_may_see_and_one_s_own(console):
    await with_rules(console, "dev", RuleDraft("*", "team/**", "pull"))
    await happened(console)
    caller = await program(console, "dev", PASSWORD)
    found = await caller.done("GET", "/events")
    assert seen(found) == of(ALL, "team/a", "team/b") | {("dev", "secret/c")}
    assert seen(await (await program(console)).done("GET", "/events")) == of(ALL, *NAMES)


async def test_events_in_pages_and_filtered(console):
    await happened(console)
    admin = await program(console)
    assert seen(await admin.done("GET", "/events?user=dev&repository=team")) == of(("dev",), "team/a", "team/b")
    assert seen(await admin.done("GET", "/events?action=push")) == set()
    first = await admin.done("GET", "/events?size=8")
    second = await admin.done("GET", "/events?size=8&page=2")
    assert (len(first["items"]), first["more"], len(second["items"]), second["more"]) == (8, True, 1, False)
    assert first["items"][0] | {"id": ""} == {
        "id": "",
        "time": "2027-01-15T08:00:02Z",
        "user": "",
        "action": "pull",
        "repository": "secret/c",
        "tag": "1.0",
        "digest": "",
        "media_type": "",
        "address": "10.0.0.1",
        "user_agent": "",
    }
    assert (await admin.call("GET", "/events?action=buy"))[0] == 422


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((), of(ALL, "team/a", "team/b") | {("dev", "secret/c")}),
        (("**:admin",), of(ALL, "team/a", "team/b")),
        (("team/a:pull",), of(ALL, "team/a")),
        (("secret/**:push",), set()),
        (("nothing:pull",), set()),
    ],
)
async def test_a_limited_token_is_told_nothing_beyond_its_limits(console, limits, expected):
    await with_rules(console, "dev", RuleDraft("*", "team/**", "pull"))
    await happened(console)
    _, secret = await token_of(console, "dev", "read", *limits)
    assert seen(await (await program_with(console, secret)).done("GET", "/events")) == expected


async def test_a_limited_token_of_an_administrator_is_limited_too(console):
    await happened(console)
    _, secret = await token_of(console, "admin", "read", "team/a:pull")
    caller = await program_with(console, secret)
    assert seen(await caller.done("GET", "/events")) == of(ALL, "team/a")
    for path in ("/users", "/roles", "/audit", "/tokens", "/user/tokens", "/access?repository=team/a"):
        assert (await caller.call("GET", path))[0] == 403


async def test_what_is_denied_is_not_told(console):
    await with_rules(console, "dev", RuleDraft("*", "**", "pull"), RuleDraft("127.0.0.1", "secret/**", "deny"))
    await happened(console)
    caller = await program(console, "dev", PASSWORD)
    assert seen(await caller.done("GET", "/events")) == of(ALL, "team/a", "team/b") | {("dev", "secret/c")}


async def test_decisions_are_explained(console):
    await with_rules(console, "dev", RuleDraft("10.0.0.0/8", "team/**", "pull"))
    admin = await program(console)
    asked = "/access?user=dev&repository=team/app"
    found = await admin.done("GET", f"{asked}&from=10.1.1.1")
    assert (found["allowed"], found["reason"]) == (True, "A rule of the role role of dev grants it.")
    assert found["findings"][0]["effect"] == "grants"
    found = await admin.done("GET", asked)
    assert (found["allowed"], found["action"], found["address"]) == (False, "pull", "127.0.0.1")
    assert found["findings"][0]["effect"] == "other address"
    assert not (await admin.done("GET", f"{asked}&from=10.1.1.1&action=push"))["allowed"]
    assert not (await admin.done("GET", "/access?repository=team/app"))["allowed"]
    assert "no repository name" in (await admin.done("GET", "/access?repository=UPPER"))["reason"]
    assert (await admin.call("GET", "/access?user=nobody&repository=x"))[0] == 404
    assert (await admin.call("GET", "/access?user=dev"))[0] == 422
    assert (await admin.call("GET", "/access?repository=x&action=buy"))[0] == 422


async def test_in_a_read_only_console_nothing_is_deleted(start, with_registry):
    console = await start(with_registry(readonly=True))
    await console.user("dev", "UI_USER", "UI_DELETE")
    found = await (await program(console)).done("GET", "/access?user=dev&repository=x&action=ui-delete")
    assert (found["allowed"], "read-only" in found["reason"]) == (False, True)


async def test_the_audit_trail_is_filtered(console):
    admin = await program(console)
    await admin.done("POST", "/roles", {"name": "one"})
    await admin.done("POST", "/roles/one/rules", {"repository": "x", "level": "pull"})
    await admin.done("PATCH", "/roles/one", {"name": "two"})
    for query, actions in (
        ("actor=admin", ["role.rename", "rule.add", "role.create", "signin"]),
        ("action=role.", ["role.rename", "role.create"]),
        ("action=rule.add", ["rule.add"]),
        ("subject=two", ["role.rename"]),
        ("actor=nobody", []),
        ("since=2200-01-01T00:00:00Z", []),
        ("since=2020-01-01T00:00:00Z&size=1&page=2&actor=admin", ["rule.add"]),
        ("action=request.", []),
    ):
        found = await admin.done("GET", f"/audit?{query}")
        assert [one["action"] for one in found["items"]] == actions, query
    renamed = (await admin.done("GET", "/audit?action=role.rename"))["items"][0]
    assert (renamed["old"], renamed["new"], renamed["via"]) == ({"name": "one"}, {"name": "two"}, "api")
