"""Deleting images: who may, what goes, and what is said."""

import re

import jwt
import pytest

from shared.tokens import Claims

DELETER = ("UI_USER", "read-all", "UI_DELETE")


async def form_of(visitor, path):
    page = await visitor.text(path)
    return page, dict(re.findall(r'name="(digest|tags)" value="([^"]+)"', page))


async def test_the_page_names_all_tags_that_go_and_only_then_they_go(console, registry):
    digest = registry.add_image("team/app", "1.0", "latest", "stable")
    registry.add_image("team/app", "2.0", platform="linux/arm64")
    visitor = await console.member("dev", *DELETER)
    page, fields = await form_of(visitor, "/repo/delete/team/app/1.0")
    assert fields == {"digest": digest, "tags": "1.0 stable latest"}
    assert "2 other tags point to the same image and are deleted too:" in page
    assert "<strong>latest</strong>" in page
    assert "<strong>stable</strong>" in page
    assert "<strong>2.0</strong>" not in page
    response = await visitor.post("/repo/delete/team/app/1.0", **fields)
    assert (response.status, response.headers["Location"]) == (303, "/repo/tags/team/app")
    assert registry.tags["team/app"].keys() == {"2.0"}
    page = await visitor.text("/repo/tags/team/app")
    assert "Deleted team/app:1.0, team/app:latest, team/app:stable." in page
    assert "Deleted" not in await visitor.text("/repo/tags/team/app")


async def test_after_the_last_tag_the_way_leads_to_the_list(console, registry):
    registry.add_image("team/app", "1.0")
    visitor = await console.member("dev", *DELETER)
    page, fields = await form_of(visitor, "/repo/delete/team/app/1.0")
    assert "No other tag points to it." in page
    assert (await visitor.post("/repo/delete/team/app/1.0", **fields)).headers["Location"] == "/"
    assert "team/app</span>" not in await visitor.text("/")


async def test_the_deletion_is_made_in_the_name_and_with_the_address_of_the_user(console, registry):
    registry.add_image("team/app", "1.0")
    visitor = await console.member("dev", *DELETER)
    _, fields = await form_of(visitor, "/repo/delete/team/app/1.0")
    await visitor.post("/repo/delete/team/app/1.0", **fields)
    (headers,) = (headers for method, _, headers in registry.requests if method == "DELETE")
    token = headers["Authorization"].removeprefix("Bearer ")
    claims = Claims.from_json(jwt.decode(token, options={"verify_signature": False}))
    assert (claims.subject, claims.client_address, headers["X-Forwarded-For"]) == ("dev", "127.0.0.1", "127.0.0.1")
    assert [str(scope) for scope in claims.access] == ["repository:team/app:delete"]


@pytest.mark.parametrize("move", ["tag moved", "tag added"])
async def test_what_changed_in_between_is_not_deleted(console, registry, move):
    registry.add_image("team/app", "1.0")
    visitor = await console.member("dev", *DELETER)
    _, fields = await form_of(visitor, "/repo/delete/team/app/1.0")
    if move == "tag moved":
        registry.add_image("team/app", "1.0", platform="linux/arm64")
    else:
        registry.add_image("team/app", "stable")
    response = await visitor.post("/repo/delete/team/app/1.0", **fields)
    assert response.status == 409
    assert "changed in the meantime" in await response.text()
    assert "1.0" in registry.tags["team/app"]


async def test_an_index_is_deleted_as_such(console, registry):
    child = registry.add_image("team/app")
    index = registry.add_index("team/app", "multi", [(child, "linux/amd64")])
    visitor = await console.member("dev", *DELETER)
    _, fields = await form_of(visitor, "/repo/delete/team/app/multi")
    assert fields["digest"] == index
    await visitor.post("/repo/delete/team/app/multi", **fields)
    assert ("team/app", index) not in registry.manifests
    assert ("team/app", child) in registry.manifests


@pytest.mark.parametrize("roles", [("UI_USER", "read-all"), ("UI_USER", "write-all"), ("UI_ADMIN",)])
async def test_without_the_right_there_is_no_button_and_no_way(console, registry, roles):
    digest = registry.add_image("team/app", "1.0")
    visitor = await console.member("dev", *roles)
    for path in ("/", "/repo/tags/team/app", "/repo/tag/team/app/1.0"):
        assert "/repo/delete/" not in await visitor.text(path)
    assert (await visitor.get("/repo/delete/team/app/1.0")).status == 403
    response = await visitor.post("/repo/delete/team/app/1.0", digest=digest, tags="1.0")
    assert response.status == 403
    assert "ui-delete" in await response.text()
    assert registry.tags["team/app"]


async def test_with_the_right_there_is_a_button_in_both_lists(console, registry):
    registry.add_image("team/app", "1.0")
    visitor = await console.member("dev", *DELETER)
    for path in ("/", "/repo/tags/team/app", "/repo/tag/team/app/1.0"):
        assert 'href="/repo/delete/team/app/1.0"' in await visitor.text(path)


async def test_a_read_only_console_deletes_nothing(start, with_registry, registry):
    digest = registry.add_image("team/app", "1.0")
    console = await start(with_registry(readonly=True))
    visitor = await console.member("dev", *DELETER)
    assert "/repo/delete/" not in await visitor.text("/repo/tags/team/app")
    response = await visitor.post("/repo/delete/team/app/1.0", digest=digest, tags="1.0")
    assert response.status == 403
    assert "read-only" in await response.text()
    assert registry.tags["team/app"]


async def test_a_registry_that_deletes_nothing_says_what_to_set(console, registry):
    registry.add_image("team/app", "1.0")
    registry.deletes = False
    visitor = await console.member("dev", *DELETER)
    _, fields = await form_of(visitor, "/repo/delete/team/app/1.0")
    response = await visitor.post("/repo/delete/team/app/1.0", **fields)
    assert response.status == 409
    assert "storage.delete.enabled: true" in await response.text()


async def test_a_tag_that_is_gone_is_not_found(console, registry):
    registry.add_image("team/app", "1.0")
    visitor = await console.member("dev", *DELETER)
    assert (await visitor.get("/repo/delete/team/app/2.0")).status == 404
    assert (await visitor.post("/repo/delete/team/app/2.0")).status == 404


async def test_the_right_to_delete_shows_the_repository(console, registry):
    registry.add_image("team/app", "1.0")
    visitor = await console.member("dev", "UI_USER", "UI_DELETE")
    assert "team/app" in await visitor.text("/")


@pytest.mark.parametrize("broken", ["manifest", "config"])
async def test_an_image_that_cannot_be_read_can_be_deleted(console, registry, broken):
    digest = registry.add_image("team/app", "1.0", "latest")
    if broken == "manifest":
        registry.manifests["team/app", digest] = (registry.manifests["team/app", digest][0], b"[]")
    else:
        registry.blobs = dict.fromkeys(registry.blobs, b"no json")
    visitor = await console.member("dev", *DELETER)
    page = await visitor.text("/repo/tags/team/app")
    assert "cannot be read" in page
    assert 'href="/repo/delete/team/app/latest"' in page
    _, fields = await form_of(visitor, "/repo/delete/team/app/1.0")
    assert fields == {"digest": digest, "tags": "1.0 latest"}
    assert (await visitor.post("/repo/delete/team/app/1.0", **fields)).status == 303
    assert registry.tags["team/app"] == {}
