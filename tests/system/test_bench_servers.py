"""The benchmark's own servers and clients: the cheapest registry, and the client that keeps its connection."""

import http.client
import json
import socket
import threading

import pytest

from scripts.benchmark.bare import bare_registry
from scripts.benchmark.content import write_layout
from scripts.benchmark.kept import answer_seconds
from scripts.benchmark.load import Failed


def connect(url):
    return http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)


def ask(connection, method, path, body=None, **more):
    connection.request(method, path, body, **more)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def test_the_bare_registry_keeps_what_is_pushed_over_one_connection(tmp_path):
    with bare_registry(tmp_path) as url:
        connection = connect(url)
        assert ask(connection, "GET", "/v2/")[0] == 200
        assert ask(connection, "HEAD", "/v2/bench/blobs/sha256:aa")[0] == 404
        status, headers, _ = ask(connection, "POST", "/v2/bench/blobs/uploads/", b"")
        assert status == 202
        pieces = iter([b"x" * 70_000, b"y" * 3_000_000, b"z"])
        assert ask(connection, "PATCH", headers["Location"], pieces, encode_chunked=True)[0] == 202
        status, headers, _ = ask(connection, "PUT", f"{headers['Location']}?digest=sha256%3Aaa", b"")
        assert (status, headers["Docker-Content-Digest"]) == (201, "sha256:aa")
        assert ask(connection, "PUT", "/v2/bench/manifests/latest", b"{}" * 1000)[0] == 201
        connection.close()
    assert b"y" * 10_000 in (tmp_path / "sha256-aa").read_bytes()
    assert (tmp_path / "manifest").read_bytes() == b"{}" * 1000


def test_the_bare_registry_sends_the_image_of_a_layout(tmp_path):
    write_layout(tmp_path / "layout", 2, 3000)
    with bare_registry(tmp_path, tmp_path / "layout") as url:
        connection = connect(url)
        status, headers, body = ask(connection, "GET", "/v2/bench/manifests/latest")
        manifest = json.loads(body)
        assert (status, headers["Content-Type"], len(manifest["layers"])) == (200, manifest["mediaType"], 2)
        for layer in manifest["layers"]:
            path = f"/v2/bench/blobs/{layer['digest']}"
            assert len(ask(connection, "GET", path)[2]) == layer["size"] == 3000
            assert ask(connection, "HEAD", path)[1]["Content-Length"] == "3000"
        assert ask(connection, "GET", f"/v2/bench/blobs/sha256:{'0' * 64}")[0] == 404
        connection.close()


def test_the_bare_registry_refuses_tls_at_once(tmp_path):
    with bare_registry(tmp_path) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(b"\x16\x03\x01 hello")
            assert connection.recv(100) == b""


class Server:
    """Answers each request with the same bytes, and keeps what it was asked."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/list?n=1"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        connection, _ = self.listener.accept()
        with connection:
            while request := connection.recv(1 << 16):
                self.asked.append(request.decode())
                for byte in (self.answer[:-3], self.answer[-3:]):
                    connection.sendall(byte)


@pytest.fixture(params=[b"Content-Length: 4\r\n\r\nbody", b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"])
def server(request):
    server = Server(b"HTTP/1.1 200 OK\r\n" + request.param)
    yield server
    server.listener.close()


@pytest.mark.parametrize("varied", ["", "3-"])
def test_a_kept_connection_asks_again_and_again(server, varied):
    assert answer_seconds(server.url, {"A": "b"}, varied) > 0
    assert len(server.asked) >= 3
    assert all(one.startswith("GET /list?n=1 HTTP/1.1\r\n") and "\r\nA: b\r\n" in one for one in server.asked)
    assert len(set(server.asked)) == (len(server.asked) if varied else 1)


def test_a_refusal_is_no_measurement():
    server = Server(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(Failed, match="answered with"):
        answer_seconds(server.url, {})
    server.listener.close()
