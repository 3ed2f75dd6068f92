"""The last request of an upload: it may bring bytes, break off, or come twice; and uploads of the Go registry."""

import asyncio
import uuid

import pytest

from registry_service import layout, uploads
from registry_service.errors import Code, RegistryError
from registry_service.storage.driver import KeyNotFound
from registry_service.storage.filesystem import FilesystemDriver
from shared.names import Digest
from tests.registry.driver_contract import content
from tests.registry.uploading import NAME, Watched, cut, digest_of, leftovers, process, refused, stored, stream


@pytest.fixture(params=[Watched, FilesystemDriver])
def driver(request, tmp_path):
    return Watched() if request.param is Watched else FilesystemDriver(tmp_path / "root")


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(uploads, "BATCH_BYTES", 8)


@pytest.mark.parametrize("stored_bytes", [0, 5, 100])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 20])
@pytest.mark.usefixtures("small_batches")
async def test_the_last_request_may_bring_bytes(driver, stored_bytes, size):
    body, here = content(stored_bytes + size), await process(driver)
    upload = await here.receive(await here.start(NAME), stream(body[:stored_bytes]))
    upload = await here.receive(upload, stream(*cut(body[stored_bytes:], 3)), closing=digest_of(body))
    assert upload.offset == len(body)
    assert await here.commit(upload, digest_of(body)) == digest_of(body)
    assert await stored(driver, digest_of(body)) == body
    assert await leftovers(driver) == await driver.children(layout.BEGUN_UPLOADS) == []
    with refused(Code.BLOB_UPLOAD_UNKNOWN):
        await here.get(NAME, upload.id)


@pytest.mark.parametrize("size", [3, 8, 11])
@pytest.mark.usefixtures("small_batches")
async def test_what_the_last_request_brought_is_kept_when_it_breaks_off(driver, size):
    body, here = content(20), await process(driver)
    upload = await here.start(NAME)
    with pytest.raises(ConnectionResetError):
        await here.receive(upload, stream(body[:size], then=ConnectionResetError()), closing=digest_of(body))
    here = await process(driver)
    upload = await here.get(NAME, upload.id)
    assert upload.offset == size
    upload = await here.receive(upload, stream(body[size:]), closing=digest_of(body))
    assert await here.commit(upload, digest_of(body)) == digest_of(body)
    assert await stored(driver, digest_of(body)) == body


async def test_of_last_requests_at_the_same_time_one_closes_the_upload(driver):
    here, there = await process(driver), await process(driver)
    upload, bodies = await here.start(NAME), [content(100, number) for number in range(2)]

    async def close(where, body):
        received = await where.receive(upload, stream(body), closing=digest_of(body))
        return await where.commit(received, digest_of(body))

    calls = [close(here, bodies[0]), close(there, bodies[1])]
    results = await asyncio.gather(*calls, return_exceptions=True)
    closed = [result for result in results if isinstance(result, Digest)]
    assert [result.problems[0].code for result in results if isinstance(result, RegistryError)] == [
        Code.BLOB_UPLOAD_UNKNOWN
    ]
    assert [await stored(driver, digest) for digest in closed] == [bodies[results.index(closed[0])]]


@pytest.mark.parametrize("when", ["before the digest is known", "before the move", "between two requests"])
@pytest.mark.parametrize("fresh", [False, True], ids=["the same process", "another process"])
@pytest.mark.usefixtures("small_batches")
async def test_bytes_that_take_the_place_of_those_that_were_hashed_are_not_taken_for_them(
    driver, monkeypatch, when, fresh
):
    """Whoever may push to one repository could else put anything under the digest of another's blob."""
    good, evil, here = content(100), content(100, 7), await process(driver)
    upload = await here.receive(await here.start(NAME), stream(good[:50]))
    key = layout.upload_data(NAME, upload.id)

    async def exchange(size):
        await driver.delete(key)
        await driver.append(key, 0, evil[:size])

    if when == "between two requests":
        await exchange(50)
    upload = await here.receive(upload, stream(good[50:]))
    here = await process(driver) if fresh else here
    if when == "before the digest is known":
        await exchange(100)
    if when == "before the move":
        move, moves = driver.move, []

        async def exchange_and_move(wanted):
            if not moves:
                await exchange(100)
            moves.append(wanted)
            await move(wanted)

        monkeypatch.setattr(driver, "move", exchange_and_move)
    with refused(Code.DIGEST_INVALID):
        await here.commit(upload, digest_of(good))
    with pytest.raises(KeyNotFound):
        await driver.stat(layout.blob(digest_of(good)))


async def test_bytes_that_are_exchanged_again_and_again_are_refused_in_the_end(driver, monkeypatch):
    body, here = content(100), await process(driver)
    upload = await here.receive(await here.start(NAME), stream(body))
    move, key = driver.move, layout.upload_data(NAME, upload.id)

    async def exchange_and_move(wanted):
        await driver.delete(key)
        await driver.append(key, 0, body)
        await move(wanted)

    monkeypatch.setattr(driver, "move", exchange_and_move)
    with refused(Code.RANGE_INVALID):
        await here.commit(upload, digest_of(body))


@pytest.mark.parametrize("size", [3, 8])
@pytest.mark.usefixtures("small_batches")
async def test_the_go_registry_finds_large_uploads(driver, size):
    """It purges those that have their time beside them; small ones come and go too fast."""
    here = await process(driver)
    upload = await here.receive(await here.start(NAME), stream(content(size)))
    begun = (await driver.read(layout.upload_begun(NAME, upload.id))).decode()
    names = await driver.children(layout.upload(NAME, upload.id))
    assert names == (["data"] if size < 8 else ["data", "digests", "startedat"])
    if size >= 8:
        assert (await driver.read(layout.upload_started(NAME, upload.id))).decode() == begun.partition(" ")[0]


async def test_an_upload_that_the_go_registry_began_goes_on(driver):
    here, upload_id = await process(driver), str(uuid.uuid4())
    await driver.write(layout.upload_started(NAME, upload_id), b"2024-01-02T15:04:05Z")
    await driver.write(layout.upload_data(NAME, upload_id), b"one")
    upload = await here.receive(await here.get(NAME, upload_id), stream(b"two"), closing=digest_of(b"onetwo"))
    assert await here.commit(upload, digest_of(b"onetwo")) == digest_of(b"onetwo")
    assert await stored(driver, digest_of(b"onetwo")) == b"onetwo"
    assert await leftovers(driver) == []
