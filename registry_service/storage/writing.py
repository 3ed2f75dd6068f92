"""Writes that come at the same time go to the disk together.

A write is a generator: it does what it can, then yields what must be durable before it goes on. One thread at a time
runs the writes that have gathered meanwhile, step by step beside each other, and waits for the disk once for all: every
fsync may cost a commit of the file system's journal and a flush of the disk, and every change of threads in between
costs as much again. One syncfs serves for several files and folders where that is sound: where little else waits to be
written, for it writes everything, and where it tells of errors as fsync does, which is so on Linux since 5.8 and on
file systems of a disk. Elsewhere each file gets its fsync, and each folder one however many names in it have changed.

Source: fsync(2), syncfs(2), sync_file_range(2), proc_pid_mountinfo(5).
"""

import asyncio
import os
import platform
import re
import weakref
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from registry_service.storage.files import InUse, begin_writing, sync_file_system, sync_folder

_MOST_TOGETHER: Final = 64
_AGAIN_SECONDS: Final = 0.005
_LITTLE_BYTES: Final = 64 << 20
"""What a disk writes in a fraction of a second."""
_FEWEST: Final = 3
_WORTH_BYTES: Final = 1 << 20
"""What a disk writes in the time that one more sync takes."""
_UNKNOWN_BYTES: Final = 1 << 60
_MEMINFO_BYTES: Final = 16 << 10
_FIRST_RELEASE: Final = (5, 8)
_FILE_SYSTEMS: Final = frozenset({"btrfs", "ext3", "ext4", "f2fs", "xfs"})
_WAITING: Final = re.compile(rb"^(?:Dirty|Writeback): +(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Unsynced:
    """What must be durable before a write goes on: the bytes of open files, the names in folders.

    `earlier` are open files that hold bytes from before: an error of theirs may have been told to somebody else
    already, so nothing but a sync of their own is believed.
    """

    files: Sequence[int] = ()
    folders: Collection[Path] = ()
    earlier: Sequence[int] = ()


Steps = Generator[Unsynced, None, None]


class Writer:
    """Runs the writes below one folder."""

    def __init__(self, root: Path) -> None:
        self._disk = _Disk(root)
        self._waiting: list[tuple[Steps, asyncio.Future[None]]] = []
        self._running: asyncio.Task[None] | None = None

    async def run(self, write: Callable[[], Steps]) -> None:
        """Do a write, and raise what it raises; while it says InUse, again."""
        while True:
            try:
                await self._run(write())
            except InUse:
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return

    def close(self) -> None:
        """Let go of the folder."""
        self._disk.close()

    async def _run(self, steps: Steps) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((steps, done))
        if self._running is None:
            self._running = asyncio.create_task(self._run_waiting())
        await done

    async def _run_waiting(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:_MOST_TOGETHER], self._waiting[_MOST_TOGETHER:]
                await self._run_group(group)
        finally:
            self._running = None

    async def _run_group(self, group: Sequence[tuple[Steps, asyncio.Future[None]]]) -> None:
        errors: Mapping[int, BaseException] = {}
        try:
            errors = await asyncio.to_thread(run_together, [steps for steps, _ in group], self._disk.sync)
        except BaseException as error:
            errors = dict.fromkeys(range(len(group)), error)  # nobody shall wait for ever, whatever this is
            if not isinstance(error, Exception):
                raise
        finally:
            for number, (_, done) in enumerate(group):
                if not done.done():
                    _tell(done, errors.get(number))


def _tell(done: asyncio.Future[None], error: BaseException | None) -> None:
    if error is None:
        done.set_result(None)
    elif isinstance(error, asyncio.CancelledError):
        done.cancel()
    else:
        done.set_exception(error)


def run_together(
    writes: Sequence[Steps], sync: Callable[[Mapping[int, Unsynced]], Mapping[int, OSError]]
) -> dict[int, Exception]:
    """Run writes step by step, and return by number what those raised that failed.

    `sync` is given by number what the writes wait for, and returns by number what could not be made durable.
    """
    errors: dict[int, Exception] = {}
    running, failed = dict(enumerate(writes)), dict[int, OSError]()
    while running:
        waiting: dict[int, Unsynced] = {}
        for number, write in list(running.items()):
            try:
                waiting[number] = write.throw(failed[number]) if number in failed else next(write)
            except StopIteration:
                del running[number]
            except Exception as error:  # noqa: BLE001 - it belongs to whoever asked for this write
                errors[number] = error
                del running[number]
        failed = dict(sync(waiting)) if waiting else {}
    return errors


class _Disk:
    """The file system that a folder is on."""

    def __init__(self, root: Path) -> None:
        self._handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)  # is told of every error since it was opened
        self.close = weakref.finalize(self, os.close, self._handle)
        self._device = os.fstat(self._handle).st_dev
        self._tells_of_errors = tells_of_errors(root)

    def sync(self, waiting: Mapping[int, Unsynced]) -> dict[int, OSError]:
        """Make durable what several wait for, and return by number why that failed."""
        begin_all(waiting.values())
        errors = sync_files({number: one.earlier for number, one in waiting.items()})
        left = {number: one for number, one in waiting.items() if number not in errors}
        if self._is_cheaper(left) and all(map(self._holds, left.values())):
            if sync_file_system(self._handle):
                return errors
            self._tells_of_errors = False  # who has been told of an error is not told again
        return errors | sync_files({number: one.files for number, one in left.items()}) | sync_folders(left)

    def _is_cheaper(self, waiting: Mapping[int, Unsynced]) -> bool:
        """Tell whether to sync everything takes less than to sync one after the other."""
        count = sum(len(one.files) + len(one.folders) for one in waiting.values())
        if not self._tells_of_errors or (len(waiting) == 1 and count < _FEWEST):
            return False
        return waiting_bytes() < (_LITTLE_BYTES if len(waiting) > 1 else count * _WORTH_BYTES)

    def _holds(self, unsynced: Unsynced) -> bool:
        """Tell whether all of it is on this file system: folders may lead to others, and be exchanged meanwhile."""
        try:
            files = [os.fstat(handle) for handle in unsynced.files]
            folders = [folder.stat() for folder in unsynced.folders]
        except OSError:
            return False
        return all(one.st_dev == self._device for one in (*files, *folders))


def begin_all(waiting: Iterable[Unsynced]) -> None:
    """Send the bytes of all files on their way before anybody waits."""
    for one in waiting:
        for handle in (*one.earlier, *one.files):
            begin_writing(handle)


def sync_files(waiting: Mapping[int, Sequence[int]]) -> dict[int, OSError]:
    """Make the bytes of open files durable."""
    errors = {}
    for number, handles in waiting.items():
        try:
            for handle in handles:
                os.fsync(handle)
        except OSError as error:
            errors[number] = error
    return errors


def sync_folders(waiting: Mapping[int, Unsynced]) -> dict[int, OSError]:
    """Make the names in folders durable."""
    errors = {}
    numbers: dict[Path, list[int]] = {}
    for number, one in waiting.items():
        for folder in one.folders:
            numbers.setdefault(folder, []).append(number)
    for folder in sorted(numbers):
        try:
            sync_folder(folder)
        except OSError as error:
            errors.update(dict.fromkeys(numbers[folder], error))
    return errors


def waiting_bytes() -> int:
    """Return how many bytes wait to be written, to all disks of the machine; many where that is not told."""
    try:
        handle = os.open("/proc/meminfo", os.O_RDONLY)
        try:
            found = _WAITING.findall(os.read(handle, _MEMINFO_BYTES))
        finally:
            os.close(handle)
    except OSError:
        found = []
    return sum(map(int, found)) << 10 if found else _UNKNOWN_BYTES


def tells_of_errors(root: Path) -> bool:
    """Tell whether a sync of the whole file system of a folder reports what could not be written."""
    release = re.match(r"(\d+)\.(\d+)", platform.release())
    if platform.system() != "Linux" or release is None or (int(release[1]), int(release[2])) < _FIRST_RELEASE:
        return False
    device = root.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()]
    except OSError:
        return False
    return any(parts[2] == number and parts[parts.index("-") + 1] in _FILE_SYSTEMS for parts in mounts)
