"""What a request asks, read off its bytes: only what the framework is certain to understand in the same way."""

import ast
import asyncio
from pathlib import Path
from time import perf_counter

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser
from aiohttp.streams import EMPTY_PAYLOAD
from hypothesis import example, given
from hypothesis import strategies as st

import registry_service.api
from registry_service.api.questions import BEARING, MOST_BYTES, agent_of, is_head_of, is_whole, question_of

API = Path(registry_service.api.__file__).parent


def head(*fields, start="GET /v2/ HTTP/1.1"):
    """Return a head of lines; a field is one line."""
    return "".join(f"{line}\r\n" for line in (start, *fields, "")).encode("latin-1")


@pytest.mark.parametrize(
    "data",
    [
        head("Host: x"),
        head("host:x"),
        head("Host: x", start="HEAD /v2/a/b/blobs/sha256:00 HTTP/1.1"),
        head("Host: x", start="GET /v2/a__b-c.d/tags/list?n=100&last=v%2F1.~_+ HTTP/1.1"),
        head("Host: [::1]:5000", "Accept: */*", "Accept: a/b;q=0.5, c/d"),
        head("Host: x", "Connection: keep-alive"),
        head("Host: x", "Connection: Keep-Alive "),
        head("Host: x", "Authorization: Bearer a.b.c", "User-Agent: a (b)", "Cookie: a=b", "X: "),
        head("Host: x", "If-None-Match: *", "Range: bytes=0-", 'If-Range: "a"'),
        head("Host: x", *["X: y"] * 127),
        head("Host: x", "X: " + "y" * 8000),
        head("Host: x", "X-Content-Length: 5", "X: content-length: 5", "Hosts: y"),
    ],
)
def test_a_head_that_is_read(data):
    assert question_of(data) is not None
    assert read_by_framework(data) is not None
    assert is_whole(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        head(),
        head("Accept: a"),
        head("Host: x")[:-2],
        head("Host: x") * 2,
        b"\r\n" + head("Host: x"),
        head("Host: x") + b"x",
        head("Host: x").replace(b"\r\n", b"\n"),
        head("Host: x\rX: y"),
        head("Host: x\nX: y"),
        head("Host: x", start="GET /v2/ HTTP/1.0"),
        head("Host: x", start="GET /v2/ HTTP/1.1 "),
        head("Host: x", start="GET  /v2/ HTTP/1.1"),
        head("Host: x", start="get /v2/ HTTP/1.1"),
        head("Host: x", start="PUT /v2/ HTTP/1.1"),
        head("Host: x", start="GET /v2/#a HTTP/1.1"),
        head("Host: x", start="GET /v2/a%2Fb/tags/list HTTP/1.1"),
        head("Host: x", start="GET /v2/?a=%2 HTTP/1.1"),
        head("Host: x", start="GET /v2/?a?b HTTP/1.1"),
        head("Host: x", start="GET /v2/\xe9 HTTP/1.1"),
        head("Host: x", start="GET http://x/v2/ HTTP/1.1"),
        head("Host: x", start="GET v2/ HTTP/1.1"),
        head("Host: x", start="OPTIONS * HTTP/1.1"),
        head("Host: x", "Host: x"),
        head("Host: x", "host: y"),
        head("Host: x", "Range: bytes=0-", "Range: bytes=1-"),
        head("Host: x", "If-None-Match: a", "if-none-match: b"),
        head("Host: x", "If-Range: a", "If-Range: a"),
        head("Host: x", "Authorization: Bearer a", "AUTHORIZATION: Bearer b"),
        head("Host: x", "User-Agent: a", "User-Agent: b"),
        head("Host: x", "Connection: close"),
        head("Host: x", "Connection: "),
        head("Host: x", "Connection: keep-alive, Upgrade"),
        head("Host: x", "Connection: keep-alive", "Connection: close"),
        head("Host: x", "Proxy-Connection: close"),
        head("Host: x", "Expect: 100-continue"),
        head("Host: x", "UPGRADE: websocket"),
        head("Host: x", "Sec-WebSocket-Key1: a"),
        head("Host: x", "content-LENGTH: 0"),
        head("Host: x", "Transfer-Encoding: chunked"),
        head("Host: x", "Content-Encoding: gzip"),
        head("Host: x", "Content-Type: a/b"),
        head("Host: x", "ETag: a"),
        head("Host: x", "Host : x"),
        head("Host: x", "X Y: z"),
        head("Host: x", "X_Y: z"),
        head("Host: x", ": z"),
        head("Host: x", "X"),
        head("Host: x", " folded"),
        head("Host: x", "X: a\tb"),
        head("Host: x", "X: a\x00b"),
        head("Host: x", "X: \xe9"),
        head("Host: x", "X: \x7f"),
        head("Host: x", *["X: y"] * 128),
        head("Host: x", "X: " + "y" * MOST_BYTES),
    ],
)
def test_a_head_that_is_left_to_the_framework(data):
    assert question_of(data) is None


def test_what_bears_on_the_answer_is_the_question():
    said = {
        "Host": ("Host: x", "Host: y"),
        "Accept": ("Accept: a/b", "Accept: c/d"),
        "If-None-Match": ("If-None-Match: a", "If-None-Match: b"),
        "Range": ("Range: bytes=0-1", "Range: "),
        "If-Range": ("If-Range: a", "If-Range: b"),
    }
    assert {name.lower().encode() for name in said} == set(BEARING)
    every = [one for one, _ in said.values()]
    keys = {question_of(head(*every)).key}
    for name, (one, other) in said.items():
        keys.add(question_of(head(*(other if field == one else field for field in every))).key)
        if name != "Host":
            keys.add(question_of(head(*(field for field in every if field != one))).key)
    keys |= {question_of(head(*every, start=f"{start} HTTP/1.1")).key for start in ("HEAD /v2/", "GET /v2/?", "GET /")}
    one, other = "Accept: a", "Accept: b"
    keys |= {question_of(head("Host: x", *more)).key for more in ((one, other), (other, one))}
    keys |= {question_of(head("Host: x", *more)).key for more in (["Accept: a, b"], ["Accept: a"], ["Accept:"], [])}
    assert len(keys) == 1 + 5 + 4 + 3 + 2 + 4


def test_what_does_not_bear_on_the_answer_is_not():
    plain = question_of(head("Host: x", "Accept: a", "Range: b"))
    for other in (
        head("range:b", "ACCEPT:   a  ", "hOST: x "),
        head("Host: x", "User-Agent: a", "Accept: a", "X-Request-Id: 7", "Range: b", "Accept-Encoding: gzip"),
        head("Connection: keep-alive", "Host: x", "Accept: a", "Range: b", "Cookie: a=b", "traceparent: 00"),
    ):
        assert question_of(other) == plain
    named = question_of(head("Host: x", "Accept: a", "Range: b", "authorization:  Bearer a.b "))
    assert named.key == plain.key
    assert (plain.authorization, named.authorization) == (None, "Bearer a.b")


def test_the_program_that_asks():
    assert agent_of(head("Host: x", "user-agent:  a (b)  ")) == "a (b)"
    assert agent_of(head("Host: x", "X-User-Agent: a")) is None


@pytest.mark.parametrize(
    "data",
    [
        b"GET /?" + b"%41" * 2700 + b"\r\n",
        b"GET /" + b"a" * 8100,
        head("Host: x", *["a:" + " " * 60] * 120)[:-2] + b"\x00\r\n",
        head("Host: x", "X:" + " " * 8000 + "\x00"),
        head("Host:" + " " * 8000),
        head(*["Host: x  "] * 120),
    ],
)
def test_no_head_takes_long(data):
    began = perf_counter()
    for _ in range(50):
        question_of(data)
    assert perf_counter() - began < 0.5


def read_by_framework(data):
    """Return the only message in bytes, as a connection of the framework has it; None where there is no such thing."""
    loop = asyncio.new_event_loop()
    try:
        parser = HttpRequestParser(BaseProtocol(loop), loop, 1 << 16, auto_decompress=False)
        messages, upgraded, rest = parser.feed_data(data)
    finally:
        loop.close()
    ((message, payload),) = messages
    whole = payload is EMPTY_PAYLOAD and not (upgraded or rest or message.chunked or message.upgrade)
    return message if whole and not message.should_close and message.compression is None else None


TARGETS = st.lists(st.sampled_from([*"ab01/.:-_~@", "%2F", "?", "&a=b"]), max_size=6).map("".join)
NAMES = st.sampled_from([
    *("Accept", "ACCEPT", "If-None-Match", "range", "If-Range", "Authorization", "User-Agent", "host", "Connection"),
    *("X", "Accept-Encoding", "Keep-Alive", "Cookie", "Date", "TE", "Trailer", "HTTP2-Settings", "X-Forwarded-For"),
])  # fmt: skip
ODD_NAMES = st.sampled_from([
    *("Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Upgrade", "Expect", "ETag", "Server"),
    *("Proxy-Connection", "Sec-WebSocket-Key1", "Max-Forwards", "Content-Range", "Content-Location", "", "a b", "\x00"),
])  # fmt: skip
VALUES = st.sampled_from(["x", "keep-alive", "Keep-Alive", "Bearer a.b", "a/b, */*", 'W/"a"', "bytes=0-1", "", "#%\\"])
ODD_VALUES = st.sampled_from(["0", "chunked", "gzip", "close", "100-continue", "websocket", "upgrade", "\t", "é"])
SPACES = st.sampled_from(["", " ", "   "])
FIELDS = st.builds("{}:{}{}{}\r\n".format, NAMES, SPACES, VALUES, SPACES)
ODD_FIELDS = st.builds("{}{}{}\r\n".format, NAMES | ODD_NAMES, st.sampled_from([":", ": ", " :"]), VALUES | ODD_VALUES)
STRANGE = st.sampled_from([*"\r\n \t\x00\x7f\xe9#:?", "\r\n", "\r\n\r\n", " HTTP/1.0", "GET / HTTP/1.1\r\n"])


@st.composite
def heads(draw):
    """Return the bytes of heads, half of them with something strange somewhere."""
    fields = ["Host: x\r\n", *draw(st.lists(FIELDS, max_size=5))]
    odd = draw(st.booleans())
    if odd:
        fields += draw(st.lists(ODD_FIELDS, max_size=2))
    method, lines = draw(st.sampled_from(["GET", "HEAD"])), "".join(draw(st.permutations(fields)))
    text = f"{method} /{draw(TARGETS)} HTTP/1.1\r\n{lines}\r\n"
    if odd and draw(st.booleans()):
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(STRANGE) + text[place:]
    return text.encode("latin-1")


@example(data=head("Host: "))
@example(data=head("Host: x", "X:", "Accept:", "Accept:  a "))
@given(data=heads())
def test_what_is_read_the_framework_reads_in_the_same_way(data):
    question = question_of(data)
    if question is None:
        return
    message = read_by_framework(data)
    assert message is not None
    start, *values = question.key
    assert start.decode() == f"{message.method} {message.path}"
    for name, value in zip(BEARING, values, strict=True):
        lines = message.headers.getall(name.decode(), [])
        assert (None if value is None else value.decode()) == ("\n".join(lines) if lines else None)
    assert question.authorization == message.headers.get("Authorization")
    assert agent_of(data) == message.headers.get("User-Agent")


HANDLERS_OF_WRITES = {
    ("manifests.py", "put_manifest"): {"Content-Type"},
    ("manifests.py", "_expected"): {"If-Match", "If-None-Match"},
    ("uploads.py", None): {"Content-Range", "Content-Type"},
    ("bodies.py", None): {"Expect", "Transfer-Encoding", "Content-Length"},
    ("requests.py", "body_of"): {"Expect"},
}
"""Where headers are read that no GET or HEAD comes to."""
NOT_OF_THE_ANSWER = {"Authorization", "User-Agent"}
"""Who asks is looked at each time, and by what is told in the log alone (and in events, which go the long way)."""
OF_THE_WHOLE = {("requests.py", "client_of")}
"""Where all headers are handed on: for trusted proxies, with whom nothing goes by meaning."""
READ_OF_A_REQUEST = {
    *("app", "get", "match_info", "method", "path", "query", "raw_path", "rel_url", "headers"),
    "raw_headers",  # compared as a whole with what was heard
    *("host", "scheme", "transport", "protocol"),  # Host is part of a question, the connection is the same
    *("content", "content_length", "can_read_body"),  # there is no body
}


READ_FIELDS = ((b"Host", b"x"), (b"X", b"a b"))


@pytest.mark.parametrize(
    ("raw", "same"),
    [
        (b"GET /a?b HTTP/1.1\r\nHost: x\r\nX:\ta b \r\n\r\n", True),
        (b"HEAD /a?b HTTP/1.1\r\nHost: x\r\nX: a b\r\n\r\n", False),
        (b"GET /a HTTP/1.1\r\nHost: x\r\nX: a b\r\n\r\n", False),
        (b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n", False),
        (b"GET /a?b HTTP/1.1\r\nX: a b\r\nHost: x\r\n\r\n", False),
        (b"GET /a?b HTTP/1.1\r\nHost: y\r\nX: a b\r\n\r\n", False),
        (b"GET /a?b HTTP/1.1\r\nIf-None-Match: *\r\nHost: x\r\nX: a b\r\n\r\n", False),
    ],
)
def test_a_head_is_compared_with_what_the_framework_has_read(raw, same):
    assert is_head_of(raw, "GET", "/a?b", READ_FIELDS) == same


def functions():
    """Return the functions of the API: file, name and body."""
    for path in sorted(API.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path.name, node.name, node


def headers_read(function):
    """Return the names of the headers of the request that a function reads, None for all of them at once."""
    of_request = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and node.attr == "headers" and ast.unparse(node.value) == "request"
    ]
    named = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            named[node.func.value] = node.args[0]
        elif isinstance(node, ast.Subscript):
            named[node.value] = node.slice
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            named[node.comparators[0]] = node.left
    names = [named.get(node) for node in of_request]
    return {name.value if isinstance(name, ast.Constant) else None for name in names}


def test_no_answer_depends_on_a_header_that_is_not_in_the_question():
    """A handler that reads another header adds it to BEARING; where only writes come to it, it is named here."""
    bearing = {name.decode() for name in BEARING} | {name.lower() for name in NOT_OF_THE_ANSWER}
    found = set()
    for file, name, function in functions():
        read = headers_read(function)
        found |= read
        if (file, name) in OF_THE_WHOLE:
            read.discard(None)
        read -= HANDLERS_OF_WRITES.get((file, name), set()) | HANDLERS_OF_WRITES.get((file, None), set())
        assert {one and one.lower() for one in read} <= bearing, f"{file}, {name}: {read}"
    assert {"Accept", "If-None-Match", "Range", "If-Range", "Authorization", "User-Agent", None} <= found


def test_no_answer_depends_on_what_the_framework_makes_of_other_headers():
    """Such as `request.if_modified_since` or `request.cookies`."""
    for file, name, function in functions():
        if (file, None) in HANDLERS_OF_WRITES or (file, name) in HANDLERS_OF_WRITES:
            continue
        read = {
            node.attr
            for node in ast.walk(function)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "request"
        }
        assert read <= READ_OF_A_REQUEST, (file, name)


def test_an_answer_that_looks_at_who_asks_is_not_for_all():
    told = {}
    for _, name, function in functions():
        text = ast.unparse(function)
        if "rests_on(request" in text and name != "rests_on":
            told[name] = ("for_all=True" in text, "for_all=parts.auth is None" in text, "IDENTITY" in text)
    for_all, own = (True, False, False), (False, True, True)
    assert told.pop("get_catalog") == own
    assert told == dict.fromkeys(("ping", "get_manifest", "get_blob", "get_tags"), for_all)
