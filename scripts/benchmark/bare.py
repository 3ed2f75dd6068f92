"""The cheapest server that skopeo takes for a registry: it looks at nothing, and sends files by `sendfile`.

What is pushed it makes durable and no more, each blob by a sync of its file and one of the folder. No registry that
keeps what it has confirmed can be faster, so what skopeo needs against this one is its own time and the disk's.
"""

import itertools
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from scripts.benchmark.content import MANIFEST_TYPE

_PIECE_BYTES: Final = 1 << 20
_HEAD_END: Final = b"\r\n\r\n"
_LAST_CHUNK: Final = b"\r\n0\r\n\r\n"
_TLS: Final = b"\x16"
"""The first byte of a client that would rather speak TLS: it turns to HTTP when it is refused."""
_UPLOAD: Final = "Location: /v2/bench/blobs/uploads/"
_NUMBERS: Final = itertools.count(1)


@contextmanager
def bare_registry(kept: Path, layout: Path | None = None) -> Iterator[str]:
    """Answer pushes, whose bytes go to the folder `kept`, and pulls of the image of an OCI layout; yields the URL."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        threading.Thread(target=_accept, args=(listener, kept, layout), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, kept: Path, layout: Path | None) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_serve, args=(connection, kept, layout), daemon=True).start()


def _serve(connection: socket.socket, kept: Path, layout: Path | None) -> None:
    received = b""
    with connection:
        while True:
            while _HEAD_END not in received:
                piece = connection.recv(_PIECE_BYTES)
                if not piece or (received + piece).startswith(_TLS):
                    return
                received += piece
            head, _, received = received.partition(_HEAD_END)
            lines = head.decode("latin-1").lower().split("\r\n")
            method, path = lines[0].split(" ")[:2]
            if method in ("patch", "put"):
                received = _keep_body(connection, lines, received, kept / path.partition("?")[0].rpartition("/")[2])
            if method in ("get", "head") and path != "/v2/":
                _send_blob(connection, _file(layout, path), whole=method == "get")
            else:
                if method == "put":
                    _make_durable(kept, path)
                connection.sendall(_answer(method, path))


def _keep_body(connection: socket.socket, lines: list[str], received: bytes, kept: Path) -> bytes:
    """Add the body of a request to a file, chunks as they come, and return what came behind it."""
    with kept.open("ab", buffering=0) as file:
        if "transfer-encoding: chunked" in lines:
            file.write(received)
            tail = b"\r\n" + received
            while not tail.endswith(_LAST_CHUNK):
                piece = connection.recv(_PIECE_BYTES)
                file.write(piece)
                tail = tail[-len(_LAST_CHUNK) :] + piece
            return b""
        length = next((int(line.split(":")[1]) for line in lines if line.startswith("content-length:")), 0)
        file.write(received[:length])
        missing = length - len(received)
        while missing > 0:
            piece = connection.recv(min(missing, _PIECE_BYTES))
            file.write(piece)
            missing -= len(piece)
        return received[length:]


def _make_durable(kept: Path, path: str) -> None:
    """Sync what a request has closed, give it a name, and sync the folder."""
    address, _, digest = path.partition("?digest=")
    upload = kept / address.rpartition("/")[2]
    _sync(upload)
    upload.replace(kept / (digest.replace("%3a", "-") or "manifest"))
    _sync(kept)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _answer(method: str, path: str) -> bytes:
    if method == "get":
        return _head("200 OK")
    if method == "put":
        digest = path.rpartition("digest=")[2].replace("%3a", ":")
        return _head("201 Created", "Location: /", *([f"Docker-Content-Digest: {digest}"] if "digest=" in path else []))
    return _head("202 Accepted", f"{_UPLOAD}{next(_NUMBERS) if method == 'post' else path.rpartition('/')[2]}")


def _head(status: str, *lines: str, size: int = 0) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, f"Content-Length: {size}", "", ""]).encode()


def _file(layout: Path | None, path: str) -> Path | None:
    """Return the file that a path asks for, None when there is no such thing."""
    if layout is None:
        return None
    name = path.rpartition("/")[2].replace("%3a", ":").rpartition(":")[2]
    if name == "latest":
        name = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"].partition(":")[2]
    return layout / "blobs/sha256" / name


def _send_blob(connection: socket.socket, file: Path | None, *, whole: bool) -> None:
    if file is None or not file.exists():
        connection.sendall(_head("404 Not Found"))
        return
    size = file.stat().st_size
    connection.sendall(_head("200 OK", f"Content-Type: {MANIFEST_TYPE}", size=size))
    with file.open("rb") as source:
        sent = 0 if whole else size
        while sent < size:
            sent += os.sendfile(connection.fileno(), source.fileno(), sent, size - sent)
