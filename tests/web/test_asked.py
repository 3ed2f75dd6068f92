"""What was asked of the registry is counted per day, written together, and forgotten in time."""

import asyncio

import pytest

from web_service.asked import _MOST_WAITING, DAY, Asked, AskedFor, Times
from web_service.errors import Unavailable

START = 20_000 * DAY + 100
PULL = Asked("dev", "10.0.0.1", "team/app", "pull", allowed=True)
PUSH = Asked("dev", "10.0.0.1", "team/app", "push", allowed=False)


@pytest.fixture
def clock():
    return [START]


@pytest.fixture
def asked(database, clock):
    return AskedFor(database, lambda: clock[0])


async def test_what_is_asked_again_is_counted(asked):
    asked.note([PULL, PUSH])
    asked.note([PULL])
    assert await asked.flush() == 2
    assert await asked.flush() == 0
    asked.note([PULL])
    assert set(await asked.since(1)) == {Times(PULL, 3, START), Times(PUSH, 1, START)}


async def test_days_are_summed_up_and_the_last_answer_counts(asked, clock):
    asked.note([PULL])
    await asked.flush()
    clock[0] += DAY
    later = Asked("dev", "10.0.0.1", "team/app", "pull", allowed=False)
    asked.note([later, later])
    assert await asked.since(2) == [Times(later, 3, START + DAY)]
    assert await asked.since(0) == [Times(later, 2, START + DAY)]


async def test_old_days_are_forgotten(asked, clock):
    asked.note([PULL])
    await asked.flush()
    clock[0] += 10 * DAY
    asked.note([PUSH])
    await asked.flush()
    assert await asked.purge(5 * DAY) == 1
    assert [one.asked for one in await asked.since(30)] == [PUSH]


async def test_a_flood_does_not_fill_the_memory(asked):
    asked.note(Asked("", f"10.0.{number}", "x", "pull", allowed=False) for number in range(_MOST_WAITING + 10))
    assert len(asked._waiting) == _MOST_WAITING
    asked.note([Asked("", "10.0.1", "x", "pull", allowed=False)])
    assert asked._waiting.total() == _MOST_WAITING + 1


async def test_what_cannot_be_written_waits(asked, database, monkeypatch):
    async def down(*_):
        raise Unavailable

    asked.note([PULL])
    with monkeypatch.context() as change:
        change.setattr(database, "write", down)
        with pytest.raises(Unavailable):
            await asked.flush()
        asked.note([PULL])
    assert await asked.since(1) == [Times(PULL, 2, START)]


async def test_several_that_write_at_once_lose_nothing(database, clock):
    writers = [AskedFor(database, lambda: clock[0]) for _ in range(4)]
    for one in writers:
        one.note([PULL, PUSH])
    await asyncio.gather(*(one.flush() for one in writers))
    assert {one.times for one in await writers[0].since(1)} == {4}


async def test_long_texts_are_cut(asked):
    asked.note([Asked("x" * 100, "y" * 100, "z" * 300, "pull", allowed=True)])
    ((found,),) = ([one.asked for one in await asked.since(1)],)
    assert (len(found.user), len(found.address), len(found.repository)) == (64, 64, 255)
