"""Bytes in files below one folder, durable and atomic.

A whole write goes to a temporary name in the same folder, is synced, renamed, and then the folder is synced: after a
power cut there is the old file or the new one. Folders made on the way are synced into their parents as well. The
links beside a move, if new, are written under their own names, where an empty one counts as missing, and synced with
the folders. Writes that come at the same time are synced together (`writing`).
"""

import asyncio
import errno
import os
import stat
import threading
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Final

import aiofiles

from registry_service.storage.driver import (
    ANYTHING,
    Changed,
    Data,
    Expected,
    KeyNotFound,
    Known,
    Mark,
    Move,
    Stat,
    State,
    WrongOffset,
)
from registry_service.storage.files import (
    TEMPORARY_SUFFIX,
    OpenEnd,
    Written,
    begin_writing,
    check_missing,
    differs,
    full,
    give_name,
    identity,
    is_renamed,
    is_unfinished,
    length_of,
    lock,
    make_folder,
    make_if_missing,
    new_files,
    not_found,
    parents,
    read_at_once,
    remove_folder,
    settled_mark,
    sync_file,
    sync_folder,
    take_place,
    temporaries,
    write_all,
)
from registry_service.storage.writing import Steps, Unsynced, Writer

_MOST_WEIGHT: Final = 200_000
"""What is remembered of folders, in names: some 70 bytes each, so all registries but very large ones have room."""
_FOLDER_WEIGHT: Final = 10
_TRASH: Final = ".trash"
_LARGE_BYTES: Final = 1 << 20
_BEGIN_BYTES: Final = 64 << 10
"""The disk may begin with so much at once: it will be waited for soon."""
STREAM_BYTES: Final = 1 << 20


class FilesystemDriver:
    """The folder `root` as a store.

    Each call is one hop to a thread, but for what a local disk answers from memory: a small read that needs no disk
    (RWF_NOWAIT) costs a fraction of a hop. Where the system cannot tell, as on network file systems, every call hops.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._root_text = f"{root}/"  # what is asked for often takes texts: making a Path costs as much as a stat
        root.mkdir(parents=True, exist_ok=True)
        self._folders = _Folders()
        self._writer = Writer(root)
        self._appender = Writer(root)
        """For what need not be durable, and so shall not wait for what must be."""
        self._trash = root / _TRASH
        self._trash.mkdir(exist_ok=True)
        for left_by_a_crash in self._trash.iterdir():
            remove_folder(left_by_a_crash)
        probe = root / f".probe-{uuid.uuid4()}{TEMPORARY_SUFFIX}"
        probe.write_bytes(b"probe")
        self._answers_at_once = read_at_once(str(probe)) == b"probe"
        probe.unlink()

    async def stat(self, key: str) -> Stat:
        """See Driver."""
        if self._answers_at_once:
            return self._stat(key)
        await asyncio.sleep(0)
        return await asyncio.to_thread(self._stat, key)

    async def read(self, key: str) -> bytes:
        """See Driver."""
        if self._answers_at_once:
            with not_found(key):
                data = read_at_once(self._root_text + key)
            if data is not None:
                return data
        await asyncio.sleep(0)
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
        await self._writer.run(partial(self._write, key, data, expected))

    async def append(self, key: str, offset: int, data: Data, *, expected: State | None = None) -> State:
        """See Driver."""
        if length_of(data) >= _LARGE_BYTES:
            return await asyncio.to_thread(self._append, key, offset, data, expected, wait=True)
        states: list[State] = []
        await self._appender.run(partial(self._append_beside, key, offset, data, expected, states))
        return states[-1]

    @contextmanager
    def appending(self, key: str, offset: int, *, expected: State | None = None) -> Iterator[OpenEnd]:
        """See Driver."""
        with full(), self._open_end(key, offset, wait=True) as handle:
            _check_state(handle, key, expected)
            end = OpenEnd(handle, offset)
            yield end
            end.leave()

    async def move(self, move: Move) -> None:
        """See Driver."""
        if move.size >= _LARGE_BYTES:
            await asyncio.to_thread(self._sync, move.source)  # which takes long, so small writes do not wait for it
        await self._writer.run(partial(self._move, move))

    async def children(self, folder: str) -> list[str]:
        """See Driver."""
        return list((await self.listings([folder]))[0])

    async def listings(self, folders: Sequence[str]) -> list[tuple[str, ...]]:
        """See Driver."""
        found = [self._remembered(folder) for folder in folders]
        names = [one for one in found if one is not None]
        return names if len(names) == len(found) else await asyncio.to_thread(self._listings, folders, found)

    async def delete(self, key: str, *, durable: bool = True) -> None:
        """See Driver."""
        await asyncio.to_thread(self._delete, key, durable)

    def mark(self, key: str, known: Known) -> Mark | None:
        """See Driver."""
        if isinstance(known, tuple):
            listed = self._folders.get(key)
            return listed[0] if listed is not None and listed[1] == known and self.unchanged(listed[0]) else None
        path = self._root_text + key
        if not self._answers_at_once:
            return None
        try:
            found = os.stat(path)  # noqa: PTH116 - the path of a mark is a string, for it is looked at often
            same = found.st_size == known if isinstance(known, int) else read_at_once(path) == known
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
        self._writer.close()
        self._appender.close()

    def _path(self, key: str) -> Path:
        return self._root / key

    def _stat(self, key: str) -> Stat:
        with not_found(key):
            result = os.stat(self._root_text + key)  # noqa: PTH116 - asked for often
        if stat.S_ISDIR(result.st_mode):
            raise KeyNotFound(key)
        return Stat(result.st_size, result.st_mtime, identity(result))

    def _read(self, key: str) -> bytes:
        with not_found(key):
            return self._path(key).read_bytes()

    def _write(self, key: str, data: bytes, expected: Expected) -> Steps:
        path = self._path(key)
        if differs(path, expected):
            raise Changed(key)  # before a folder is made, which would look like a tag
        with full(), parents(path) as changed:
            with temporaries([(path, data)]) as [written]:
                yield Unsynced(files=[written.handle])
                give_name(written, expected)
            yield Unsynced(folders=changed)

    def _append_beside(self, key: str, offset: int, data: Data, expected: State | None, states: list[State]) -> Steps:
        states.append(self._append(key, offset, data, expected, wait=False))
        yield from ()

    def _append(self, key: str, offset: int, data: Data, expected: State | None, *, wait: bool) -> State:
        with full(), self._open_end(key, offset, wait=wait) as handle:
            _check_state(handle, key, expected)
            write_all(handle, data, offset)
            if (length := length_of(data)) >= _BEGIN_BYTES:
                begin_writing(handle, offset, length)
            return identity(os.fstat(handle))

    @contextmanager
    def _open_end(self, key: str, offset: int, *, wait: bool) -> Iterator[int]:
        """Open a file that ends at an offset, in nobody's way; one that begins is made."""
        path = self._path(key)
        if offset == 0 and not path.parent.is_dir():
            # Nothing of an append is durable, and its own folder need not be; those above it are others' as well.
            make_folder(path.parent.parent)
            path.parent.mkdir(exist_ok=True)
        with _locked(path, key, create=offset == 0, wait=wait) as handle:
            _check_size(handle, offset)
            yield handle

    def _sync(self, key: str) -> None:
        with not_found(key), full():
            sync_file(self._path(key))

    def _move(self, move: Move) -> Steps:
        target = self._path(move.target)
        small = [(self._path(key), data) for key, data in move.beside.items()]
        with full(), self._source(move, target) as source, parents(target, *(one for one, _ in small)) as changed:
            whole = temporaries([(target, move.tail)]) if source is None else nullcontext([source])
            with whole as [large], new_files(small) as beside:
                replacing = [one for one in beside if one.path != one.target]
                files = [one.handle for one in ([large, *replacing] if source is None else replacing)]
                yield Unsynced(files=files, earlier=() if source is None else (source.handle,))
                if source is None:
                    large.path.replace(target)
                else:
                    with not_found(move.source):
                        take_place(source)
                for one in replacing:
                    give_name(one)
                # Those that are new have their names already, and nobody believes them while they are empty.
                yield Unsynced(files=[one.handle for one in beside if one not in replacing], folders=changed)
        found = [is_renamed(self._path(before), self._path(after)) for before, after in move.renamed.items()]
        for key, data in move.hints.items():
            make_if_missing(self._path(key), data)
        found += [self._is_removed(key) for key in move.leaves]
        if found and not any(found):
            raise KeyNotFound(move.source)

    @contextmanager
    def _source(self, move: Move, target: Path) -> Iterator[Written | None]:
        """Open the file that is to be moved, with all of its bytes, in nobody's way; None where the tail is all."""
        origin, offset = self._path(move.source), move.size - len(move.tail)
        if offset == 0 and move.tail:
            check_missing(origin)
            yield None
            return
        with _locked(origin, move.source, create=False, wait=False) as handle:
            _check_size(handle, offset)
            _check_state(handle, move.source, move.state)
            write_all(handle, move.tail, offset)
            yield Written(handle, origin, target)

    def _is_removed(self, key: str) -> bool:
        """Remove a key or folder that need not be there; return whether it was."""
        try:
            self._delete(key, durable=False)
        except KeyNotFound:
            return False
        return True

    def _remembered(self, folder: str) -> tuple[str, ...] | None:
        """Return the names in a folder, if it is as it was when it was last read."""
        known = self._folders.get(folder)
        return known[1] if known is not None and self.unchanged(known[0]) else None

    def _listings(self, folders: Sequence[str], found: Sequence[tuple[str, ...] | None]) -> list[tuple[str, ...]]:
        pairs = zip(folders, found, strict=True)
        return [self._names(folder) if names is None else names for folder, names in pairs]

    def _names(self, folder: str) -> tuple[str, ...]:
        path = self._root_text + folder
        try:
            mark = settled_mark(path, os.stat(path)) if self._answers_at_once else None  # noqa: PTH116
            with os.scandir(path) as entries:
                names = tuple(sorted(entry.name for entry in entries if not is_unfinished(entry)))
        except (FileNotFoundError, NotADirectoryError):
            return ()
        if mark is not None:
            self._folders.add(folder, mark, names)
        return names

    def _delete(self, key: str, durable: bool) -> None:
        path = self._path(key)
        with not_found(key):
            try:
                path.unlink()
            except IsADirectoryError:
                self._delete_folder(path)
        if durable:
            sync_folder(path.parent)

    def _delete_folder(self, path: Path) -> None:
        """Remove a folder in one step: half of one would still be found."""
        try:
            path.rmdir()
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
            doomed = self._trash / str(uuid.uuid4())
            path.rename(doomed)
            remove_folder(doomed)


def _check_state(handle: int, key: str, expected: State | None) -> None:
    if expected is not None and identity(os.fstat(handle)) != expected:
        raise Changed(key)


def _check_size(handle: int, size: int) -> None:
    present = os.fstat(handle).st_size
    if present != size:
        raise WrongOffset(present)


@contextmanager
def _locked(path: Path, key: str, *, create: bool, wait: bool) -> Iterator[int]:
    """Open a file that several processes append to, for one of them at a time; raises KeyNotFound or InUse."""
    with not_found(key):
        handle = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o666)
    try:
        lock(handle, wait=wait)
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
        self._items: OrderedDict[str, tuple[Mark, tuple[str, ...]]] = OrderedDict()
        self._weight = 0
        self._lock = threading.Lock()

    def get(self, folder: str) -> tuple[Mark, tuple[str, ...]] | None:
        return self._items.get(folder)

    def add(self, folder: str, mark: Mark, names: tuple[str, ...]) -> None:
        with self._lock:
            before = self._items.pop(folder, None)
            self._items[folder] = (mark, names)
            self._weight += len(names) - len(before[1]) if before is not None else _FOLDER_WEIGHT + len(names)
            while self._weight > _MOST_WEIGHT:
                _, (_, oldest) = self._items.popitem(last=False)
                self._weight -= _FOLDER_WEIGHT + len(oldest)
