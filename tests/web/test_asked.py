"""What was asked of the registry is counted per day, written together, and forgotten in time."""

import asyncio

import pytest

from web_service import asked as module
from web_service.asked import _MOST_WAITING, DAY, MOST_OF_USER, Asked, AskedFor, Times
from web_service.errors import Unavailable
from web_service.models import AskedRow

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
    asked.note(Asked(f"user{number}", "10.0.0.1", "x", "pull", allowed=False) for number in range(_MOST_WAITING + 10))
    assert len(asked._waiting) == _MOST_WAITING
    asked.note([Asked("user1", "10.0.0.1", "x", "pull", allowed=False)])
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


def flood(user, most=MOST_OF_USER + 10):
    return [Asked(user, "10.0.0.1", f"x{number}", "pull", allowed=False) for number in range(most)]


@pytest.mark.parametrize("user", ["", "dev"])
async def test_a_flood_of_one_pushes_nobody_out(asked, clock, user):
    asked.note(flood(user))
    assert await asked.flush() == MOST_OF_USER
    asked.note([*flood(user), Asked("other", "10.0.0.1", "x", "pull", allowed=True)])
    assert await asked.flush() == MOST_OF_USER + 1  # what is known already is counted on
    found = await asked.since(1)
    assert (len(found), {one.times for one in found if one.asked.user == user}) == (MOST_OF_USER + 1, {2})
    clock[0] += DAY
    asked.note([Asked(user, "10.0.0.1", "next day", "pull", allowed=False)])
    assert await asked.flush() == 1


async def test_a_flood_of_many_ends_as_well(asked, monkeypatch):
    monkeypatch.setattr(module, "MOST_READ", 50)
    for number in range(10):
        asked.note(flood(f"user{number}", 20))
    assert await asked.flush() == 50


async def test_many_lines_are_a_few_statements(asked, database, monkeypatch):
    asked.note(flood("dev", 250))
    await asked.flush()
    engine = database._engine.database
    statements, execute = [], engine.execute_sql
    monkeypatch.setattr(engine, "execute_sql", lambda sql, *rest: (statements.append(sql), execute(sql, *rest))[1])
    asked.note(flood("dev", 250))
    asked.note(flood("dev", 10))
    await asked.flush()
    assert sum(sql.startswith("INSERT") for sql in statements) == 3
    times = [one.times for one in await asked.since(1)]
    assert (len(times), sorted(set(times)), sum(times)) == (250, [2, 3], 510)


async def test_what_is_one_line_when_it_is_cut_is_one_line(asked, database):
    for end in ("a", "b", "\0", "\ud800"):
        asked.note([Asked("dev", "10.0.0.1", "z" * 255 + end, "pull", True)] * 2)
    asked.note([Asked("dev", "\0", "x", "pull", True), Asked("dev", "\ud800", "x", "pull", True)])
    await asked.flush()
    assert sorted(one.times for one in await asked.since(1)) == [2, 8]
    assert await database.read(AskedRow.select().count) == 2


async def test_long_texts_are_cut(asked):
    asked.note([Asked("x" * 100, "y" * 100, "z" * 300, "pull", allowed=True)])
    ((found,),) = ([one.asked for one in await asked.since(1)],)
    assert (len(found.user), len(found.address), len(found.repository)) == (64, 64, 255)
