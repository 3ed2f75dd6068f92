"""What a disk asks for: files written and synced, folders synced into those above, locks, states of files.

Nothing here knows of keys. All of it waits for the disk, but for `read_at_once`.
"""

import ctypes
import errno
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from registry_service.storage.driver import (
    ANYTHING,
    Anything,
    Changed,
    Data,
    Expected,
    KeyNotFound,
    Mark,
    State,
    StorageFull,
    WrongOffset,
    parts_of,
)

_AT_ONCE_BYTES: Final = 128 << 10
_LINK_BYTES: Final = 512
"""More than a link has, and less than a page."""
_SYNC_FILE_RANGE_WRITE: Final = 2
_LIBRARY: Final = ctypes.CDLL(None)
_SYNC_FILE_RANGE: Final = getattr(_LIBRARY, "sync_file_range", None)
_SYNCFS: Final = getattr(_LIBRARY, "syncfs", None)
_BEGIN_BYTES: Final = 4 << 20
_SETTLED_NANOSECONDS: Final = 50_000_000
_MOST_PARTS: Final = 1024
"""The system takes no more at once (IOV_MAX)."""
TEMPORARY_SUFFIX: Final = ".tmp"
"""Files whose names end so are unfinished writes; the Go registry uses and ignores the same."""


class InUse(Exception):
    """Somebody else has a file at this moment."""


def settled_mark(path: str, found: os.stat_result) -> Mark | None:
    """Return the mark of a path, None for one that has changed a moment ago.

    A file system counts time in steps: what changes again within one looks unchanged.
    """
    settled = time.time_ns() - found.st_mtime_ns > _SETTLED_NANOSECONDS
    return (path, identity(found)) if settled else None


def identity(found: os.stat_result) -> tuple[int, int, int, int]:
    """Return what tells a state of a file from its other states."""
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def differs(path: Path, expected: Expected) -> bool:
    """Tell whether a file holds something else than a writer expects."""
    if isinstance(expected, Anything):
        return False
    try:
        return path.read_bytes() != expected
    except FileNotFoundError:
        return expected is not None


def read_at_once(path: str) -> bytes | None:
    """Return the bytes of a small file that are in memory, None when reading them would wait for a disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        data = bytearray(_LINK_BYTES)
        count = os.preadv(handle, [data], 0, os.RWF_NOWAIT)
        if count < _LINK_BYTES:  # all of it, for a page is there or is not
            return bytes(data[:count])
        size = os.fstat(handle).st_size
        if size > _AT_ONCE_BYTES:
            return None
        data = bytearray(size)
        return bytes(data) if os.preadv(handle, [data], 0, os.RWF_NOWAIT) == size else None
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EOPNOTSUPP, errno.EINVAL):
            return None
        raise
    finally:
        os.close(handle)


def write_all(handle: int, data: Data, offset: int) -> None:
    """Write all of some bytes at an offset."""
    views = [memoryview(part) for part in parts_of(data) if len(part)]
    while views:
        written = os.pwritev(handle, views[:_MOST_PARTS], offset)
        offset += written
        while views and written >= len(views[0]):
            written -= len(views.pop(0))
        if written:
            views[0] = views[0][written:]


def length_of(data: Data) -> int:
    """Return how many bytes there are."""
    return sum(map(len, parts_of(data)))


def check_missing(path: Path) -> None:
    """Raise WrongOffset with the size of a file that should not be there."""
    with suppress(FileNotFoundError):
        raise WrongOffset(path.stat().st_size)


def begin_writing(handle: int, offset: int = 0, length: int = 0) -> None:
    """Let the disk begin with a part of a file, length 0 for all that follows; a hint, that later waits are short."""
    if _SYNC_FILE_RANGE is not None:
        _SYNC_FILE_RANGE(handle, ctypes.c_int64(offset), ctypes.c_int64(length), _SYNC_FILE_RANGE_WRITE)


class OpenEnd:
    """The end of an open file to which one thread adds; see Appending of the driver."""

    def __init__(self, handle: int, offset: int) -> None:
        self._handle = handle
        self._offset = self._begun = offset

    def write(self, piece: memoryview) -> None:
        """Add bytes, and let the disk begin with what has gathered."""
        write_all(self._handle, piece, self._offset)
        self._offset += len(piece)
        if self._offset - self._begun >= _BEGIN_BYTES:
            self.leave()

    def leave(self) -> None:
        """Let the disk begin with what it has not begun with."""
        if self._offset > self._begun:
            begin_writing(self._handle, self._begun, self._offset - self._begun)
            self._begun = self._offset

    def state(self) -> State:
        """Return the state of the file."""
        return identity(os.fstat(self._handle))


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, each synced into the folder above it."""
    for one in make_missing(folder):
        sync_folder(one.parent)


@contextmanager
def parents(*paths: Path) -> Iterator[set[Path]]:
    """Create the folders above files, and yield those that are to be synced: their own, and above each new one.

    When the rest fails, new ones go that are empty: a folder may look like something that is there.
    """
    made: list[Path] = []
    try:
        for path in paths:
            made += make_missing(path.parent)
        yield {one.parent for one in (*paths, *made)}
    except BaseException:
        for one in reversed(made):
            with suppress(OSError):
                one.rmdir()
        raise


def make_missing(folder: Path) -> list[Path]:
    """Create a folder and its parents, unsynced, and return those that are new, from the top."""
    missing = [folder]
    made = []
    while missing:
        try:
            missing[-1].mkdir()
        except FileNotFoundError:
            missing.append(missing[-1].parent)
        except FileExistsError:
            missing.pop()
        else:
            made.append(missing.pop())
    return made


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was written and is still open: where it is, and where it is to be."""

    handle: int
    path: Path
    target: Path


@contextmanager
def temporaries(files: Sequence[tuple[Path, bytes | bytearray]]) -> Iterator[list[Written]]:
    """Write files under temporary names in their folders, and yield them; those still there at the end go."""
    written: list[Written] = []
    try:
        for target, data in files:
            written.append(_create(target.with_name(f"{target.name}.{uuid.uuid4()}{TEMPORARY_SUFFIX}"), target))
            write_all(written[-1].handle, data, 0)
        yield written
    except BaseException:
        for one in written:
            one.path.unlink(missing_ok=True)
        raise
    finally:
        for one in written:
            os.close(one.handle)


@contextmanager
def new_files(files: Sequence[tuple[Path, bytes]]) -> Iterator[list[Written]]:
    """Write small files and yield them: under their own names where there are none, else under temporary ones.

    For a moment, and after a crash, a new one may be empty. It stays if the rest fails: others may count on it already.
    """
    written: list[Written] = []
    present: list[tuple[Path, bytes]] = []
    try:
        for target, data in files:
            try:
                written.append(_create(target, target))
            except FileExistsError:
                present.append((target, data))
            else:
                write_all(written[-1].handle, data, 0)
        with temporaries(present) as waiting:
            yield [*written, *waiting]
    finally:
        for one in written:
            os.close(one.handle)


def _create(path: Path, target: Path) -> Written:
    return Written(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), path, target)


def give_name(written: Written, expected: Expected = ANYTHING) -> None:
    """Give a file its name, in no other write's way; raises Changed when what has the name now is not expected."""
    if written.path == written.target:
        return
    folder = os.open(written.target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if differs(written.target, expected):
            raise Changed(str(written.target))
        written.path.replace(written.target)
    finally:
        os.close(folder)


def take_place(written: Written) -> None:
    """Give an open file, and no other, its name; raises Changed when another has taken the one that it had.

    Under a name that nobody else knows it is compared with the open file, whose number nothing else can have.
    """
    private = written.target.with_name(f"{written.target.name}.{uuid.uuid4()}{TEMPORARY_SUFFIX}")
    written.path.replace(private)
    if not os.path.samestat(private.stat(), os.fstat(written.handle)):
        private.unlink()
        raise Changed(str(written.path))
    private.replace(written.target)


def make_if_missing(path: Path, data: bytes) -> None:
    """Write a small file where there is none, unless that cannot be; it need not last."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with suppress(OSError):
        try:
            handle = os.open(path, flags, 0o666)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, flags, 0o666)
        try:
            write_all(handle, data, 0)
        finally:
            os.close(handle)


def is_renamed(before: Path, after: Path) -> bool:
    """Give a file another name, also in a folder that is to be made; return whether it was there."""
    for _ in range(2):
        with suppress(FileNotFoundError):
            before.rename(after)
            return True
        if after.parent.is_dir():
            return False
        after.parent.mkdir(parents=True, exist_ok=True)
    return False


def remove_folder(folder: Path) -> None:
    """Remove a folder with everything below it; what cannot be removed stays."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                os.unlink(entry.path)  # noqa: PTH108 - most have one file or two
        folder.rmdir()
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)


def lock(handle: int, *, wait: bool) -> None:
    """Lock an open file; who does not wait gets InUse when somebody else has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise InUse from None


def sync_file(path: Path) -> None:
    """Make a file's bytes durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_unfinished(entry: "os.DirEntry[str]") -> bool:
    """Tell an unfinished write from a folder of that name: `v1.tmp` is a good tag, and `app.tmp` a good repository."""
    return entry.name.endswith(TEMPORARY_SUFFIX) and not entry.is_dir()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file_system(handle: int) -> bool:
    """Make everything on a file system durable; return whether that could be done."""
    return _SYNCFS is not None and _SYNCFS(handle) == 0


class not_found:  # noqa: N801 - used as a function; a class is entered for a third of what a generator costs
    """Turn the system's errors for what is not there into KeyNotFound."""

    __slots__ = ("_key",)

    def __init__(self, key: str) -> None:
        self._key = key

    def __enter__(self) -> None:
        """Begin to watch."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """See the class."""
        if isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
            raise KeyNotFound(self._key) from error


@contextmanager
def full() -> Iterator[None]:
    """Turn the system's errors for a full disk into StorageFull."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(str(error)) from error
        raise
