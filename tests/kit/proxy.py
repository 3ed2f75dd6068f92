"""A proxy of TCP connections that cuts the line once, as a bad network does."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PIECE = 64 << 10


class CuttingProxy(socketserver.ThreadingTCPServer):
    """Cuts the first connection that has carried `after` bytes, to and fro, and no other."""

    daemon_threads = False

    def __init__(self, target_port: int, after: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.target_port = target_port
        self.after = after
        self.cuts = 0
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"localhost:{self.server_address[1]}"

    def must_cut(self, carried: int) -> bool:
        """Return whether a connection is to be cut now, and count it."""
        with self._lock:
            if self.cuts or carried < self.after:
                return False
            self.cuts += 1
            return True


class _Connection(socketserver.BaseRequestHandler):
    server: CuttingProxy

    def handle(self) -> None:
        self.carried = 0
        with socket.create_connection(("127.0.0.1", self.server.target_port)) as upstream:
            asking = threading.Thread(target=self._carry, args=(self.request, upstream))
            asking.start()
            self._carry(upstream, self.request)
            asking.join()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        for piece in _pieces(source):
            if not _sent(target, piece):
                break
            self.carried += len(piece)
            if self.server.must_cut(self.carried):
                _shut(source, socket.SHUT_RDWR)
                _shut(target, socket.SHUT_RDWR)
                return
        _shut(source, socket.SHUT_RD)
        _shut(target, socket.SHUT_WR)


@contextmanager
def cutting_proxy(target: str, *, after: int) -> Iterator[CuttingProxy]:
    """Serve as a proxy of `target`, a host:port of this machine."""
    with CuttingProxy(int(target.rpartition(":")[2]), after) as proxy:
        serving = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            serving.join()


def _pieces(source: socket.socket) -> Iterator[bytes]:
    try:
        while piece := source.recv(PIECE):
            yield piece
    except OSError:
        return  # the other end has gone


def _sent(target: socket.socket, piece: bytes) -> bool:
    try:
        target.sendall(piece)
    except OSError:
        return False
    return True


def _shut(end: socket.socket, how: int) -> None:
    try:
        end.shutdown(how)
    except OSError:
        return  # the other end has gone
