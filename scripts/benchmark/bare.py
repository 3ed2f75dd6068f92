"""The cheapest server that skopeo takes for a registry: it throws away what is pushed, and sends files by `sendfile`.

No registry can be faster, so what skopeo needs against this one is its own time.
"""

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
_UPLOAD: Final = "Location: /v2/bench/blobs/uploads/1"


@contextmanager
def bare_registry(layout: Path | None = None) -> Iterator[str]:
    """Answer pushes, and pulls of the image of an OCI layout where one is given; yields the URL."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        threading.Thread(target=_accept, args=(listener, layout), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, layout: Path | None) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_serve, args=(connection, layout), daemon=True).start()


def _serve(connection: socket.socket, layout: Path | None) -> None:
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
            received = _drop_body(connection, lines, received)
            method, path = lines[0].split(" ")[:2]
            if method in ("get", "head") and path != "/v2/":
                _send_blob(connection, _file(layout, path), whole=method == "get")
            else:
                connection.sendall(_answer(method, path))


def _drop_body(connection: socket.socket, lines: list[str], received: bytes) -> bytes:
    """Receive the body of a request, and return what came behind it."""
    if "transfer-encoding: chunked" in lines:
        tail = b"\r\n" + received
        while not tail.endswith(_LAST_CHUNK):
            tail = tail[-len(_LAST_CHUNK) :] + connection.recv(_PIECE_BYTES)
        return b""
    length = next((int(line.split(":")[1]) for line in lines if line.startswith("content-length:")), 0)
    missing = length - len(received)
    while missing > 0:
        missing -= len(connection.recv(min(missing, _PIECE_BYTES)))
    return received[length:]


def _answer(method: str, path: str) -> bytes:
    if method == "get":
        return _head("200 OK")
    if method == "put":
        digest = path.rpartition("digest=")[2].replace("%3a", ":")
        return _head("201 Created", "Location: /", *([f"Docker-Content-Digest: {digest}"] if "digest=" in path else []))
    return _head("202 Accepted", _UPLOAD)


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
