"""Uploads: whatever happens on the way, a blob is stored under the digest of its very bytes, or not at all."""

import asyncio
import re
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_service import layout, uploads
from registry_service.errors import Code, RegistryError
from registry_service.storage.driver import KeyNotFound, StorageFull
from registry_service.storage.filesystem import FilesystemDriver
from registry_service.storage.memory import MemoryDriver
from tests.registry.driver_contract import content
from tests.registry.uploading import NAME, Watched, cut, digest_of, leftovers, process, refused, stored, stream


@pytest.fixture(params=[Watched, FilesystemDriver])
def driver(request, tmp_path):
    return Watched() if request.param is Watched else FilesystemDriver(tmp_path / "root")


@pytest.fixture
def watched():
    return Watched()


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(uploads, "BATCH_BYTES", 8)


async def test_an_upload_begins_empty_with_its_time_beside_it(driver):
    upload = await (await process(driver)).start(NAME)
    assert (upload.repository, upload.offset, uuid.UUID(upload.id).version) == (NAME, 0, 4)
    begun = (await driver.read(layout.upload_begun(NAME, upload.id))).decode()
    assert re.fullmatch(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ {NAME}", begun)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 1000, (3 << 20) + 1])
@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
async def test_what_is_uploaded_is_stored_under_its_digest(driver, size, algorithm):
    body, digest = content(size), digest_of(content(size), algorithm)
    here = await process(driver)
    upload = await here.receive(await here.start(NAME), stream(*cut(body, 70_001)))
    assert upload.offset == size
    assert await here.commit(upload, digest) == digest_of(body)
    assert await stored(driver, digest) == await stored(driver, digest_of(body)) == body
    assert await leftovers(driver) == []


async def test_every_request_may_reach_another_process(driver):
    body = content(100)
    upload = await (await process(driver)).start(NAME)
    for part in cut(body, 30):
        here = await process(driver)
        upload = await here.receive(await here.get(NAME, upload.id), stream(part))
    await (await process(driver)).commit(upload, digest_of(body))
    assert await stored(driver, digest_of(body)) == body


@pytest.mark.parametrize("upload_id", ["", "x", "../x", str(uuid.uuid4()), str(uuid.uuid4()).upper(), "{}", "0" * 32])
async def test_an_unknown_upload(driver, upload_id):
    with refused(Code.BLOB_UPLOAD_UNKNOWN):
        await (await process(driver)).get(NAME, upload_id)


async def test_an_upload_belongs_to_its_repository(driver):
    upload = await (await process(driver)).start(NAME)
    with refused(Code.BLOB_UPLOAD_UNKNOWN):
        await (await process(driver)).get("other/app", upload.id)


async def test_a_wrong_digest_ends_the_upload_and_stores_nothing(driver):
    here = await process(driver)
    upload = await here.receive(await here.start(NAME), stream(b"right"))
    with refused(Code.DIGEST_INVALID):
        await here.commit(upload, digest_of(b"wrong"))
    with refused(Code.BLOB_UPLOAD_UNKNOWN):
        await here.get(NAME, upload.id)
    for body in (b"wrong", b"right"):
        with refused(Code.BLOB_UNKNOWN):
            await stored(driver, digest_of(body))
    assert await leftovers(driver) == []


async def test_a_closed_upload_cannot_be_closed_again(driver):
    here = await process(driver)
    upload = await here.receive(await here.start(NAME), stream(b"body"))
    await here.commit(upload, digest_of(b"body"))
    with refused(Code.BLOB_UPLOAD_UNKNOWN):
        await here.get(NAME, upload.id)
    with refused(Code.BLOB_UPLOAD_UNKNOWN):
        await here.commit(upload, digest_of(b"body"))
    assert await stored(driver, digest_of(b"body")) == b"body"


async def test_a_cancelled_upload_is_gone_and_may_be_cancelled_again(driver):
    here = await process(driver)
    upload = await here.receive(await here.start(NAME), stream(b"body"))
    await here.cancel(upload)
    await here.cancel(upload)
    assert await leftovers(driver) == []


async def test_an_upload_that_is_cancelled_while_bytes_arrive_leaves_nothing(driver, small_batches):
    here = await process(driver)
    upload = await here.start(NAME)

    async def body():
        yield content(20)
        await (await process(driver)).cancel(upload)
        yield content(20)

    with refused(Code.BLOB_UPLOAD_UNKNOWN):
        await here.receive(upload, body())
    assert await leftovers(driver) == []


async def test_a_body_that_breaks_off_leaves_what_arrived(driver, small_batches):
    here, body = await process(driver), content(30)
    upload = await here.start(NAME)
    with pytest.raises(ConnectionResetError):
        await here.receive(upload, stream(body[:5], body[5:13], then=ConnectionResetError()))
    upload = await here.get(NAME, upload.id)
    assert upload.offset == 13
    upload = await here.receive(upload, stream(body[13:]))
    await here.commit(upload, digest_of(body))
    assert await stored(driver, digest_of(body)) == body


async def test_of_two_requests_at_one_place_only_one_adds(driver, small_batches):
    here = await process(driver)
    upload = await here.receive(await here.start(NAME), stream(b"begin"))
    bodies = [content(50, 1), content(60, 2)]
    calls = [(await process(driver)).receive(upload, stream(*cut(body, 10))) for body in bodies]
    results = await asyncio.gather(*calls, return_exceptions=True)
    (loser,) = [one for one in results if isinstance(one, RegistryError)]
    assert loser.problems[0].code is Code.RANGE_INVALID
    winner = results.index(next(one for one in results if one is not loser))
    await here.commit(await here.get(NAME, upload.id), digest_of(b"begin" + bodies[winner]))
    assert await stored(driver, digest_of(b"begin" + bodies[winner])) == b"begin" + bodies[winner]


async def test_closing_an_upload_that_has_grown_meanwhile_is_refused_and_keeps_it(driver):
    here = await process(driver)
    stale = await here.receive(await here.start(NAME), stream(b"one"))
    await (await process(driver)).receive(stale, stream(b"two"))
    with refused(Code.RANGE_INVALID):
        await here.commit(stale, digest_of(b"one"))
    await here.commit(await here.get(NAME, stale.id), digest_of(b"onetwo"))
    assert await stored(driver, digest_of(b"onetwo")) == b"onetwo"


async def test_one_digest_may_be_uploaded_twice_at_once_and_to_two_repositories(driver):
    here, body = await process(driver), content(1000)
    begun = [await here.receive(await here.start(name), stream(body)) for name in (NAME, NAME, "other/app")]
    await asyncio.gather(*(here.commit(upload, digest_of(body)) for upload in begun))
    assert await stored(driver, digest_of(body)) == await stored(driver, digest_of(body), "other/app") == body


@pytest.mark.parametrize(
    ("change", "reads"),
    [("nothing", False), ("a new process", False), ("another process between two chunks", True), ("a reboot", True)],
)
@pytest.mark.usefixtures("small_batches")
async def test_closing_reads_the_bytes_again_only_when_it_must(watched, change, reads):
    here, body = await process(watched), content(300)
    upload = await here.start(NAME)
    for number, part in enumerate(cut(body, 100)):
        if number == 2 and change == "another process between two chunks":
            here = await process(watched)
        upload = await here.receive(upload, stream(part))
    if change in ("a new process", "a reboot"):
        here = await process(watched)
    if change == "a reboot":
        here._boot_id = "another"
    await here.commit(upload, digest_of(body))
    assert (watched.bytes_read > 0) is reads
    assert await stored(watched, digest_of(body)) == body


async def test_so_few_bytes_are_read_again_that_their_digest_is_not_kept(watched):
    upload = await (await process(watched)).start(NAME)
    for part in (b"one", b"two"):
        upload = await (await process(watched)).receive(upload, stream(part))
        assert await watched.children(layout.upload(NAME, upload.id)) == ["data"]
    await (await process(watched)).commit(upload, digest_of(b"onetwo"))
    assert watched.bytes_read == 6


@pytest.mark.parametrize("resumed", [False, True], ids=["the same process", "another process"])
@pytest.mark.usefixtures("small_batches")
async def test_an_upload_announced_with_its_algorithm_is_closed_without_a_second_reading(watched, resumed):
    here, body = await process(watched), content(100)
    upload = await here.receive(await here.start(NAME, "sha512"), stream(body[:50]))
    upload = await here.receive(upload, stream(body[50:]))
    here = await process(watched) if resumed else here
    await here.commit(upload, digest_of(body, "sha512"))
    assert watched.bytes_read == 0


@pytest.mark.parametrize("text", [b"", b"x", b"boot sha256:x", b"\xff\xff"])
async def test_a_kept_digest_that_cannot_be_read_is_not_believed(watched, text):
    here = await process(watched)
    upload = await here.receive(await here.start(NAME), stream(b"body"))
    await watched.write(layout.upload_digest(NAME, upload.id, 4), text)
    await (await process(watched)).commit(upload, digest_of(b"body"))
    assert await stored(watched, digest_of(b"body")) == b"body"


async def test_many_open_uploads_do_not_fill_the_memory(watched, monkeypatch):
    monkeypatch.setattr(uploads, "_REMEMBERED_HASHES", 3)
    here = await process(watched)
    for _ in range(10):
        upload = await here.receive(await here.start(NAME), stream(b"body"))
    assert len(here._running) == 3
    await here.commit(upload, digest_of(b"body"))


@pytest.mark.parametrize("room", [0, 3])
@pytest.mark.parametrize("resumed", [False, True], ids=["the same process", "another process"])
async def test_bytes_that_found_no_room_are_no_part_of_the_blob(watched, small_batches, room, resumed):
    """Neither are they believed to be there, nor do they spoil what is sent again."""
    here, body = await process(watched), content(24)
    upload = await here.receive(await here.start(NAME), stream(body[:8]))
    watched.room = room
    with pytest.raises(StorageFull):
        await here.receive(upload, stream(body[8:16]))
    watched.room = None
    here = await process(watched) if resumed else here
    upload = await here.get(NAME, upload.id)
    assert upload.offset == 8 + room
    upload = await here.receive(upload, stream(body[8 + room :]))
    await here.commit(upload, digest_of(body))
    assert await stored(watched, digest_of(body)) == body


@pytest.mark.parametrize("resumed", [False, True], ids=["the same process", "another process"])
@pytest.mark.parametrize("failure", ["full", "cancelled"])
async def test_an_upload_with_a_failed_batch_cannot_be_closed_as_if_it_were_whole(
    watched, small_batches, failure, resumed, monkeypatch
):
    here, body = await process(watched), content(24)
    upload = await here.start(NAME)

    async def fail(key, offset, data, **more):
        if offset == 16:
            await (asyncio.sleep(60) if failure == "cancelled" else asyncio.sleep(0))
            raise StorageFull
        return await MemoryDriver.append(watched, key, offset, data, **more)

    with monkeypatch.context() as patch:
        patch.setattr(watched, "append", fail)
        with pytest.raises((StorageFull, TimeoutError)):
            await asyncio.wait_for(here.receive(upload, stream(*cut(body, 8))), 0.2)
    here = await process(watched) if resumed else here
    upload = await here.get(NAME, upload.id)
    assert upload.offset == 16
    with refused(Code.DIGEST_INVALID):
        await here.commit(upload, digest_of(body))
    with refused(Code.BLOB_UNKNOWN):
        await stored(watched, digest_of(body))


async def test_a_kept_digest_that_finds_no_room_does_not_fail_the_upload(watched, monkeypatch):
    async def append(key, offset, data, **more):
        if "/digests/" in key:
            raise StorageFull
        await MemoryDriver.append(watched, key, offset, data)

    monkeypatch.setattr(watched, "append", append)
    here = await process(watched)
    upload = await here.receive(await here.start(NAME), stream(b"body"))
    await here.commit(upload, digest_of(b"body"))
    assert await stored(watched, digest_of(b"body")) == b"body"


CHUNKS = st.lists(
    st.sampled_from([0, 3, 8, 16]).flatmap(lambda size: st.binary(min_size=size, max_size=size)), max_size=4
)
STEP = st.tuples(
    st.sampled_from(["receive", "break off", "no room", "stale", "restart"]),
    CHUNKS,
    st.sampled_from([0, 3, 8, 16, 24]),
    st.integers(0, 1),
)
ENDS = st.tuples(st.sampled_from(["stored", "sent", "other"]), st.sampled_from(["sha256", "sha384", "sha512"]), CHUNKS)
"""Which bytes the digest at the end is of, its algorithm, and what comes with the last request."""


async def take_step(processes, driver, upload_id, step):
    """Let a request reach one of two processes, or that process end and another take its place."""
    kind, chunks, room, who = step
    if kind == "restart":
        processes[who] = await process(driver)
        return
    upload = await processes[who].get(NAME, upload_id)
    if kind == "stale":
        upload = uploads.Upload(NAME, upload_id, upload.offset + 1)
    broken = ConnectionResetError() if kind == "break off" else None
    driver.room = room if kind == "no room" else None
    with suppress(ConnectionResetError, StorageFull, RegistryError):
        await processes[who].receive(upload, stream(*chunks, then=broken))
        assert kind != "stale" or not any(chunks)
    driver.room = None


async def scenario(driver, steps, end):
    processes = [await process(driver), await process(driver)]
    here = processes[0]
    upload_id, sent = (await here.start(NAME)).id, b""
    for step in steps:
        sent += b"".join(step[1])
        await take_step(processes, driver, upload_id, step)
    upload = await here.get(NAME, upload_id)
    key = layout.upload_data(NAME, upload_id)
    body = await driver.read(key) if upload.offset else b""
    assert upload.offset == len(body)
    last = b"".join(end[2])
    body, sent = body + last, sent + last
    promised = {"stored": body, "sent": sent, "other": body + b"x"}[end[0]]
    digest = digest_of(promised, end[1])
    if end[2]:
        upload = await here.receive(upload, stream(*end[2]), closing=digest)
    if promised == body:
        assert await here.commit(upload, digest) == digest_of(body)
        assert await stored(driver, digest) == body
    else:
        with refused(Code.DIGEST_INVALID):
            await here.commit(upload, digest)
        with pytest.raises(KeyNotFound):
            await driver.stat(layout.blob(digest_of(promised)))
    assert await leftovers(driver) == []


@settings(max_examples=300, deadline=None)
@given(steps=st.lists(STEP, max_size=8), end=ENDS)
def test_any_sequence_of_requests_ends_in_the_right_bytes_or_a_clean_error(steps, end):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uploads, "BATCH_BYTES", 8)
        asyncio.run(scenario(Watched(), steps, end))


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(STEP, max_size=8), end=ENDS)
def test_so_it_does_on_a_disk(steps, end):
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(uploads, "BATCH_BYTES", 8)
        asyncio.run(scenario(FilesystemDriver(Path(folder)), steps, end))
