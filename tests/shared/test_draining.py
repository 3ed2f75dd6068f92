"""Counting requests in flight."""

import asyncio

from shared.draining import InFlight


async def test_without_requests_there_is_nothing_to_wait_for():
    assert await InFlight().drain(0.01) == 0


async def test_the_end_waits_for_the_last_request():
    in_flight = InFlight()

    async def request(seconds):
        with in_flight.request():
            await asyncio.sleep(seconds)

    tasks = [asyncio.create_task(request(seconds)) for seconds in (0.01, 0.05)]
    await asyncio.sleep(0)
    assert in_flight.count == 2
    assert await in_flight.drain(5) == 0
    assert in_flight.draining
    assert in_flight.count == 0
    await asyncio.gather(*tasks)


async def test_the_end_does_not_wait_for_ever():
    in_flight = InFlight()
    with in_flight.request():
        assert await in_flight.drain(0.01) == 1
