"""Bytes in files below one folder, durable and atomic.

A whole write goes to a temporary name in the same folder, is synced, renamed, and then the folder is synced: after a
power cut there is the old file or the new one. Folders made on the way are synced into their parents as well; all of
them last, for one wait for the disk serves for everything that is on its way there.
"""

import asyncio
import fcntl
import os
import shutil
import stat
import threading
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import aiofiles

from registry_service.storage.driver import (
    ANYTHING,
    Changed,
    Expected,
    KeyNotFound,
    Mark,
    Stat,
    WrongOffset,
)
from registry_service.storage.files import (
    TEMPORARY_SUFFIX,
    begin_writing,
    differs,
    full,
    identity,
    is_unfinished,
    make_folder,
    make_parents,
    not_found,
    read_at_once,
    rename_locked,
    settled_mark,
    sync_file,
    sync_folder,
    temporaries,
    write_all,
)

_REMEMBERED_NAMES: Final = 100_000
_TRASH: Final = ".trash"
STREAM_BYTES: Final = 1 << 20


class FilesystemDriver:
    """The folder `root` as a store.

    Each call is one hop to a thread, but for what a local disk answers from memory: a small read that needs no disk
    (RWF_NOWAIT) costs a fraction of a hop. Where the system cannot tell, as on network file systems, every call hops.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)
        self._folders = _Folders()
        self._trash = root / _TRASH
        self._trash.mkdir(exist_ok=True)
        for left_by_a_crash in self._trash.iterdir():
            shutil.rmtree(left_by_a_crash, ignore_errors=True)
        probe = root / f".probe-{uuid.uuid4()}{TEMPORARY_SUFFIX}"
        probe.write_bytes(b"probe")
        self._answers_at_once = read_at_once(probe) == b"probe"
        probe.unlink()

    async def stat(self, key: str) -> Stat:
        """See Driver."""
        if self._answers_at_once:
            return self._stat(key)
        return await asyncio.to_thread(self._stat, key)

    async def read(self, key: str) -> bytes:
        """See Driver."""
        if self._answers_at_once:
            with not_found(key):
                data = read_at_once(self._path(key))
            if data is not None:
                return data
        return await asyncio.to_thread(self._read, key)

    async def stream(self, key: str, start: int, length: int) -> AsyncIterator[bytes]:
        """See Driver."""
        with not_found(key):
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
        known = self._folders.get(folder)
        if known is not None and self.unchanged(known[0]):
            return known[1].copy()
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
            same = found.st_size == known if isinstance(known, int) else read_at_once(Path(path)) == known
        except OSError:
            return None
        return settled_mark(path, found) if same else None

    def unchanged(self, mark: Mark) -> bool:
        """See Driver."""
        path, state = mark
        try:
            return identity(os.stat(path)) == state  # noqa: PTH116
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
        with not_found(key):
            result = self._path(key).stat()
        if stat.S_ISDIR(result.st_mode):
            raise KeyNotFound(key)
        return Stat(result.st_size, result.st_mtime)

    def _read(self, key: str) -> bytes:
        with not_found(key):
            return self._path(key).read_bytes()

    def _write(self, key: str, data: bytes, expected: Expected) -> None:
        path = self._path(key)
        temporary = path.with_name(f"{path.name}.{uuid.uuid4()}{TEMPORARY_SUFFIX}")
        if differs(path, expected):
            raise Changed(key)  # before a folder is made, which would look like a tag
        with full():
            above = make_parents(path)[1:]
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
                sync_folder(folder)

    def _replace(self, path: Path, temporary: Path, expected: Expected) -> None:
        """Give a written file its name, if what has the name now is what the writer expects."""
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            if differs(path, expected):
                raise Changed(str(path))
            temporary.replace(path)
            os.fsync(folder)
        finally:
            os.close(folder)

    def _append(self, key: str, offset: int, data: bytes | bytearray | memoryview) -> None:
        path = self._path(key)
        with full():
            if offset == 0:
                # Nothing of an append is durable, and its own folder need not be; those above it are others' as well.
                make_folder(path.parent.parent)
                path.parent.mkdir(exist_ok=True)
            with _locked(path, key, create=offset == 0) as handle:
                size = os.fstat(handle).st_size
                if size != offset:
                    raise WrongOffset(size)
                write_all(handle, data, offset)
                begin_writing(handle, offset, len(data))

    def _move(self, source: str, target: str, size: int, beside: Mapping[str, bytes]) -> None:
        origin, path = self._path(source), self._path(target)
        small = [(self._path(key), data) for key, data in beside.items()]
        with full(), _locked(origin, source, create=False) as handle:
            present = os.fstat(handle).st_size
            if present != size:
                raise WrongOffset(present)
            # One wait for the disk serves for all that is on its way there, so everything is written before any sync.
            changed = {folder for one in (path, *(one for one, _ in small)) for folder in make_parents(one)}
            with temporaries(small) as written:
                os.fsync(handle)
                for temporary in written:
                    sync_file(temporary)
                origin.replace(path)
                for temporary, (one, _) in zip(written, small, strict=True):
                    rename_locked(temporary, one)
            for folder in sorted(changed):
                sync_folder(folder)

    def _children(self, folder: str) -> list[str]:
        path = str(self._path(folder))
        try:
            mark = settled_mark(path, os.stat(path)) if self._answers_at_once else None  # noqa: PTH116
            with os.scandir(path) as entries:
                names = sorted(entry.name for entry in entries if not is_unfinished(entry))
        except (FileNotFoundError, NotADirectoryError):
            return []
        if mark is not None:
            self._folders.add(folder, mark, names)
        return names.copy()

    def _delete(self, key: str, durable: bool) -> None:
        path = self._path(key)
        with not_found(key):
            if path.is_dir():
                # A folder goes in one step: half of one would still be found.
                doomed = self._trash / str(uuid.uuid4())
                path.rename(doomed)
                if durable:
                    sync_folder(path.parent)
                shutil.rmtree(doomed, ignore_errors=True)
            else:
                path.unlink()
                if durable:
                    sync_folder(path.parent)


@contextmanager
def _locked(path: Path, key: str, *, create: bool) -> Iterator[int]:
    """Open a file that several processes append to, for one of them at a time; raises KeyNotFound."""
    with not_found(key):
        handle = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with not_found(key):
            moved_meanwhile = path.stat().st_ino != os.fstat(handle).st_ino
        if moved_meanwhile:
            raise KeyNotFound(key)
        yield handle
    finally:
        os.close(handle)


class _Folders:
    """The names in folders last read, within a bound; each is looked at anew before it is believed."""

    def __init__(self) -> None:
        self._items: OrderedDict[str, tuple[Mark, list[str]]] = OrderedDict()
        self._count = 0
        self._lock = threading.Lock()

    def get(self, folder: str) -> tuple[Mark, list[str]] | None:
        return self._items.get(folder)

    def add(self, folder: str, mark: Mark, names: list[str]) -> None:
        with self._lock:
            before = self._items.pop(folder, None)
            self._items[folder] = (mark, names)
            self._count += 1 + len(names) - (1 + len(before[1]) if before is not None else 0)
            while self._count > _REMEMBERED_NAMES:
                _, (_, oldest) = self._items.popitem(last=False)
                self._count -= 1 + len(oldest)
