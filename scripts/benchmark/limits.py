"""What the machine itself can do, without a registry: the numbers that the best registry could reach."""

import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PIECE_BYTES: Final = 1 << 20
_HEAD_BYTES: Final = 1 << 16


def hash_and_store(files: Sequence[Path], folder: Path) -> float:
    """Read, hash, write and sync files beside each other, and return bytes a second: an upload without a network."""
    folder.mkdir(exist_ok=True)
    began = time.perf_counter()
    with ThreadPoolExecutor(len(files)) as pool:
        sizes = list(pool.map(lambda file: _store(file, folder), files))
    seconds = time.perf_counter() - began
    for file in files:
        (folder / file.name).unlink()
    return sum(sizes) / seconds


def _store(file: Path, folder: Path) -> int:
    digest, size = hashlib.sha256(), 0
    temporary = folder / f"{file.name}.part"
    piece = bytearray(_PIECE_BYTES)
    with file.open("rb", buffering=0) as source, temporary.open("wb", buffering=0) as target:
        while count := source.readinto(piece):
            digest.update(memoryview(piece)[:count])
            target.write(memoryview(piece)[:count])
            size += count
        os.fsync(target.fileno())
    temporary.rename(folder / file.name)
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    return size


def small_syncs(folder: Path, seconds: float) -> float:
    """Write and sync files of 1 KiB and their folder one after another, and return how many a second."""
    folder.mkdir(exist_ok=True)
    return _per_second(lambda i: _write_small(folder / str(i % 1000)), seconds)


def _write_small(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        file.write(bytes(1024))
        os.fsync(file.fileno())


def _per_second(one: Callable[[int], object], seconds: float) -> float:
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        one(count)
        count += 1
    return count / (time.perf_counter() - began)


@contextmanager
def sendfile_server(file: Path) -> Iterator[str]:
    """Answer every request with a file by sendfile, a thread for each connection; yields the URL."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        threading.Thread(target=_accept, args=(listener, file), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, file: Path) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_send, args=(connection, file), daemon=True).start()


def _send(connection: socket.socket, file: Path) -> None:
    size = file.stat().st_size
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()
    with connection, file.open("rb") as source:
        while connection.recv(_HEAD_BYTES):
            connection.sendall(head)
            sent = 0
            while sent < size:
                sent += os.sendfile(connection.fileno(), source.fileno(), sent, size - sent)
