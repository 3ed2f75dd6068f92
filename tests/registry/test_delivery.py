"""Delivery to one endpoint: in order, one at a time, until it takes them."""

import asyncio
import logging
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from registry_service.config import Endpoint
from registry_service.notifications.delivery import Delivering
from registry_service.notifications.events import ENVELOPE_TYPE
from registry_service.notifications.queue import NewDelivery, Outbox
from shared.config import ConfigError, Duration
from tests.kit.services import free_port
from tests.kit.sink import BREAKS_OFF, ELSEWHERE, NEVER, PATH, running_sink

QUICK = {"timeout": Duration(0.2), "backoff": Duration(0.01), "threshold": 3}


@pytest.fixture
async def outbox(tmp_path):
    outbox = Outbox(tmp_path / "outbox.sqlite3")
    await outbox.open()
    yield outbox
    await outbox.close()


def endpoint(url, **more):
    return Endpoint("web", url, **{**QUICK, **more})


@asynccontextmanager
async def delivering(outbox, to):
    """Deliver in the background while inside; yields what the registry wakes."""
    delivery = await asyncio.to_thread(Delivering, to, outbox)
    task = asyncio.create_task(delivery.run())
    try:
        yield delivery
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def add(outbox, *event_ids):
    await outbox.add([NewDelivery("web", one, f'{{"events":[{{"id":"{one}"}}]}}'.encode()) for one in event_ids])


async def settled(outbox, counts):
    """Wait until the outbox has the counts, since an answer is dealt with after it was given."""
    async with asyncio.timeout(5):
        while await outbox.counts() != counts:  # noqa: ASYNC110  the outbox tells nobody of its changes
            await asyncio.sleep(0.005)


async def test_events_are_posted_one_by_one_in_their_order(outbox):
    names = [str(number) for number in range(20)]
    await add(outbox, *names)
    async with running_sink() as sink, delivering(outbox, endpoint(sink.url)):
        await sink.wait_for(20)
        assert sink.event_ids == names
        assert {(one.method, one.path) for one in sink.received} == {("POST", PATH)}
        await settled(outbox, {})


async def test_what_is_added_later_goes_at_once(outbox):
    async with running_sink() as sink, delivering(outbox, endpoint(sink.url)) as delivery:
        for number in range(5):
            await add(outbox, str(number))
            delivery.wake()
            await sink.wait_for(number + 1, seconds=2)


async def test_a_request_carries_the_media_type_the_configured_headers_and_the_token(outbox, tmp_path):
    (tmp_path / "token").write_text(" s3cret\n")
    headers = {"X-One": ("a",), "X-Two": ("b", "c")}
    await add(outbox, "1")
    more = {"headers": headers, "tokenfile": tmp_path / "token"}
    async with running_sink() as sink, delivering(outbox, endpoint(sink.url, **more)):
        (received,) = await sink.wait_for(1)
    assert received.headers.getall("Content-Type") == [ENVELOPE_TYPE]
    assert received.headers.getall("Authorization") == ["Bearer s3cret"]
    assert received.headers.getall("X-One") == ["a"]
    assert received.headers.getall("X-Two") == ["b", "c"]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_every_2xx_takes_the_event(outbox, status):
    await add(outbox, "1", "2")
    async with running_sink(status) as sink, delivering(outbox, endpoint(sink.url)):
        await sink.wait_for(2)
        await settled(outbox, {})
        assert sink.event_ids == ["1", "2"]


@pytest.mark.parametrize(
    "answer", [500, 502, 503, 504, 429, 408, 401, 403, 404, 301, 302, 307, 308, 304, BREAKS_OFF, NEVER]
)
async def test_what_may_pass_is_tried_again_and_holds_up_what_follows(outbox, answer):
    await add(outbox, "1", "2")
    async with running_sink(answer, answer) as sink, delivering(outbox, endpoint(sink.url)):
        await sink.wait_for(4)
        await settled(outbox, {})
        assert sink.event_ids == ["1", "1", "1", "2"]
        assert ELSEWHERE not in [one.path for one in sink.received]


@pytest.mark.parametrize("status", [400, 405, 406, 410, 413, 415, 422])
async def test_an_event_that_is_refused_is_set_aside(outbox, status, caplog):
    await add(outbox, "1", "2", "3")
    async with running_sink(200, status) as sink, delivering(outbox, endpoint(sink.url)):
        await sink.wait_for(3)
        await settled(outbox, {"web": (0, 1)})
        assert sink.event_ids == ["1", "2", "3"]
    (line,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert line.fields == {"endpoint": "web", "event": "2", "status": status}


async def test_an_endpoint_that_is_not_up_yet_gets_everything_once_it_is(outbox):
    port = free_port()
    await add(outbox, "1", "2")
    async with delivering(outbox, endpoint(f"http://127.0.0.1:{port}{PATH}")):
        await asyncio.sleep(0.05)
        async with running_sink(port=port) as sink:
            await sink.wait_for(2)
            assert sink.event_ids == ["1", "2"]
            await settled(outbox, {})


async def test_after_some_failures_each_attempt_waits_for_the_backoff(outbox):
    await add(outbox, "1")
    slow = {"threshold": 3, "backoff": Duration(0.6)}
    async with running_sink(500, 500, 500) as sink, delivering(outbox, endpoint(sink.url, **slow)):
        times = [one.at for one in await sink.wait_for(4)]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[0] < 0.5
    assert gaps[1] < 0.6 <= gaps[2]


async def test_a_success_ends_the_waiting(outbox):
    await add(outbox, "1", "2")
    slow = {"threshold": 2, "backoff": Duration(0.6)}
    async with running_sink(500, 500, 200, 500) as sink, delivering(outbox, endpoint(sink.url, **slow)):
        times = [one.at for one in await sink.wait_for(5)]
    assert times[2] - times[1] >= 0.6
    assert times[4] - times[3] < 0.5


async def test_the_log_tells_of_the_first_failure_of_the_waiting_and_of_the_end(outbox, caplog):
    caplog.set_level(logging.INFO, "registry.notifications")
    await add(outbox, "1")
    async with running_sink(*[500] * 9) as sink, delivering(outbox, endpoint(sink.url)):
        await sink.wait_for(10)
        await settled(outbox, {})
    told = [(record.levelname, record.fields.get("failures")) for record in caplog.records]
    assert told == [("WARNING", 1), ("WARNING", 3), ("INFO", None)]


async def test_what_is_being_tried_when_the_registry_stops_is_tried_again_at_the_next_start(outbox):
    await add(outbox, "1")
    async with running_sink(NEVER) as sink:
        async with delivering(outbox, endpoint(sink.url, timeout=Duration(60.0))):
            await sink.wait_for(1)
        assert await outbox.counts() == {"web": (1, 0)}
        async with delivering(outbox, endpoint(sink.url)):
            await sink.wait_for(2)
            await settled(outbox, {})
            assert sink.event_ids == ["1", "1"]


async def test_an_outbox_that_fails_for_a_while_ends_nothing(outbox, caplog):
    await add(outbox, "1")
    await outbox._run(lambda: outbox._database.execute("ALTER TABLE outbox RENAME TO away"))
    async with running_sink() as sink, delivering(outbox, endpoint(sink.url)):
        async with asyncio.timeout(5):
            while not any(record.message == "the outbox fails" for record in caplog.records):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        await outbox._run(lambda: outbox._database.execute("ALTER TABLE away RENAME TO outbox"))
        await sink.wait_for(1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory; scripts/generate-keys makes it"),
        (b"", "must hold one line of printable ASCII characters"),
        (b" \n", "must hold one line of printable ASCII characters"),
        (b"two\nlines", "must hold one line of printable ASCII characters"),
        ("ключ".encode(), "must hold one line of printable ASCII characters"),
        (b"a\0b", "must hold one line of printable ASCII characters"),
    ],
    ids=["missing", "empty", "blank", "two lines", "not ASCII", "not printable"],
)
def test_a_token_file_that_cannot_be_used_stops_the_start(tmp_path, content, reason):
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        Delivering(endpoint("http://x", tokenfile=path), Outbox(None))
    assert str(caught.value) == f"{path}: notifications.endpoints (web): tokenfile: {reason}"
