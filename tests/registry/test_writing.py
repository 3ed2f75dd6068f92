"""Writes that go to the disk together: each does what it would alone, and fails for itself."""

import asyncio
import errno
import os

import pytest

from registry_service.storage import writing
from registry_service.storage.driver import Changed
from registry_service.storage.files import InUse
from registry_service.storage.filesystem import FilesystemDriver
from registry_service.storage.writing import Unsynced, Writer, run_together


def nothing_fails(waiting):
    return {}


def steps(log, name, count, error=None):
    """Return a write of some steps, which says what it does, and fails at its end with an error where one is given."""
    try:
        for number in range(count):
            log.append(f"{name}{number}")
            yield Unsynced()
        if error is not None:
            raise error
    finally:
        log.append(f"{name} ends")


def test_writes_take_their_steps_beside_each_other():
    log, synced = [], []
    errors = run_together(
        [steps(log, "a", 2), steps(log, "b", 1), steps(log, "c", 0)], lambda w: synced.append([*w]) or {}
    )
    assert log == ["a0", "b0", "c ends", "a1", "b ends", "a ends"]
    assert (errors, synced) == ({}, [[0, 1], [0]])


def test_a_write_that_fails_leaves_the_others_alone():
    log, broken = [], ValueError()
    errors = run_together([steps(log, "a", 1, broken), steps(log, "b", 2)], nothing_fails)
    assert errors == {0: broken}
    assert log[-1] == "b ends"


def test_what_cannot_be_synced_is_told_to_whoever_waits_for_it_so_that_it_can_tidy_up():
    log, full = [], OSError(errno.ENOSPC, "full")
    failures = iter([{1: full}, {}])
    errors = run_together([steps(log, "a", 2), steps(log, "b", 2)], lambda waiting: next(failures))
    assert errors == {1: full}
    assert log == ["a0", "b0", "a1", "b ends", "a ends"]


@pytest.fixture
def little(monkeypatch):
    """Little waits to be written, whatever else this machine does."""
    monkeypatch.setattr(writing, "waiting_bytes", lambda: 1 << 20)


@pytest.fixture
def calls(monkeypatch):
    """What is asked of the disk."""
    seen, fsync, whole = [], os.fsync, writing.sync_file_system
    monkeypatch.setattr(os, "fsync", lambda handle: [seen.append("fsync"), fsync(handle)][1])
    monkeypatch.setattr(writing, "sync_file_system", lambda handle: [seen.append("syncfs"), whole(handle)][1])
    return seen


async def together(driver, count):
    """Write some keys while another write is under way, so that they gather."""
    first = asyncio.create_task(driver.write("first/key", b"x"))
    await asyncio.sleep(0)
    await asyncio.gather(first, *(driver.write(f"f/{number}", b"data") for number in range(count)))


@pytest.mark.usefixtures("little")
async def test_those_that_gather_are_synced_at_once(tmp_path, calls, monkeypatch):
    monkeypatch.setattr(writing, "tells_of_errors", lambda root: True)
    driver = await asyncio.to_thread(FilesystemDriver, tmp_path)
    await together(driver, 10)
    assert calls[-2:] == ["syncfs", "syncfs"]
    assert calls.count("syncfs") == 2
    assert [await driver.read(f"f/{number}") for number in range(10)] == [b"data"] * 10


@pytest.mark.usefixtures("little")
async def test_a_file_system_that_has_failed_once_is_not_trusted_again(tmp_path, calls, monkeypatch):
    """Who has been told of an error is not told again, and somebody else's bytes may be lost."""
    monkeypatch.setattr(writing, "tells_of_errors", lambda root: True)
    monkeypatch.setattr(writing, "sync_file_system", lambda handle: calls.append("failed") or False)
    driver = await asyncio.to_thread(FilesystemDriver, tmp_path)
    await together(driver, 3)
    await together(driver, 3)
    assert calls.count("failed") == 1


@pytest.mark.system
@pytest.mark.usefixtures("little")
async def test_what_lies_on_another_disk_is_synced_there(tmp_path, calls, monkeypatch):
    monkeypatch.setattr(writing, "tells_of_errors", lambda root: True)
    (tmp_path / "root").mkdir()
    (tmp_path / "root/f").symlink_to("/dev/shm")
    driver = await asyncio.to_thread(FilesystemDriver, tmp_path / "root")
    first = asyncio.create_task(driver.write("first/key", b"x"))
    await asyncio.sleep(0)
    keys = [f"f/{tmp_path.name}-{number}" for number in range(3)]
    await asyncio.gather(first, *(driver.write(key, b"data") for key in keys))
    for key in keys:
        await driver.delete(key)
    assert "syncfs" not in calls


@pytest.mark.parametrize("why", ["much else waits", "its errors would not be told", "it fails"])
async def test_each_is_synced_by_itself_where_that_is_better(tmp_path, calls, monkeypatch, why):
    monkeypatch.setattr(writing, "tells_of_errors", lambda root: why != "its errors would not be told")
    monkeypatch.setattr(writing, "waiting_bytes", lambda: 1 << (40 if why == "much else waits" else 20))
    if why == "it fails":
        monkeypatch.setattr(writing, "sync_file_system", lambda handle: False)
    driver = await asyncio.to_thread(FilesystemDriver, tmp_path)
    await together(driver, 10)
    # Files: 11. Folders: "first" and the one above, then "f" and the one above, however many names are new in it.
    assert calls == ["fsync"] * 15


async def test_who_fails_among_many_is_told_and_nobody_else(tmp_path):
    driver = await asyncio.to_thread(FilesystemDriver, tmp_path)
    await driver.write("f/0", b"old")
    first = asyncio.create_task(driver.write("first", b"x"))
    await asyncio.sleep(0)
    writes = [driver.write(f"f/{number}", b"data", expected=None) for number in range(5)]
    results = await asyncio.gather(first, *writes, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), Changed, *[type(None)] * 4]


async def test_a_write_whose_client_has_gone_is_done_all_the_same(tmp_path):
    driver = await asyncio.to_thread(FilesystemDriver, tmp_path)
    first = asyncio.create_task(driver.write("first", b"x"))
    await asyncio.sleep(0)
    gone, stays = (asyncio.create_task(driver.write(f"f/{number}", b"data")) for number in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(first, stays)
    assert [await driver.read(f"f/{number}") for number in range(2)] == [b"data"] * 2


async def test_a_write_waits_for_whoever_has_its_file(tmp_path):
    writer = await asyncio.to_thread(Writer, tmp_path)
    tries = []

    def busy_at_first():
        tries.append(len(tries))
        if len(tries) < 3:
            raise InUse
        yield Unsynced()

    await writer.run(busy_at_first)
    assert tries == [0, 1, 2]
    writer.close()


@pytest.mark.parametrize(
    ("release", "file_system", "expected"),
    [
        ("6.1.0-18-amd64", "ext4", True),
        ("5.8", "xfs", True),
        ("5.10.0", "btrfs", True),
        ("5.7.19", "ext4", False),
        ("4.19.0", "ext4", False),
        ("6.1.0", "nfs4", False),
        ("6.1.0", "overlay", False),
        ("6.1.0", "fuse.sshfs", False),
        ("strange", "ext4", False),
    ],
)
def test_whole_file_systems_are_synced_only_where_their_errors_are_told(
    tmp_path, monkeypatch, release, file_system, expected
):
    device = tmp_path.stat().st_dev
    mount = f"36 35 {os.major(device)}:{os.minor(device)} / /data rw,noatime shared:1 - {file_system} /dev/x rw\n"
    monkeypatch.setattr("platform.release", lambda: release)
    monkeypatch.setattr("pathlib.Path.read_text", lambda path, **_: f"1 2 0:999 / / rw - ext4 /dev/y rw\n{mount}")
    assert writing.tells_of_errors(tmp_path) is expected


def test_a_folder_that_cannot_be_synced_is_told_to_all_who_wait_for_it_and_to_nobody_else(tmp_path):
    waiting = {
        0: Unsynced(folders=[tmp_path / "gone"]),
        1: Unsynced(folders=[tmp_path]),
        2: Unsynced(folders=[tmp_path, tmp_path / "gone"]),
    }
    assert {number: type(error) for number, error in writing.sync_folders(waiting).items()} == {
        0: FileNotFoundError,
        2: FileNotFoundError,
    }


def test_a_file_that_cannot_be_synced_is_told_to_whoever_waits_for_it(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        good, (reading, end) = file.fileno(), os.pipe()  # a pipe has nothing to be synced
        errors = writing.sync_files({0: [good], 1: [good, end]})
    os.close(reading)
    os.close(end)
    assert [(number, error.errno) for number, error in errors.items()] == [(1, errno.EINVAL)]


async def test_nobody_waits_for_ever_when_something_unforeseen_happens(tmp_path, monkeypatch):
    writer = await asyncio.to_thread(Writer, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(writing, "run_together", lambda writes, sync: 1 / 0)
        calls = [writer.run(lambda: steps([], "a", 1)) for _ in range(2)]
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [ZeroDivisionError] * 2
    await writer.run(lambda: steps([], "a", 1))
    writer.close()


def test_much_waits_where_the_system_does_not_tell(monkeypatch):
    def missing(path, flags):
        raise FileNotFoundError(path)

    monkeypatch.setattr("os.open", missing)
    assert writing.waiting_bytes() > 1 << 40


def test_what_waits_to_be_written_is_counted_in_bytes():
    assert 0 <= writing.waiting_bytes() < 1 << 40
