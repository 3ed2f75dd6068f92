"""/api/notification and /api/health over the wire."""

import dataclasses
import io
import json

import pytest

from shared.config import Secret
from web_service.config import NotificationsConfig
from web_service.events import Wanted

SECRET = "hush"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
V1 = "application/vnd.docker.distribution.events.v1+json"
V2 = "application/vnd.docker.distribution.events.v2+json"


def envelope(*identifiers, **target):
    entries = []
    for identifier in identifiers:
        held = {"mediaType": MANIFEST, "digest": "sha256:1", "repository": "team/app", "tag": "1.0", **target}
        entries.append(
            {
                "id": identifier,
                "timestamp": "2026-01-02T03:04:05Z",
                "action": "push",
                "target": held,
                "request": {"addr": "[2001:db8::1]:443", "useragent": "docker"},
                "actor": {"name": "dev"},
            }
        )
    return json.dumps({"events": entries})


@pytest.fixture
async def guarded(start, config):
    return await start(dataclasses.replace(config, notifications=NotificationsConfig(token=Secret(SECRET))))


async def send(console, body, secret="", media_type=V1):
    client = await console.new_client(console.server)
    headers = {"Content-Type": media_type} | ({"Authorization": secret} if secret else {})
    return await client.post("/api/notification", data=body, headers=headers)


async def recorded(console):
    return (await console.parts.events.page(Wanted())).events


@pytest.mark.parametrize("media_type", [V1, V2, "application/json", "text/plain"])
async def test_events_of_both_versions_are_recorded(console, media_type):
    response = await send(console, envelope("a"), media_type=media_type)
    assert (response.status, await response.json()) == (
        200,
        {"recorded": 1, "repeated": 0, "ignored": 0, "unusable": 0},
    )
    (event,) = await recorded(console)
    assert (event.event_id, event.user, event.address, event.time) == ("a", "dev", "2001:db8::1", 1767323045)


async def test_a_repeated_event_is_recorded_once(console):
    for _ in range(2):
        response = await send(console, envelope("a", "a", "b"))
    assert (await response.json())["repeated"] == 3
    assert len(await recorded(console)) == 2


async def test_one_bad_event_does_not_lose_the_others(console, caplog):
    document = json.loads(envelope("a", "b"))
    document["events"].insert(1, {"id": "broken"})
    response = await send(console, json.dumps(document))
    assert (response.status, await response.json()) == (
        200,
        {"recorded": 2, "repeated": 0, "ignored": 0, "unusable": 1},
    )
    assert "an event was not usable" in caplog.text


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"events": 5}', "{}", "[" * 100_000, b"\xff\xfe"])
async def test_a_body_that_is_no_envelope_is_a_400(console, body):
    response = await send(console, body)
    assert response.status == 400
    assert (await response.json())["errors"][0]["message"]


async def test_an_envelope_that_is_too_large_is_a_413(console):
    response = await send(console, io.BytesIO(b" " * (5 * 1024 * 1024)))
    assert response.status == 413
    assert (await response.json())["errors"]


async def test_an_empty_envelope_is_fine(console):
    assert (await send(console, '{"events": []}')).status == 200


@pytest.mark.parametrize("secret", ["", "hush", "Bearer", "Bearer wrong", "Basic hush", "Bearer hush2", "Bearer ﬀ"])
async def test_without_the_secret_nothing_is_recorded(guarded, secret):
    response = await send(guarded, envelope("a"), secret.encode().decode("latin-1"))
    assert response.status == 401
    assert (await response.json())["errors"][0]["code"] == "UNAUTHORIZED"
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert await recorded(guarded) == ()


@pytest.mark.parametrize("secret", [f"Bearer {SECRET}", f"bearer {SECRET}"])
async def test_with_the_secret_events_are_recorded(guarded, secret):
    assert (await send(guarded, envelope("a"), secret)).status == 200
    assert len(await recorded(guarded)) == 1


async def test_health_is_open_to_all_and_asks_the_database(console, monkeypatch):
    client = await console.new_client(console.server)
    response = await client.get("/api/health")
    assert (response.status, await response.json()) == (200, {"status": "ok"})

    async def silent(_):
        return False

    monkeypatch.setattr(type(console.parts.database), "answers", silent)
    assert (await client.get("/api/health")).status == 503


async def test_an_event_with_half_a_character_is_recorded(guarded):
    body = envelope("a\ud800", tag="1\ud800", repository="team/\ud800", mediaType=MANIFEST + "\0")
    response = await send(guarded, body, f"Bearer {SECRET}")
    assert (response.status, (await response.json())["recorded"]) == (200, 1)
    (event,) = await recorded(guarded)
    assert (event.event_id, event.tag, event.repository) == ("a\ufffd", "1\ufffd", "team/\ufffd")


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
async def test_an_event_of_a_time_that_no_page_can_show_is_told_and_not_sent_again(console, moment):
    response = await send(console, envelope("a").replace("2026-01-02T03:04:05Z", moment))
    assert (response.status, (await response.json())["unusable"]) == (200, 1)


async def test_a_secret_that_is_no_text_is_a_wrong_one(guarded):
    status, _ = await guarded.raw(b"POST /api/notification HTTP/1.1", b"Authorization: Bearer \xff", body=b"{}")
    assert status == 401
