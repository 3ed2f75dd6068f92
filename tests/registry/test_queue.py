"""The outbox: durable, in order, and quick to add to."""

import asyncio
import sqlite3
import sys

import pytest

from registry_service.notifications.queue import NewDelivery, Outbox

KILLED = """
import asyncio, os, sys
from pathlib import Path
from registry_service.notifications.queue import NewDelivery, Outbox

async def main():
    outbox = Outbox(Path(sys.argv[1]))
    await outbox.open()
    await outbox.add([NewDelivery("web", "last words", b"body")])
    os._exit(9)

asyncio.run(main())
"""


def new(event_id, endpoint="web"):
    return NewDelivery(endpoint, event_id, f"body of {event_id}".encode())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cangku/outbox.sqlite3"


@pytest.fixture
async def outbox(path):
    outbox = Outbox(path)
    await outbox.open()
    yield outbox
    await outbox.close()


async def drain(outbox, endpoint="web"):
    """Take everything out as a delivery does, and return the event ids."""
    taken = []
    while (delivery := await outbox.first(endpoint)) is not None:
        taken.append(delivery.event_id)
        await outbox.done(delivery)
    return taken


async def test_an_empty_outbox_has_nothing_to_deliver(outbox):
    assert await outbox.first("web") is None
    assert await outbox.counts() == {}


async def test_the_oldest_comes_first_until_it_is_done(outbox):
    await outbox.add([new("1"), new("2")])
    await outbox.add([new("3")])
    first = await outbox.first("web")
    assert first == await outbox.first("web")
    assert (first.endpoint, first.event_id, first.body) == ("web", "1", b"body of 1")
    assert await drain(outbox) == ["1", "2", "3"]


async def test_endpoints_have_queues_of_their_own(outbox):
    await outbox.add([new("1", "a"), new("1", "b"), new("2", "b")])
    assert await drain(outbox, "a") == ["1"]
    assert await outbox.counts() == {"b": (2, 0)}
    assert await drain(outbox, "b") == ["1", "2"]


async def test_what_is_parked_lets_the_next_pass_and_is_kept(outbox):
    await outbox.add([new("1"), new("2"), new("3")])
    await outbox.park(await outbox.first("web"), "status 400")
    assert await outbox.counts() == {"web": (2, 1)}
    assert await drain(outbox) == ["2", "3"]
    assert await outbox.counts() == {"web": (0, 1)}


async def test_everything_survives_a_restart_in_its_order(path):
    for start in range(0, 6, 2):
        outbox = Outbox(path)
        await outbox.open()
        await outbox.add([new(str(start)), new(str(start + 1))])
        if start == 2:
            await outbox.park(await outbox.first("web"), "status 400")
        await outbox.close()
    outbox = Outbox(path)
    await outbox.open()
    assert await outbox.counts() == {"web": (5, 1)}
    assert await drain(outbox) == ["1", "2", "3", "4", "5"]
    await outbox.close()


async def test_an_added_delivery_survives_the_death_of_the_process(path):
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, str(path))
    assert await process.wait() == 9
    outbox = Outbox(path)
    await outbox.open()
    assert await drain(outbox) == ["last words"]
    await outbox.close()


async def test_what_is_added_is_in_the_file_on_return(outbox, path):
    await outbox.add([new("1")])

    def read():
        database = sqlite3.connect(path)
        rows = database.execute("SELECT event_id FROM outbox").fetchall()
        database.close()
        return rows

    assert await asyncio.to_thread(read) == [("1",)]


async def test_the_file_is_synced_at_each_commit(outbox):
    pragmas = ("journal_mode", "synchronous")
    values = [
        await outbox._run(lambda one=one: outbox._database.execute(f"PRAGMA {one}").fetchone()[0]) for one in pragmas
    ]
    assert values == ["wal", 2]


async def test_deliveries_added_at_the_same_time_share_commits_and_keep_their_order(outbox, monkeypatch):
    groups = []
    insert = outbox._insert
    monkeypatch.setattr(outbox, "_insert", lambda deliveries: [groups.append(len(deliveries)), insert(deliveries)])
    await asyncio.gather(*(outbox.add([new(str(number))]) for number in range(100)))
    assert sum(groups) == 100
    assert len(groups) <= 3
    assert await drain(outbox) == [str(number) for number in range(100)]


async def test_an_event_is_added_for_all_its_endpoints_or_for_none(outbox):
    with pytest.raises(sqlite3.IntegrityError):
        await outbox.add([new("1"), NewDelivery("web", None, b"")])
    assert await outbox.counts() == {}


async def test_a_failure_is_told_to_everybody_it_concerns_and_to_nobody_after(outbox):
    await outbox._run(lambda: outbox._database.execute("ALTER TABLE outbox RENAME TO away"))
    results = await asyncio.gather(*(outbox.add([new(str(n))]) for n in range(5)), return_exceptions=True)
    assert all(isinstance(result, sqlite3.OperationalError) for result in results)
    await outbox._run(lambda: outbox._database.execute("ALTER TABLE away RENAME TO outbox"))
    await outbox.add([new("after")])
    assert await drain(outbox) == ["after"]


async def test_a_request_that_is_given_up_takes_no_other_with_it(outbox):
    tasks = [asyncio.create_task(outbox.add([new(str(number))])) for number in range(5)]
    await asyncio.sleep(0)
    tasks[2].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [False, False, True, False, False]
    assert set(await drain(outbox)) >= {"0", "1", "3", "4"}


async def test_closing_waits_for_what_is_being_added(path):
    outbox = Outbox(path)
    await outbox.open()
    tasks = [asyncio.create_task(outbox.add([new(str(number))])) for number in range(5)]
    await asyncio.sleep(0)
    await outbox.close()
    await asyncio.gather(*tasks)
    again = Outbox(path)
    await again.open()
    assert await again.counts() == {"web": (5, 0)}
    await again.close()


async def test_two_processes_may_add_to_one_file(outbox, path):
    other = Outbox(path)
    await other.open()
    await asyncio.gather(*((outbox if n % 2 else other).add([new(str(n))]) for n in range(20)))
    await other.close()
    assert len(await drain(outbox)) == 20


async def test_without_a_path_it_lives_in_memory():
    outbox = Outbox(None)
    await outbox.open()
    await outbox.add([new("1")])
    assert await drain(outbox) == ["1"]
    await outbox.close()


async def test_a_file_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    outbox = Outbox(tmp_path / "file/outbox.sqlite3")
    with pytest.raises((OSError, sqlite3.Error)):
        await outbox.open()
    outbox._thread.shutdown()
