"""A read that is shared: by all who ask in one round of the event loop, and never older than any of them."""

import asyncio

import pytest

from web_service.errors import Unavailable
from web_service.models import RoleRow
from web_service.shared_read import SharedRead


@pytest.fixture
def reads():
    return []


@pytest.fixture
def number(database, reads):
    """How many roles there are, as a shared read."""

    def read():
        reads.append("")
        return RoleRow.select().count()

    return SharedRead(database, read)


async def test_all_who_ask_at_once_share_one_read(number, reads):
    assert await asyncio.gather(*(number.get() for _ in range(50))) == [0] * 50
    assert len(reads) == 1
    assert await number.get() == 0
    assert len(reads) == 2


async def test_who_asks_while_a_read_is_under_way_gets_one_that_begins_later(number, reads, database):
    early = number.get()
    await asyncio.sleep(0)  # the read begins
    await database.write(RoleRow.create, name="new")
    late = [number.get() for _ in range(10)]
    assert await asyncio.gather(*late) == [1] * 10
    assert len(reads) == 2
    await early


async def test_nothing_that_was_written_before_asking_is_missed(number, database):
    """Whatever others ask meanwhile."""
    others = [asyncio.create_task(_ask_on(number)) for _ in range(5)]
    for count in range(1, 50):
        await database.write(RoleRow.create, name=f"role {count}")
        assert await number.get() == count
    for one in others:
        one.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _ask_on(number):
    while True:
        await number.get()


async def test_a_failure_is_told_to_all_who_share_it_and_to_nobody_after(number, database, monkeypatch):
    async def down(_):
        raise Unavailable

    with monkeypatch.context() as change:
        change.setattr(database, "read", down)
        told = await asyncio.gather(*(number.get() for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in told] == [Unavailable] * 3
    assert await number.get() == 0


async def test_who_goes_takes_nobody_along(number):
    first, second, third = (asyncio.ensure_future(number.get()) for _ in range(3))
    first.cancel()
    assert await second == 0
    third.cancel()
    assert await number.get() == 0
    assert first.cancelled()
