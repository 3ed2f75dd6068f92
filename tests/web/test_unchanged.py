"""What was read is used again until a line is added to the audit trail, in whatever process."""

import asyncio

import pytest

from tests.kit.actors import ADMIN
from web_service.audit import Audit
from web_service.unchanged import Unchanged


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def unchanged(database, clock):
    return Unchanged(database, lambda: clock[0])


@pytest.fixture
def reader():
    """What is to be read, and how often it was."""

    class Reader:
        found = "old"
        times = 0

        def __call__(self):
            self.times += 1
            return self.found

    return Reader()


async def test_it_is_read_once_while_nothing_changes(unchanged, reader):
    assert [await unchanged.get("key", reader) for _ in range(5)] == ["old"] * 5
    assert reader.times == 1
    assert await asyncio.gather(*(unchanged.get("key", reader) for _ in range(5))) == ["old"] * 5
    assert reader.times == 1


async def test_after_any_line_it_is_read_anew(unchanged, reader, database):
    for number in range(5):
        assert await unchanged.get("key", reader) == reader.found
        reader.found = f"new {number}"
        await Audit(database).record(ADMIN, "anything")
    assert await unchanged.get("key", reader) == "new 4"
    assert reader.times == 6


async def test_what_changes_while_it_is_read_is_read_again(unchanged, reader, database):
    """The line is read before the rest: a change between the two is taken for one that came after."""
    audit, loop = Audit(database), asyncio.get_running_loop()

    def change_meanwhile():
        asyncio.run_coroutine_threadsafe(audit.record(ADMIN, "anything"), loop).result()
        return reader()

    assert await unchanged.get("key", change_meanwhile) == "old"
    reader.found = "new"
    assert await unchanged.get("key", reader) == "new"


async def test_each_key_is_for_itself_and_nothing_found_is_not_remembered(unchanged, reader):
    assert await unchanged.get("key", reader) == "old"
    assert [await unchanged.get("other", lambda: None) for _ in range(2)] == [None, None]
    assert await unchanged.get("other", lambda: "found") == "found"


async def test_it_is_read_anew_after_some_seconds_and_when_it_shall_be(unchanged, reader, clock):
    await unchanged.get("key", reader)
    clock[0] += 5
    await unchanged.get("key", reader)
    assert reader.times == 2
    unchanged.forget()
    await unchanged.get("key", reader)
    assert reader.times == 3
