"""Refused requests in the audit trail: pages, forms of other sites, changes, and the REST API."""

import pytest

from tests.kit.api import program, program_with, token_of
from web_service.audit import Wanted
from web_service.errors import Unavailable

ADMINS_ONLY = "Only administrators may do this."
FOREIGN = "The form comes from another site and was not accepted; a proxy must pass on the Host header."


async def refusals(console):
    entries = (await console.parts.audit.page(Wanted(action="request."), size=10_000)).entries
    return [(one.actor, one.via, one.address, one.subject, one.new["reason"]) for one in reversed(entries)]


async def test_a_page_that_is_for_others_is_recorded_once(console):
    member = await console.member("dev", "UI_USER")
    for _ in range(3):
        assert (await member.get("/user/index")).status == 403
    assert (await member.get("/audit/index?actor=x")).status == 403
    assert await refusals(console) == [
        ("dev", "console", "127.0.0.1", "GET /user/index", ADMINS_ONLY),
        ("dev", "console", "127.0.0.1", "GET /audit/index", ADMINS_ONLY),
    ]


async def test_a_form_that_is_not_ours_is_recorded(console):
    admin, stranger = await console.admin(), await console.visitor()
    assert (await admin.post("/role/create", csrf="guess", name="x")).status == 403
    assert (await admin.post("/role/create", headers={"Sec-Fetch-Site": "cross-site"}, name="x")).status == 403
    assert (
        await stranger.post("/login", headers={"Origin": "https://evil.example"}, name="a", password="b")
    ).status == 403
    assert await refusals(console) == [
        ("admin", "console", "127.0.0.1", "POST /role/create", "The form is no longer valid; load the page again."),
        ("admin", "console", "127.0.0.1", "POST /role/create", FOREIGN),
        ("", "console", "127.0.0.1", "POST /login", FOREIGN),
    ]


async def test_a_change_that_is_refused_is_recorded(console):
    visitor = await console.admin()
    admin = await console.parts.users.named("admin")
    assert (await visitor.post(f"/user/delete/{admin.id}")).status == 403
    caller = await program(console)
    assert (await caller.call("DELETE", "/users/admin"))[0] == 403
    reason = "You cannot delete your own account."
    assert await refusals(console) == [
        ("admin", "console", "127.0.0.1", f"POST /user/delete/{admin.id}", reason),
        ("admin", "api", "127.0.0.1", "DELETE /api/v1/users/admin", reason),
    ]


async def test_a_token_that_may_not_is_named(console):
    _, secret = await token_of(console, "admin", "read", label="reader")
    caller = await program_with(console, secret)
    for _ in range(2):
        assert (await caller.call("DELETE", "/users/admin"))[0] == 403
    (entry,) = (await console.parts.audit.page(Wanted(action="request.refused"))).entries
    assert entry.new["token"] == "reader"
    assert entry.new["reason"] == "The access token reader may not change things by the API."
    assert secret[8:] not in str(entry)


@pytest.mark.parametrize("path", ["/user/index", "/api/v1/users", "/nowhere", "/static/", "/login", "/api/auth"])
async def test_who_brings_no_credentials_is_not_refused(console, path):
    visitor = await console.visitor()
    await visitor.get(path)
    assert await refusals(console) == []


async def test_a_refusal_that_cannot_be_recorded_is_one_all_the_same(console, monkeypatch):
    member = await console.member("dev", "UI_USER")

    async def lost(*_):
        raise Unavailable

    with monkeypatch.context() as patched:
        patched.setattr(type(console.parts.audit), "record_all", lost)
        assert (await member.get("/user/index")).status == 403
    assert await refusals(console) == []
    assert (await member.get("/user/index")).status == 403
    assert len(await refusals(console)) == 1
