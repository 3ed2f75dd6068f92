"""The filesystem driver keeps the contract, and what a disk asks for beyond it."""

import asyncio
import errno
import fcntl
import os
import subprocess
import sys

import pytest

from registry_service.storage import filesystem
from registry_service.storage.driver import KeyNotFound, Move, StorageFull
from registry_service.storage.filesystem import FilesystemDriver
from tests.registry.driver_contract import DriverContract, content
from tests.registry.move_contract import MoveContract

APPENDER = """
import asyncio, sys
from pathlib import Path
from registry_service.storage.driver import WrongOffset
from registry_service.storage.filesystem import FilesystemDriver

async def main(root, letter, count):
    driver = FilesystemDriver(Path(root))
    while count:
        try:
            await driver.append("a/b", (await driver.stat("a/b")).size, letter.encode() * 1000)
            count -= 1
        except WrongOffset:
            continue

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


@pytest.fixture
def driver(root):
    return FilesystemDriver(root)


class TestFilesystemDriver(DriverContract, MoveContract):
    """The driver is the fixture above."""


def files(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_the_folder_is_made_with_its_parents_and_left_empty(tmp_path):
    FilesystemDriver(tmp_path / "a/b/c")
    assert [path.name for path in (tmp_path / "a/b/c").rglob("*")] == [".trash"]


def test_what_a_crash_left_half_deleted_is_gone_at_the_start(tmp_path):
    (tmp_path / ".trash/x/y").mkdir(parents=True)
    (tmp_path / ".trash/x/y/file").write_text("left")
    FilesystemDriver(tmp_path)
    assert list((tmp_path / ".trash").iterdir()) == []


def test_a_folder_is_deleted_in_one_step(tmp_path, monkeypatch):
    """A crash in the middle, here a removal that does nothing, leaves no part of the folder to be found."""
    driver = FilesystemDriver(tmp_path)
    for name in ("a", "b"):
        asyncio.run(driver.write(f"folder/{name}/link", b"x"))
    monkeypatch.setattr(filesystem, "remove_folder", lambda path: None)
    asyncio.run(driver.delete("folder"))
    assert asyncio.run(driver.children("folder")) == []
    assert not (tmp_path / "folder").exists()


def test_a_folder_that_cannot_be_made_is_an_error_at_the_start(tmp_path):
    """Below a regular file even root can write nothing."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Not a directory"):
        FilesystemDriver(tmp_path / "file/root")


def test_a_root_that_is_a_file_is_an_error_at_the_start(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        FilesystemDriver(tmp_path / "file")


async def test_a_key_is_the_file_of_its_name_with_its_very_bytes(driver, root):
    await driver.write("docker/registry/v2/x/link", b"sha256:ab")
    assert files(root) == ["docker/registry/v2/x/link"]
    assert (root / "docker/registry/v2/x/link").read_bytes() == b"sha256:ab"


async def test_another_driver_over_the_same_folder_sees_the_same(driver, root):
    await driver.append("a/b", 0, b"one")
    other = await asyncio.to_thread(FilesystemDriver, root)
    await other.append("a/b", 3, b"two")
    assert await driver.read("a/b") == b"onetwo"


async def test_unfinished_writes_of_a_crash_are_no_keys(driver, root):
    await driver.write("tags/v1", b"x")
    (root / "tags/link.0b07f5b5-1e5f-4e5a-8d6a-3f0a5c4b2e11.tmp").write_bytes(b"half")
    assert await driver.children("tags") == ["v1"]


async def test_a_folder_with_unfinished_writes_can_be_deleted(driver, root):
    await driver.write("tags/v1/link", b"x")
    (root / "tags/v1/link.0b07f5b5.tmp").write_bytes(b"half")
    await driver.delete("tags/v1")
    assert files(root) == []


async def test_a_write_leaves_no_temporary_file(driver, root):
    await asyncio.gather(*(driver.write("a/b", content(100, number)) for number in range(10)))
    assert files(root) == ["a/b"]


async def test_a_mark_tells_whether_a_key_has_changed(driver, root):
    await driver.write("a/b", b"link")
    assert driver.mark("a/b", b"link") is None  # too fresh: another write could look the same
    await asyncio.sleep(0.06)
    mark, size = driver.mark("a/b", b"link"), driver.mark("a/b", 4)
    assert driver.mark("a/b", b"other") is None
    assert driver.mark("a/b", 5) is None
    assert driver.mark("a/c", b"link") is None
    assert driver.unchanged(mark)
    assert driver.unchanged(size)
    await driver.write("a/b", b"kiln")
    assert not driver.unchanged(mark)
    assert not driver.unchanged(size)
    await driver.delete("a")
    assert not driver.unchanged(mark)


async def test_a_file_changed_in_place_is_seen(driver, root):
    """So writes the Go registry."""
    await driver.write("a/b", b"link")
    await asyncio.sleep(0.06)
    mark = driver.mark("a/b", b"link")
    (root / "a/b").write_bytes(b"kiln")
    assert not driver.unchanged(mark)


async def test_an_append_that_has_waited_finds_out_that_another_file_has_the_name_now(driver, root):
    await driver.append("up/data", 0, content(10))
    with (root / "up/data").open("rb") as moved:
        fcntl.flock(moved, fcntl.LOCK_EX)
        waiting = asyncio.create_task(driver.append("up/data", 10, bytes(1 << 20)))  # small ones come again
        await asyncio.sleep(0.1)
        (root / "up/data").rename(root / "up/moved")
        (root / "up/data").write_bytes(bytes(10))
    with pytest.raises(KeyNotFound):
        await waiting
    assert [(root / "up" / name).read_bytes() for name in ("moved", "data")] == [content(10), bytes(10)]


async def test_several_processes_append_to_one_key_without_interleaving(driver, root):
    await driver.append("a/b", 0, b"")
    command = [sys.executable, "-c", APPENDER, str(root)]
    processes = [await asyncio.create_subprocess_exec(*command, letter, "40") for letter in "xyz"]
    assert [await process.wait() for process in processes] == [0, 0, 0]
    whole = await driver.read("a/b")
    records = [whole[i : i + 1000] for i in range(0, len(whole), 1000)]
    assert sorted(records) == [letter * 1000 for letter in (b"x", b"y", b"z") for _ in range(40)]


async def test_appending_to_a_full_device_is_storage_full(driver, root):
    """/dev/full has no room for anybody, so this needs neither root nor a disk of its own."""
    (root / "f").mkdir()
    (root / "f/key").symlink_to("/dev/full")
    with pytest.raises(StorageFull):
        await driver.append("f/key", 0, b"x")


@pytest.fixture
def tiny(tmp_path):
    """A driver over a disk of 64 KiB, which takes root to make."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
    subprocess.run(command, check=True)
    driver = FilesystemDriver(folder)
    yield driver
    asyncio.run(driver.close())
    subprocess.run(["umount", folder], check=True)


@pytest.mark.system
async def test_a_write_to_a_full_disk_is_storage_full_and_keeps_the_old_bytes(tiny, tmp_path):
    await tiny.write("a/b", b"old")
    with pytest.raises(StorageFull):
        await tiny.write("a/b", content(100_000))
    assert await tiny.read("a/b") == b"old"
    assert files(tmp_path / "tiny") == ["a/b"]


@pytest.mark.system
async def test_an_append_to_a_full_disk_keeps_what_fitted_and_goes_on_later(tiny):
    await tiny.write("ballast", content(20_000))
    with pytest.raises(StorageFull):
        await tiny.append("a/b", 0, content(100_000))
    size = (await tiny.stat("a/b")).size
    assert 0 < size < 64 << 10
    await tiny.delete("ballast")
    await tiny.append("a/b", size, content(100_000)[size : size + 5000])
    assert await tiny.read("a/b") == content(100_000)[: size + 5000]


async def test_what_is_read_is_the_file_that_was_opened_even_when_it_is_replaced_or_deleted_meanwhile(driver):
    whole = content((2 << 20) + 10)
    await driver.append("up", 0, whole)
    await driver.move(Move("up", "a/b", len(whole)))
    stream = driver.stream("a/b", 0, len(whole))
    chunks = [await anext(stream)]
    await driver.write("a/b", b"new")
    await driver.delete("a/b")
    chunks += [chunk async for chunk in stream]
    assert b"".join(chunks) == whole


@pytest.mark.parametrize("size", [0, 1, 71, 64 << 10, (64 << 10) + 1, 1 << 20])
async def test_a_read_is_the_same_from_memory_and_from_a_thread(tmp_path, size):
    driver = await asyncio.to_thread(FilesystemDriver, tmp_path)
    data = os.urandom(size)
    await driver.write("key", data)
    at_once = await driver.read("key")
    driver._answers_at_once = False
    assert at_once == await driver.read("key") == data


async def test_a_read_that_would_wait_for_the_disk_goes_to_a_thread(tmp_path, monkeypatch):
    driver = await asyncio.to_thread(FilesystemDriver, tmp_path)
    await driver.write("key", b"data")

    def would_wait(*_):
        raise BlockingIOError(errno.EAGAIN, "would wait")

    monkeypatch.setattr("os.preadv", would_wait)
    assert await driver.read("key") == b"data"


@pytest.mark.parametrize("answers_at_once", [True, False])
async def test_what_is_missing_is_missing_either_way(tmp_path, answers_at_once):
    driver = await asyncio.to_thread(FilesystemDriver, tmp_path)
    driver._answers_at_once = answers_at_once
    await driver.write("folder/key", b"data")
    for key in ("nothing", "folder", "folder/key/below"):
        for call in (driver.read, driver.stat):
            with pytest.raises(KeyNotFound):
                await call(key)
