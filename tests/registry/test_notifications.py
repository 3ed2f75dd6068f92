"""Notifications as the API sees them: say what happened, and every endpoint that wants to know is told."""

import asyncio
import time
import uuid
from datetime import datetime

import pytest

from registry_service.config import Endpoint, Ignore
from registry_service.notifications import Notifier, Origin, Target
from registry_service.notifications.events import BLOB_TYPE
from registry_service.notifications.queue import Outbox
from shared.config import ConfigError, Duration
from tests.kit.services import free_port
from tests.kit.sink import NEVER, running_sink

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
ORIGIN = Origin("id", "10.0.0.1:1", "registry:5000", "PUT", "docker", "alice")
BLOB, MANIFEST = Target("a", BLOB_TYPE), Target("a", MANIFEST_TYPE)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outbox.sqlite3"


def endpoint(name, url, **more):
    return Endpoint(name, url, **{"timeout": Duration(0.5), "backoff": Duration(0.02), "threshold": 2, **more})


def notifier(path, *endpoints):
    return Notifier(endpoints, path, "0.0.0.0:5000")


def tags(sink, path=None):
    return [one.event["target"]["tag"] for one in sink.received if path in (None, one.path)]


async def test_an_event_says_when_and_where_it_happened(path):
    async with running_sink() as sink:
        notify = notifier(path, endpoint("web", sink.url))
        async with notify.running():
            await notify.notify("push", [MANIFEST, BLOB], ORIGIN)
            first, second = (one.event for one in await sink.wait_for(2))
    assert [one["target"]["mediaType"] for one in (first, second)] == [MANIFEST_TYPE, BLOB_TYPE]
    assert first["action"] == "push"
    assert uuid.UUID(first["id"]) != uuid.UUID(second["id"])
    assert abs(datetime.fromisoformat(first["timestamp"]).timestamp() - time.time()) < 10
    assert datetime.fromisoformat(first["timestamp"]).tzinfo is not None
    assert first["source"]["addr"].endswith(":5000")
    assert first["source"] == second["source"]
    assert uuid.UUID(first["source"]["instanceID"])
    assert (first["request"]["addr"], first["actor"]) == ("10.0.0.1:1", {"name": "alice"})


@pytest.mark.parametrize(
    ("filters", "action", "target", "wanted"),
    [
        ({}, "push", BLOB, True),
        ({}, "pull", MANIFEST, True),
        ({"ignoredmediatypes": (BLOB_TYPE,)}, "push", BLOB, False),
        ({"ignoredmediatypes": (BLOB_TYPE,)}, "push", MANIFEST, True),
        ({"ignoredmediatypes": (BLOB_TYPE,)}, "delete", Target("a"), True),
        ({"ignore": Ignore(mediatypes=(BLOB_TYPE,))}, "push", BLOB, False),
        ({"ignore": Ignore(mediatypes=(BLOB_TYPE,))}, "push", MANIFEST, True),
        ({"ignore": Ignore(actions=("pull", "mount"))}, "pull", MANIFEST, False),
        ({"ignore": Ignore(actions=("pull", "mount"))}, "mount", BLOB, False),
        ({"ignore": Ignore(actions=("pull",))}, "push", MANIFEST, True),
        ({"ignore": Ignore(actions=("pull",)), "ignoredmediatypes": (BLOB_TYPE,)}, "push", BLOB, False),
        ({"disabled": True}, "push", MANIFEST, False),
    ],
    ids=str,
)
async def test_an_endpoint_is_told_what_it_does_not_ignore(path, filters, action, target, wanted):
    notify = notifier(
        path, endpoint("web", f"http://127.0.0.1:{free_port()}/", **filters), endpoint("off", "", disabled=True)
    )
    async with notify.running():
        await notify.notify(action, [target], ORIGIN)
    outbox = Outbox(path)
    await outbox.open()
    assert await outbox.counts() == ({"web": (1, 0)} if wanted else {})
    await outbox.close()


async def test_every_endpoint_hears_of_the_same_event_in_the_same_order(path):
    async with running_sink() as one, running_sink() as two:
        notify = notifier(path, endpoint("one", one.url), endpoint("two", two.url))
        async with notify.running():
            for number in range(10):
                await notify.notify("push", [Target("a", tag=str(number))], ORIGIN)
            await one.wait_for(10)
            await two.wait_for(10)
    assert one.event_ids == two.event_ids
    assert tags(one) == [str(number) for number in range(10)]


@pytest.mark.parametrize("how", ["nobody listens", "never answers"])
async def test_a_dead_endpoint_slows_neither_a_push_nor_another_endpoint(path, how):
    async with running_sink(*[NEVER] * 100) as silent, running_sink() as alive:
        url = silent.url if how == "never answers" else f"http://127.0.0.1:{free_port()}/"
        notify = notifier(path, endpoint("dead", url, timeout=Duration(60.0)), endpoint("alive", alive.url))
        async with notify.running():
            began = time.monotonic()
            for number in range(50):
                await notify.notify("push", [Target("a", tag=str(number))], ORIGIN)
            assert time.monotonic() - began < 2
            await alive.wait_for(50, seconds=5)
    assert tags(alive) == [str(number) for number in range(50)]


async def test_events_survive_a_restart_with_their_ids_and_order(path):
    port = free_port()
    to = endpoint("web", f"http://127.0.0.1:{port}/")
    for start in (0, 3):
        notify = notifier(path, to)
        async with notify.running():
            for number in range(start, start + 3):
                await notify.notify("push", [Target("a", tag=str(number))], ORIGIN)
    outbox = Outbox(path)
    await outbox.open()
    oldest = await outbox.first("web")
    await outbox.close()
    async with running_sink(port=port) as sink, notifier(path, to).running():
        await sink.wait_for(6)
    assert tags(sink) == [str(number) for number in range(6)]
    assert sink.event_ids[0] == oldest.event_id


async def test_what_was_delivered_before_a_restart_is_not_delivered_again(path):
    async with running_sink() as sink:
        notify = notifier(path, endpoint("web", sink.url))
        async with notify.running():
            await notify.notify("push", [Target("a", tag="1")], ORIGIN)
            await sink.wait_for(1)
            await asyncio.sleep(0.05)
        notify = notifier(path, endpoint("web", sink.url))
        async with notify.running():
            await notify.notify("push", [Target("a", tag="2")], ORIGIN)
            await sink.wait_for(2)
            await asyncio.sleep(0.05)
    assert tags(sink) == ["1", "2"]


@pytest.mark.parametrize("endpoints", [(), (endpoint("web", "http://x/", disabled=True),)], ids=["none", "disabled"])
async def test_without_endpoints_nothing_is_kept(path, endpoints):
    notify = notifier(path, *endpoints)
    async with notify.running():
        await notify.notify("push", [MANIFEST], ORIGIN)
    assert not path.exists()


async def test_without_a_disk_events_live_in_memory():
    async with running_sink() as sink:
        notify = notifier(None, endpoint("web", sink.url))
        async with notify.running():
            await notify.notify("push", [Target("a", tag="1")], ORIGIN)
            await sink.wait_for(1)


async def test_pushes_at_the_same_time_are_all_told_of(path):
    async with running_sink() as sink:
        notify = notifier(path, endpoint("web", sink.url))
        async with notify.running():
            await asyncio.gather(*(notify.notify("push", [Target("a", tag=str(n))], ORIGIN) for n in range(50)))
            await sink.wait_for(50)
    assert sorted(map(int, tags(sink))) == list(range(50))


def test_a_missing_token_file_stops_the_start(tmp_path):
    with pytest.raises(ConfigError, match="tokenfile: cannot be read"):
        notifier(None, endpoint("web", "http://x/", tokenfile=tmp_path / "none"))
