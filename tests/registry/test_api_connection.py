"""Bodies on real connections: what reads them, where they end, and what comes behind them."""

import asyncio
import dataclasses
import errno
import os

import pytest

from registry_service import receiving
from registry_service.api import bodies, connection, interruptions
from registry_service.api.connection import outline
from registry_service.api.requests import Parts
from registry_service.app import running
from registry_service.config import HTTP
from tests.kit.content import blob

NAME = "team/app"
LARGE = 5_000_000
PING = b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNK_BYTES = 32 << 10


def head(method="PATCH", *lines):
    return "\r\n".join([f"{method} /v2/a/blobs/uploads/ HTTP/1.1", "Host: x", *lines, "", ""]).encode()


@pytest.mark.parametrize(
    ("data", "missing", "framing"),
    [
        (head("GET"), 0, None),
        (head("DELETE"), 0, None),
        (head("GET") + b"GET", -3, None),
        (head("POST", "Content-Length: 0"), 0, None),
        (head("PUT", "Content-Length: 5") + b"abc", 2, None),
        (head("PUT", "Content-Length: 5") + b"abcde", 0, None),
        (head("PUT", "Content-Length: 5") + b"abcdef", -1, None),
        (head("PUT", "content-LENGTH:  200000 "), 200_000, "Length"),
        (head("PUT", "Content-Length: 200000") + b"x" * 200_000, 0, None),
        (head("PATCH", "Transfer-Encoding: chunked") + b"0\r\n\r\n", None, "Chunked"),
        (head("PATCH", "transfer-encoding:CHUNKED"), None, "Chunked"),
    ],
)
def test_the_outline_of_a_request(data, missing, framing):
    found = outline(data)
    assert data[: found.head].endswith(b"\r\n\r\n")
    assert (found.missing, found.framing and type(found.framing).__name__) == (missing, framing)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        head()[:-2],
        head("PUT", "Content-Length: 5", "Content-Length: 5") + b"abcde",
        head("PUT", "Content-Length: 5", "Transfer-Encoding: chunked"),
        head("PUT", "Content-Length: +5"),
        head("PUT", "Content-Length: 5, 5"),
        head("PUT", "Content-Length: -1"),
        head("PUT", "Content-Length: 1_0"),
        head("PUT", f"Content-Length: {'9' * 19}"),
        head("PUT", "Transfer-Encoding: gzip, chunked"),
        head("PUT", "Transfer-Encoding : chunked"),
        head("PUT", "Transfer_Encoding: chunked"),
        head("PUT", "X: y", " Content-Length: 5"),
        head("GET", "Upgrade: websocket"),
        head("PUT", "Content-Length: 200000").replace(b"1.1", b"1.0"),
        head("PUT", "Content-Length: 200000").replace(b"Host: x\r\n", b"Host: x\n"),
        head("PUT", "X: \0", "Content-Length: 200000"),
        b"\r\n" + head(),
        head("CONNECT", "Content-Length: 5") + b"abcde",
        head("CONNECT"),
        head("OPTIONS", "Content-Length: 5") + b"abcde",
        head("PUT", "Expect: something", "Content-Length: 200000"),
        head("PUT", "Content-Length: \x0b5"),
    ],
    ids=repr,
)
def test_what_is_not_certain_is_the_frameworks(data):
    assert outline(data) is None


@pytest.fixture
def config(config):
    return dataclasses.replace(config, http=HTTP(addr="127.0.0.1:0"))


@pytest.fixture
async def address(parts: Parts):
    async with running(parts) as url:
        yield url.removeprefix("http://").split(":")


@pytest.fixture
def turns(monkeypatch):
    """Collect how many bytes each turn takes."""
    taken, original = [], receiving.Turn.take

    async def take(turn, *arguments):
        state = await original(turn, *arguments)
        taken.append(turn.taken)
        return state

    monkeypatch.setattr(receiving.Turn, "take", take)
    return taken


class Client:
    """A connection to the registry, over which one writes and reads as one likes."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def send(self, *pieces, pause=0.0):
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            if pause:
                await asyncio.sleep(pause)

    async def answer(self):
        """Return status and headers of an answer, whose body is read."""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
        await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(lines[0].split()[1]), headers

    async def begin(self):
        """Open an upload, and return its path."""
        await self.send(head("POST", "Content-Length: 0").replace(b"/a/", f"/{NAME}/".encode()))
        status, headers = await self.answer()
        assert status == 202
        return headers["location"]


@pytest.fixture
async def client(address):
    reader, writer = await asyncio.open_connection(*address, limit=1 << 20)
    async with asyncio.timeout(20):
        yield Client(reader, writer)
    writer.close()


def request(method, path, *lines):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


def chunks(body, size=CHUNK_BYTES):
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    return [f"{len(one):x}\r\n".encode() + one + b"\r\n" for one in pieces]


def framed(body, how):
    """Return the header that says how a body is marked off, and its pieces."""
    if how == "length":
        return f"Content-Length: {len(body)}", [body]
    return "Transfer-Encoding: chunked", [*chunks(body), b"0\r\n\r\n"]


FRAMINGS = pytest.mark.parametrize("how", ["length", "chunked"])


@FRAMINGS
@pytest.mark.parametrize("size", [1, 100_000, 200_000, (1 << 20) + 1, LARGE])
async def test_what_comes_behind_a_body_is_the_next_request(client, turns, how, size):
    content = blob(size)
    for _ in range(2):
        line, pieces = framed(content.body, how)
        place = await client.begin()
        await client.send(request("PUT", f"{place}?digest={content.digest}", line), *pieces, PING)
        assert [(await client.answer())[0] for _ in range(2)] == [201, 200]
    await client.send(request("PUT", "/v2/", "Content-Length: 3"), b"abc", PING, PING)
    assert [(await client.answer())[0] for _ in range(3)] == [405, 200, 200]
    in_turns = {1: [0], 100_000: [0], 200_000: [0, 1, 2]}.get(size, [2])  # of 200,000 bytes all may come at once
    assert sum(turns) in [size * bodies for bodies in in_turns]


@FRAMINGS
async def test_a_large_upload_may_come_in_several_requests(client, turns, how):
    content = blob(3 * LARGE)
    place = await client.begin()
    for start in range(0, len(content.body), LARGE):
        line, pieces = framed(content.body[start : start + LARGE], how)
        await client.send(request("PATCH", place, line), *pieces)
        assert (await client.answer())[1]["range"] == f"0-{start + LARGE - 1}"
    await client.send(request("PUT", f"{place}?digest={content.digest}", "Content-Length: 0"))
    assert (await client.answer())[0] == 201
    assert sum(turns) > 2 * LARGE


@FRAMINGS
async def test_a_client_on_a_slow_line_is_waited_for(client, turns, how):
    content = blob(1_300_000)
    line, pieces = framed(content.body, how)
    data = b"".join(pieces)
    place = await client.begin()
    steps = [data[i : i + 20_000] for i in range(1_100_000, len(data), 20_000)]
    await client.send(request("PUT", f"{place}?digest={content.digest}", line), data[:1_100_000])
    await client.send(*steps, pause=0.02)
    assert (await client.answer())[0] == 201
    assert len(turns) > 3


@pytest.mark.parametrize("size", [250, 400])
async def test_a_head_may_come_in_pieces(client, turns, size):
    content = blob(LARGE)
    place = await client.begin()
    head = request("PUT", f"{place}?digest={content.digest}", f"Content-Length: {LARGE}", f"X: {'x' * 500}")
    await client.send(*(head[i : i + size] for i in range(0, len(head), size)), pause=0.001)
    await client.send(content.body, PING[:25], PING[25:], pause=0.01)
    assert [(await client.answer())[0] for _ in range(2)] == [201, 200]
    assert sum(turns) > 0


async def test_what_looks_like_a_request_within_a_head_is_none(client):
    for _ in range(3):
        await client.send(PING)
        assert (await client.answer())[0] == 200
    await client.send(b"GET /v2/missing/tags/list HTTP/1.1\r\nX: ", PING, pause=0.05)
    assert (await client.answer())[0] == 404


async def test_a_head_that_does_not_end_ends_the_connection(client, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.1)
    await client.send(PING[:-2])
    assert await client.reader.read() == b""


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\nHost: x\n\n", b"HELLO\r\n"])
async def test_what_is_no_request_is_refused_at_once(client, data):
    await client.send(data)
    assert (await client.reader.readline()).split()[1] == b"400"


@pytest.mark.parametrize(("how", "size"), [("length", LARGE), ("length", 10), ("chunked", 10_000)])
async def test_a_body_that_nobody_wants_does_not_end_the_connection(client, how, size):
    line, pieces = framed(bytes(size), how)
    await client.send(request("PATCH", f"/v2/{NAME}/blobs/uploads/no", line), *pieces, PING)
    assert [(await client.answer())[0] for _ in range(2)] == [404, 200]


async def test_the_end_of_many_chunks_that_nobody_wants_is_not_looked_for(client):
    await client.send(request("PATCH", f"/v2/{NAME}/blobs/uploads/no", "Transfer-Encoding: chunked"))
    assert (await client.answer())[0] == 404
    with pytest.raises(ConnectionError):
        await client.send(*chunks(bytes(2_000_000)), pause=0.1)


@FRAMINGS
async def test_where_no_file_can_be_opened_the_loop_reads_on(client, turns, monkeypatch, how):
    def fail(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(bodies, "SocketSource", fail)
    content = blob(LARGE)
    line, pieces = framed(content.body, how)
    place = await client.begin()
    await client.send(request("PUT", f"{place}?digest={content.digest}", line), *pieces, PING)
    assert [(await client.answer())[0] for _ in range(2)] == [201, 200]
    assert turns == []


async def test_an_expectation_of_another_kind_is_refused_at_once(client):
    line = "Transfer-Encoding: chunked"
    await client.send(request("PUT", "/nothing", "Expect: something", line), *chunks(bytes(100)), b"0\r\n\r\n", PING)
    assert [(await client.answer())[0] for _ in range(2)] == [417, 200]


async def test_nobody_is_given_what_another_has_asked(address, client, parts, monkeypatch):
    """While something is answered the framework reads on, and only its parser knows where a request begins."""
    content, get = blob(b"of somebody else"), parts.uploads.get
    place = await client.begin()
    await client.send(request("PUT", f"{place}?digest={content.digest}", "Content-Length: 16"), content.body)
    assert (await client.answer())[0] == 201
    await asyncio.sleep(0.1)  # what has just changed is not remembered

    async def slow(*arguments):
        await asyncio.sleep(0.2)
        return await get(*arguments)

    monkeypatch.setattr(parts.uploads, "get", slow)
    mine = f"GET /v2/{NAME}/blobs/{content.digest} HTTP/1.1\r\nX: ".encode()
    for _ in range(3):  # what comes again is remembered
        await client.send(request("GET", f"/v2/{NAME}/blobs/uploads/no"))
        await asyncio.sleep(0.05)
        await client.send(request("GET", "/v2/", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + mine)
        assert [(await client.answer())[0] for _ in range(2)] == [404, 200]
        await client.send(PING)
        assert (await client.answer())[1]["docker-content-digest"] == content.digest
    other = Client(*await asyncio.open_connection(*address))
    await other.send(PING)
    assert "docker-content-digest" not in (await other.answer())[1]
    other.writer.close()


async def test_who_sends_little_by_little_leaves_the_threads_to_others(address, client, turns):
    """Each of them has a large body under way, of which a byte comes now and then."""
    slow = [Client(*await asyncio.open_connection(*address)) for _ in range(20)]
    for one in slow:
        place = await one.begin()
        await one.send(request("PATCH", place, f"Content-Length: {LARGE}"), bytes(200_000))

    async def drip(one):
        while True:
            await one.send(b"x", pause=0.001)

    dripping = [asyncio.create_task(drip(one)) for one in slow]
    await asyncio.sleep(0.3)
    before = len(turns)
    content = blob(LARGE)
    place = await client.begin()
    await client.send(request("PUT", f"{place}?digest={content.digest}", f"Content-Length: {LARGE}"), content.body)
    assert (await client.answer())[0] == 201
    assert len(turns) - before < 200
    for one in dripping:
        one.cancel()
    await asyncio.gather(*dripping, return_exceptions=True)
    for one in slow:
        one.writer.close()


@FRAMINGS
async def test_what_breaks_off_while_a_thread_takes_it_is_kept(address, client, how):
    line, pieces = framed(bytes(2 * LARGE), how)
    place = await client.begin()
    _, writer = await asyncio.open_connection(*address)
    writer.write(request("PATCH", place, line) + b"".join(pieces)[:LARGE])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    for _ in range(100):
        await client.send(request("GET", place))
        end = int((await client.answer())[1]["range"].removeprefix("0-")) + 1
        if end > LARGE - 10_000:
            break
        await asyncio.sleep(0.05)
    assert LARGE - 10_000 < end <= LARGE


async def test_a_client_that_falls_silent_while_a_thread_takes_its_body_is_told(client, monkeypatch):
    monkeypatch.setattr(interruptions, "IDLE_SECONDS", 0.1)
    place = await client.begin()
    await client.send(request("PATCH", place, f"Content-Length: {2 * LARGE}"), bytes(LARGE))
    assert (await client.answer())[0] == 408


async def test_chunks_that_cannot_be_read_end_the_connection(client, address):
    place = await client.begin()
    await client.send(request("PATCH", place, "Transfer-Encoding: chunked"), *chunks(bytes(LARGE)), b"xyz\r\n")
    assert (await client.answer())[0] == 400
    assert await client.reader.read() == b""
    reader, writer = await asyncio.open_connection(*address)
    other = Client(reader, writer)
    await other.send(request("GET", place))
    assert (await other.answer())[1]["range"] == f"0-{LARGE - 1}"
    writer.close()


async def test_two_who_add_to_one_upload_do_not_mix(address, client):
    content = blob(LARGE)
    place = await client.begin()
    others = [Client(*await asyncio.open_connection(*address)) for _ in range(3)]
    for one in others:
        await one.send(request("PATCH", place, f"Content-Length: {LARGE}"), content.body)
    answers = [await one.answer() for one in others]
    statuses = sorted(status for status, _ in answers)
    assert statuses[0] == 202
    assert set(statuses) <= {202, 416}
    await client.send(request("GET", place))
    size = int((await client.answer())[1]["range"].removeprefix("0-")) + 1
    assert size == LARGE * statuses.count(202)
    for one in others:
        one.writer.close()
