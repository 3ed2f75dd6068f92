"""Bytes in files below one folder, durable and atomic.

A whole write goes to a temporary name in the same folder, is synced, renamed, and then the folder is synced: after a
power cut there is the old file or the new one. Folders made on the way are synced into their parents as well; all of
them last, for one wait for the disk serves for everything that is on its way there.
"""

import asyncio
import ctypes
import errno
import fcntl
import os
import shutil
import stat
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import aiofiles

from registry_service.storage.driver import (
    ANYTHING,
    Anything,
    Changed,
    Expected,
    KeyNotFound,
    Mark,
    Stat,
    StorageFull,
    WrongOffset,
)

_AT_ONCE_BYTES: Final = 64 << 10
_LARGE_BYTES: Final = 1 << 20
_SYNC_FILE_RANGE_WRITE: Final = 2
_SETTLED_NANOSECONDS: Final = 50_000_000
_TRASH: Final = ".trash"
STREAM_BYTES: Final = 1 << 20
TEMPORARY_SUFFIX: Final = ".tmp"
"""Files whose names end so are unfinished writes; the Go registry uses and ignores the same."""


class FilesystemDriver:
    """The folder `root` as a store.

    Each call is one hop to a thread, but for what a local disk answers from memory: a small read that needs no disk
    (RWF_NOWAIT) costs a fraction of a hop. Where the system cannot tell, as on network file systems, every call hops.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)
        self._trash = root / _TRASH
        self._trash.mkdir(exist_ok=True)
        for left_by_a_crash in self._trash.iterdir():
            shutil.rmtree(left_by_a_crash, ignore_errors=True)
        probe = root / f".probe-{uuid.uuid4()}{TEMPORARY_SUFFIX}"
        probe.write_bytes(b"probe")
        self._answers_at_once = _read_at_once(probe) == b"probe"
        probe.unlink()

    async def stat(self, key: str) -> Stat:
        """See Driver."""
        if self._answers_at_once:
            return self._stat(key)
        return await asyncio.to_thread(self._stat, key)

    async def read(self, key: str) -> bytes:
        """See Driver."""
        if self._answers_at_once:
            with _not_found(key):
                data = _read_at_once(self._path(key))
            if data is not None:
                return data
        return await asyncio.to_thread(self._read, key)

    async def stream(self, key: str, start: int, length: int) -> AsyncIterator[bytes]:
        """See Driver."""
        with _not_found(key):
            file = await aiofiles.open(self._path(key), "rb", buffering=0)
        try:
            await file.seek(start)
            while length > 0 and (chunk := await file.read(min(STREAM_BYTES, length))):
                length -= len(chunk)
                yield chunk
        finally:
            await file.close()

    async def write(self, key: str, data: bytes, *, expected: Expected = ANYTHING) -> None:
        """See Driver."""
        await asyncio.to_thread(self._write, key, data, expected)

    async def append(self, key: str, offset: int, data: bytes | bytearray | memoryview) -> None:
        """See Driver."""
        await asyncio.to_thread(self._append, key, offset, data)

    async def move(self, source: str, target: str, size: int, beside: Mapping[str, bytes] | None = None) -> None:
        """See Driver."""
        await asyncio.to_thread(self._move, source, target, size, beside or {})

    async def children(self, folder: str) -> list[str]:
        """See Driver."""
        return await asyncio.to_thread(self._children, folder)

    async def delete(self, key: str, *, durable: bool = True) -> None:
        """See Driver."""
        await asyncio.to_thread(self._delete, key, durable)

    def mark(self, key: str, known: bytes | int) -> Mark | None:
        """See Driver."""
        path = str(self._path(key))
        if not self._answers_at_once:
            return None
        try:
            found = os.stat(path)  # noqa: PTH116 - the path of a mark is a string, for it is looked at often
            same = found.st_size == known if isinstance(known, int) else _read_at_once(Path(path)) == known
        except OSError:
            return None
        # A file system counts time in steps: what changes within one looks unchanged.
        settled = time.time_ns() - found.st_mtime_ns > _SETTLED_NANOSECONDS
        return (path, _identity(found)) if same and settled else None

    def unchanged(self, mark: Mark) -> bool:
        """See Driver."""
        path, identity = mark
        try:
            return _identity(os.stat(path)) == identity  # noqa: PTH116
        except OSError:
            return False

    def local_path(self, key: str) -> Path | None:
        """See Driver."""
        return self._path(key)

    async def close(self) -> None:
        """See Driver."""

    def _path(self, key: str) -> Path:
        return self._root / key

    def _stat(self, key: str) -> Stat:
        with _not_found(key):
            result = self._path(key).stat()
        if stat.S_ISDIR(result.st_mode):
            raise KeyNotFound(key)
        return Stat(result.st_size, result.st_mtime)

    def _read(self, key: str) -> bytes:
        with _not_found(key):
            return self._path(key).read_bytes()

    def _write(self, key: str, data: bytes, expected: Expected) -> None:
        path = self._path(key)
        temporary = path.with_name(f"{path.name}.{uuid.uuid4()}{TEMPORARY_SUFFIX}")
        if _differs(path, expected):
            raise Changed(key)  # before a folder is made, which would look like a tag
        with _full():
            above = _make_parents(path)[1:]
            try:
                with temporary.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                self._replace(path, temporary, expected)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            for folder in above:
                _sync_folder(folder)

    def _replace(self, path: Path, temporary: Path, expected: Expected) -> None:
        """Give a written file its name, if what has the name now is what the writer expects."""
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            if _differs(path, expected):
                raise Changed(str(path))
            temporary.replace(path)
            os.fsync(folder)
        finally:
            os.close(folder)

    def _append(self, key: str, offset: int, data: bytes | bytearray | memoryview) -> None:
        path = self._path(key)
        with _full():
            if offset == 0:
                # Nothing of an append is durable, and its own folder need not be; those above it are others' as well.
                _make_folder(path.parent.parent)
                path.parent.mkdir(exist_ok=True)
            with _locked(path, key, create=offset == 0) as handle:
                size = os.fstat(handle).st_size
                if size != offset:
                    raise WrongOffset(size)
                _write_all(handle, data, offset)
                if len(data) >= _LARGE_BYTES:
                    _sync_file_range(handle, offset, len(data), _SYNC_FILE_RANGE_WRITE)

    def _move(self, source: str, target: str, size: int, beside: Mapping[str, bytes]) -> None:
        origin, path = self._path(source), self._path(target)
        small = [(self._path(key), data) for key, data in beside.items()]
        with _full(), _locked(origin, source, create=False) as handle:
            present = os.fstat(handle).st_size
            if present != size:
                raise WrongOffset(present)
            # One wait for the disk serves for all that is on its way there, so everything is written before any sync.
            changed = {folder for one in (path, *(one for one, _ in small)) for folder in _make_parents(one)}
            with _temporaries(small) as temporaries:
                os.fsync(handle)
                for temporary in temporaries:
                    _sync_file(temporary)
                origin.replace(path)
                for temporary, (one, _) in zip(temporaries, small, strict=True):
                    _rename_locked(temporary, one)
            for folder in sorted(changed):
                _sync_folder(folder)

    def _children(self, folder: str) -> list[str]:
        try:
            with os.scandir(self._path(folder)) as entries:
                return sorted(entry.name for entry in entries if not _is_unfinished(entry))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _delete(self, key: str, durable: bool) -> None:
        path = self._path(key)
        with _not_found(key):
            if path.is_dir():
                # A folder goes in one step: half of one would still be found.
                doomed = self._trash / str(uuid.uuid4())
                path.rename(doomed)
                if durable:
                    _sync_folder(path.parent)
                shutil.rmtree(doomed, ignore_errors=True)
            else:
                path.unlink()
                if durable:
                    _sync_folder(path.parent)


@contextmanager
def _locked(path: Path, key: str, *, create: bool) -> Iterator[int]:
    """Open a file that several processes append to, for one of them at a time; raises KeyNotFound."""
    with _not_found(key):
        handle = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with _not_found(key):
            moved_meanwhile = path.stat().st_ino != os.fstat(handle).st_ino
        if moved_meanwhile:
            raise KeyNotFound(key)
        yield handle
    finally:
        os.close(handle)


def _identity(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _differs(path: Path, expected: Expected) -> bool:
    if isinstance(expected, Anything):
        return False
    try:
        return path.read_bytes() != expected
    except FileNotFoundError:
        return expected is not None


def _read_at_once(path: Path) -> bytes | None:
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


def _write_all(handle: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(handle, view, offset)
        view, offset = view[written:], offset + written


def _no_hint(*_: int) -> int:
    return 0


_sync_file_range: Final = getattr(ctypes.CDLL(None), "sync_file_range", _no_hint)
"""Begin to write what was appended to the disk, so that less is left to be waited for at the end; a hint, no more."""
if isinstance(_sync_file_range, ctypes._CFuncPtr):  # noqa: SLF001 - the type has no other name
    _sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]


def _make_folder(folder: Path) -> None:
    """Create a folder and its parents, each synced into the folder above it."""
    for one in _make_missing(folder):
        _sync_folder(one.parent)


def _make_parents(path: Path) -> list[Path]:
    """Create the folders above a file, and return those that are to be synced: its own, and above each new one."""
    return [path.parent, *(one.parent for one in _make_missing(path.parent))]


def _make_missing(folder: Path) -> list[Path]:
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
def _temporaries(files: Sequence[tuple[Path, bytes]]) -> Iterator[list[Path]]:
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


def _rename_locked(temporary: Path, path: Path) -> None:
    """Give a file its name, in no other write's way."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        temporary.replace(path)
    finally:
        os.close(folder)


def _sync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_unfinished(entry: "os.DirEntry[str]") -> bool:
    """Tell an unfinished write from a folder of that name: `v1.tmp` is a good tag, and `app.tmp` a good repository."""
    return entry.name.endswith(TEMPORARY_SUFFIX) and not entry.is_dir()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _not_found(key: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise KeyNotFound(key) from error


@contextmanager
def _full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(str(error)) from error
        raise
