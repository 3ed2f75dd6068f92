"""What a disk asks for: files written and synced, folders synced into those above, locks, states of files.

Nothing here knows of keys. All of it waits for the disk, but for `read_at_once`.
"""

import ctypes
import errno
import fcntl
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from registry_service.storage.driver import Anything, Expected, KeyNotFound, Mark, StorageFull

_AT_ONCE_BYTES: Final = 64 << 10
_SYNC_FILE_RANGE_WRITE: Final = 2
_LARGE_BYTES: Final = 1 << 20
_LIBRARY: Final = ctypes.CDLL(None)
_SETTLED_NANOSECONDS: Final = 50_000_000
TEMPORARY_SUFFIX: Final = ".tmp"
"""Files whose names end so are unfinished writes; the Go registry uses and ignores the same."""


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


def read_at_once(path: Path) -> bytes | None:
    """Return the bytes of a small file that are in memory, None when reading them would wait for a disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
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


def write_all(handle: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """Write all of some bytes at an offset."""
    view = memoryview(data)
    while view:
        written = os.pwrite(handle, view, offset)
        view, offset = view[written:], offset + written


def begin_writing(handle: int, offset: int, length: int) -> None:
    """Let the disk begin with what was appended, so that less is left to be waited for at the end; a hint, no more."""
    call = getattr(_LIBRARY, "sync_file_range", None)
    if call is not None and length >= _LARGE_BYTES:
        call(handle, ctypes.c_int64(offset), ctypes.c_int64(length), _SYNC_FILE_RANGE_WRITE)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, each synced into the folder above it."""
    for one in make_missing(folder):
        sync_folder(one.parent)


def make_parents(path: Path) -> list[Path]:
    """Create the folders above a file, and return those that are to be synced: its own, and above each new one."""
    return [path.parent, *(one.parent for one in make_missing(path.parent))]


def make_missing(folder: Path) -> list[Path]:
    """Create a folder and its parents, unsynced, and return those that are new, from the top."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    missing.reverse()
    for one in missing:
        with suppress(FileExistsError):
            one.mkdir()
    return missing


@contextmanager
def temporaries(files: Sequence[tuple[Path, bytes]]) -> Iterator[list[Path]]:
    """Write files under temporary names in their folders; those still there at the end are removed."""
    written: list[Path] = []
    try:
        for path, data in files:
            written.append(path.with_name(f"{path.name}.{uuid.uuid4()}{TEMPORARY_SUFFIX}"))
            written[-1].write_bytes(data)
        yield written
    finally:
        for one in written:
            one.unlink(missing_ok=True)


def rename_locked(temporary: Path, path: Path) -> None:
    """Give a file its name, in no other write's way."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        temporary.replace(path)
    finally:
        os.close(folder)


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


@contextmanager
def not_found(key: str) -> Iterator[None]:
    """Turn the system's errors for what is not there into KeyNotFound."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise KeyNotFound(key) from error


@contextmanager
def full() -> Iterator[None]:
    """Turn the system's errors for a full disk into StorageFull."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(str(error)) from error
        raise
