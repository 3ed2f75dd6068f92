"""In which order the filesystem driver asks the disk for what must last, and what is left when the disk fails."""

import asyncio
import errno
import os
import re
from pathlib import Path

import pytest

from registry_service.storage import files as storage_files
from registry_service.storage import writing
from registry_service.storage.driver import Changed, Move, StorageFull
from registry_service.storage.filesystem import FilesystemDriver


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


@pytest.fixture
def driver(root, monkeypatch):
    """A driver on a disk that does not tell of errors in all files at once."""
    monkeypatch.setattr(writing, "tells_of_errors", lambda root: False)
    return FilesystemDriver(root)


def files(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.fixture
def calls(driver, root, monkeypatch):
    """What the driver asks of the system, in order. A power cut cannot be had here, so its defence is looked at."""
    seen = []

    def short(path):
        return re.sub(r"\.[0-9a-f-]{36}\.tmp$", ".tmp", os.path.relpath(path, root))

    def spy(name, describe):
        real = getattr(os, name)

        def call(*args, **more):
            told = f"{name} {describe(*args)}"
            real(*args, **more)
            seen.append(told)

        monkeypatch.setattr(os, name, call)

    spy("fsync", lambda handle: short(Path(f"/proc/self/fd/{handle}").readlink()))
    spy("replace", lambda source, target: f"{short(source)} {short(target)}")
    spy("mkdir", lambda path, *_: short(path))
    return seen


async def test_a_write_is_synced_before_its_rename_and_its_folders_after(driver, calls):
    await driver.write("a/b/key", b"x")
    assert calls == [
        "mkdir a", "mkdir a/b",
        "fsync a/b/key.tmp", "replace a/b/key.tmp a/b/key", "fsync .", "fsync a", "fsync a/b",
    ]  # fmt: skip


async def test_a_move_makes_the_appended_bytes_durable_first(driver, calls):
    await driver.append("up/data", 0, b"x")
    del calls[:]
    await driver.move(Move("up/data", "blob/data", 1))
    assert calls == [
        "mkdir blob",
        "fsync up/data",
        "replace up/data blob/data.tmp",
        "replace blob/data.tmp blob/data",
        "fsync .",
        "fsync blob",
    ]


async def test_what_is_moved_is_synced_before_its_name_and_new_links_with_the_folders_last(driver, calls):
    await driver.append("up/data", 0, b"x")
    del calls[:]
    await driver.move(Move("up/data", "blob/data", 1, beside={"a/b/link": b"y"}))
    assert calls == [
        "mkdir blob", "mkdir a", "mkdir a/b", "fsync up/data",
        "replace up/data blob/data.tmp", "replace blob/data.tmp blob/data",
        "fsync a/b/link", "fsync .", "fsync a", "fsync a/b", "fsync blob",
    ]  # fmt: skip


async def test_one_sync_serves_for_many_folders_but_not_for_bytes_from_before(root, calls, monkeypatch):
    monkeypatch.setattr(writing, "tells_of_errors", lambda root: True)
    monkeypatch.setattr(writing, "waiting_bytes", lambda: 0)
    monkeypatch.setattr(writing, "sync_file_system", lambda handle: calls.append("syncfs") or True)
    driver = await asyncio.to_thread(FilesystemDriver, root)
    await driver.append("up/data", 0, b"x")
    del calls[:]
    await driver.move(Move("up/data", "blob/data", 1, beside={"a/b/link": b"y"}))
    assert calls == [
        "mkdir blob", "mkdir a", "mkdir a/b", "fsync up/data",
        "replace up/data blob/data.tmp", "replace blob/data.tmp blob/data", "syncfs",
    ]  # fmt: skip


async def test_a_key_that_was_there_is_replaced_when_its_bytes_are_durable(driver, calls):
    await driver.append("up/data", 0, b"x")
    await driver.write("a/link", b"old")
    del calls[:]
    await driver.move(Move("up/data", "blob/data", 1, beside={"a/link": b"new"}))
    assert calls == [
        "mkdir blob", "fsync up/data", "fsync a/link.tmp",
        "replace up/data blob/data.tmp", "replace blob/data.tmp blob/data", "replace a/link.tmp a/link",
        "fsync .", "fsync a", "fsync blob",
    ]  # fmt: skip


async def test_bytes_that_come_with_the_move_take_no_way_round(driver, calls):
    """Neither the hints nor what is left behind is waited for."""
    await driver.append("begun/one", 0, b"x")
    del calls[:]
    move = Move(
        "up/data", "blob/data", 3, tail=b"abc", beside={"a/link": b"y"}, hints={"h/n": b"z"}, leaves=["begun/one"]
    )
    await driver.move(move)
    assert calls == [
        "mkdir blob", "mkdir a", "fsync blob/data.tmp", "replace blob/data.tmp blob/data",
        "fsync a/link", "fsync .", "fsync a", "fsync blob", "mkdir h",
    ]  # fmt: skip


async def test_a_move_that_cannot_be_leaves_no_temporary_file(driver, root):
    await driver.append("up/data", 0, b"x")
    await driver.write("a/b", b"no folder")
    with pytest.raises(NotADirectoryError):
        await driver.move(Move("up/data", "blob/data", 1, beside={"c/link": b"y", "a/b/link": b"y"}))
    assert files(root) == ["a/b", "c/link", "up/data"]  # others may count on a new link already


async def test_a_move_that_fails_late_keeps_its_bytes_and_takes_back_what_is_not_whole(driver, root, monkeypatch):
    await driver.append("up/data", 0, b"x")
    await driver.write("a/link", b"old")

    calls, fsync = [], os.fsync

    def fail(handle):
        calls.append(handle)
        if len(calls) > 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="Input/output"):
            await driver.move(Move("up/data", "blob/data", 1, beside={"a/link": b"y", "b/link": b"y"}))
    assert (await driver.read("up/data"), await driver.read("a/link")) == (b"x", b"old")
    assert files(root) == ["a/link", "b/link", "up/data"]  # others may count on a new link already


async def test_only_the_own_folder_of_what_is_appended_is_not_synced(driver, calls):
    await driver.append("a/b/c", 0, b"x")
    assert calls == ["mkdir a", "fsync .", "mkdir a/b"]


async def test_the_disk_begins_with_what_a_thread_appends(driver, monkeypatch):
    begun = []
    monkeypatch.setattr(storage_files, "begin_writing", lambda handle, *part: begun.append(part))

    def append():
        with driver.appending("a/b", 0) as end:
            for _ in range(11):
                end.write(memoryview(bytes(1 << 19)))

    await asyncio.to_thread(append)
    assert begun == [(0, 4 << 20), (4 << 20, 3 << 19)]


@pytest.mark.parametrize(("size", "begun"), [((64 << 10) - 1, []), (64 << 10, [(0, 64 << 10)])])
async def test_the_disk_begins_with_what_is_worth_it(driver, monkeypatch, size, begun):
    asked = []
    monkeypatch.setattr("registry_service.storage.filesystem.begin_writing", lambda handle, *part: asked.append(part))
    await driver.append("a/b", 0, bytes(size))
    assert asked == begun


async def test_a_deletion_is_synced(driver, calls):
    await driver.write("a/b", b"x")
    del calls[:]
    await driver.delete("a/b")
    assert calls == ["fsync a"]


@pytest.mark.parametrize("key", ["a/b", "a"])
async def test_a_deletion_that_need_not_last_is_not_synced(driver, calls, key):
    await driver.write("a/b", b"x")
    del calls[:]
    await driver.delete(key, durable=False)
    assert calls == []


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull), (errno.EIO, OSError)]
)
async def test_what_the_disk_says_at_the_last_moment_leaves_the_old_bytes(driver, root, monkeypatch, number, error):
    """Patched, for no disk here has a quota, or fails on being asked to."""
    await driver.write("a/b", b"old")

    def fail(handle):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(error) as caught:
            await driver.write("a/b", b"new")
    assert isinstance(caught.value, StorageFull) == (error is StorageFull)
    assert await driver.read("a/b") == b"old"
    assert files(root) == ["a/b"]


async def test_a_disk_that_is_full_keeps_no_folder_that_looks_like_something(driver, root, monkeypatch):
    await driver.append("up/data", 0, b"bytes")
    await driver.write("tags/v1/current/link", b"x")
    opened = os.open

    def fail(path, flags, *more, **named):
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return opened(path, flags, *more, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", fail)
        with pytest.raises(StorageFull):
            await driver.write("tags/v2/current/link", b"x")
        with pytest.raises(StorageFull):
            await driver.move(Move("up/data", "blobs/aa/data", 5, beside={"layers/aa/link": b"y"}))
    assert await driver.children("tags") == ["v1"]
    assert sorted(path.name for path in root.iterdir()) == [".trash", "tags", "up"]
    await driver.move(Move("up/data", "blobs/aa/data", 5, beside={"layers/aa/link": b"y"}))


async def test_a_file_that_takes_the_place_of_another_during_its_move_is_not_moved(driver, root, monkeypatch):
    """While the disk is waited for, the upload is cancelled and another begins under its name."""
    await driver.append("up/data", 0, b"good")
    fsync = os.fsync

    def exchange(handle):
        if Path(f"/proc/self/fd/{handle}").readlink() == root / "up/data":
            (root / "up/data").unlink()
            (root / "up/data").write_bytes(b"evil")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", exchange)
    with pytest.raises(Changed):
        await driver.move(Move("up/data", "blob/data", 4, beside={"blob/link": b"y"}))
    assert files(root) == ["blob/link"]
