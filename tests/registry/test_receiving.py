"""Batches and turns: what comes, in which pieces, and what is left when it breaks off."""

import asyncio
import hashlib
import threading
from contextlib import contextmanager

import pytest

from registry_service import receiving
from registry_service.hashes import begin_hashes
from registry_service.receiving import Turn, batches_of
from registry_service.storage.driver import StorageFull
from registry_service.storage.memory import MemoryDriver
from tests.registry.uploading import stream


@pytest.mark.parametrize(
    ("parts", "sizes"),
    [([], []), ([b"a"], [1]), ([b"ab", b"c"], [3]), ([b"abc", b"d"], [3, 1]), ([b"a", b"bcdef", b"gh", b"i"], [6, 3])],
)
async def test_batches_are_of_a_size_at_least(parts, sizes):
    found = [batch async for batch in batches_of(stream(*parts), 3)]
    assert [batch.size for batch in found] == sizes
    assert b"".join(part for batch in found for part in batch.parts) == b"".join(parts)


async def test_a_body_that_breaks_off_yields_what_came():
    batches = batches_of(stream(b"abcd", b"e", then=ConnectionResetError()), 3)
    assert [b"".join((await anext(batches)).parts) for _ in range(2)] == [b"abcd", b"e"]
    with pytest.raises(ConnectionResetError):
        await anext(batches)


class Scripted:
    """A source of given pieces; None is a moment in which nothing comes."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)
        self.dry = False
        self.stopped = threading.Event()

    @property
    def ended(self):
        return not self.pieces

    def read_into(self, view, *, patient):
        piece = self.pieces.pop(0)
        if piece is None:
            self.dry = True
            return 0
        view[: len(piece)] = piece
        return len(piece)

    def stop(self):
        self.stopped.set()


def turn_of(source, head=(), *, wanted=False):
    return Turn(source, bytearray(8), head, lambda: wanted)


async def taken(source, head=(), driver=None):
    """Take a turn, and return what is stored, and the turn."""
    driver, running = driver or MemoryDriver(), begin_hashes("sha256")
    turn = turn_of(source, head)
    state = await turn.take(driver.appending("k", 0), running.hashes)
    stored = await driver.read("k")
    assert (await driver.stat("k")).state == state
    assert running.digests()["sha256"].hex == hashlib.sha256(stored).hexdigest()
    assert turn.taken == len(stored)
    return stored, turn


async def test_a_turn_takes_all_there_is():
    assert (await taken(Scripted(b"abc", b"defghijk", b"l")))[0] == b"abcdefghijkl"
    assert (await taken(Scripted(b"c"), [b"a", b"b"]))[0] == b"abc"
    assert (await taken(Scripted(), [b"a" * 100]))[0] == b"a" * 100


async def test_a_turn_ends_when_nothing_comes():
    source = Scripted(b"abc", None, b"d")
    assert (await taken(source))[0] == b"abc"
    assert source.pieces == [b"d"]


async def test_a_turn_ends_after_some_bytes_that_others_have_theirs(monkeypatch):
    monkeypatch.setattr(receiving, "_TURN_BYTES", 5)
    source = Scripted(b"abc", b"def", b"g")
    assert (await taken(source))[0] == b"abcdef"
    assert source.pieces == [b"g"]


@pytest.mark.parametrize("wanted", [True, False])
async def test_nobody_is_waited_for_while_others_wait(wanted):
    class Watched(Scripted):
        def read_into(self, view, *, patient):
            assert patient == (not wanted)
            return super().read_into(view, patient=patient)

    driver = MemoryDriver()
    await turn_of(Watched(b"abc", b"d"), wanted=wanted).take(driver.appending("k", 0), ())
    assert await driver.read("k") == b"abcd"


async def test_a_turn_ends_in_time(monkeypatch):
    monkeypatch.setattr(receiving, "_TURN_SECONDS", 0.0)
    source = Scripted(b"abc")
    assert (await taken(source, [b"head"]))[0] == b"head"
    assert source.pieces == [b"abc"]


async def test_a_storage_that_refuses_is_heard():
    class Full:
        def write(self, piece):
            raise StorageFull("no room")

    @contextmanager
    def opened():
        yield Full()

    with pytest.raises(StorageFull):
        await turn_of(Scripted(b"abc")).take(opened(), ())


async def test_who_is_cancelled_waits_for_the_thread():
    class Waiting(Scripted):
        def read_into(self, view, *, patient):
            assert self.stopped.wait(5)
            return super().read_into(view, patient=patient)

    source, driver = Waiting(b"abc"), MemoryDriver()
    turn = asyncio.create_task(turn_of(source).take(driver.appending("k", 0), ()))
    await asyncio.sleep(0.05)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert source.stopped.is_set()
    assert await driver.read("k") == b"abc"
