"""Where a body ends: against what a body is made of, and against the framework's own parser."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError, TransferEncodingError
from aiohttp.http_parser import HttpRequestParser
from hypothesis import example, given
from hypothesis import strategies as st

from registry_service.api.framing import BadFraming, Chunked, Length

HEAD = b"PATCH /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def received(framing, pieces):
    """Return what belongs to a body that comes in pieces, and what is left of them."""
    body, pieces = b"", list(pieces)
    while pieces and not framing.ended:
        piece = bytearray(pieces.pop(0))
        kept = framing.unwrap(memoryview(piece))
        body += piece[:kept]
    return body, b"".join(pieces)


def cut(data, places):
    """Return data in pieces."""
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


PLACES = st.lists(st.integers(0, 10_000), max_size=20)


def chunk(data, extension=b"", *, upper=False):
    size = f"{len(data):X}" if upper else f"{len(data):x}"
    return size.encode() + extension + b"\r\n" + data + b"\r\n"


CHUNKS = st.builds(
    lambda data, extension, upper: (data, chunk(data, extension, upper=upper)),
    st.binary(min_size=1, max_size=100),
    st.sampled_from([b"", b";a", b";a=b", b';a="b c"']),
    upper=st.booleans(),
)
ENDS = st.sampled_from([b"0\r\n\r\n", b"000\r\n\r\n", b"0;a=b\r\n\r\n", b"0\r\nTrailer: x\r\nOther: y\r\n\r\n"])


@given(chunks=st.lists(CHUNKS, max_size=8), end=ENDS, rest=st.binary(max_size=20), places=PLACES)
def test_chunks_are_taken_out_of_their_frames(chunks, end, rest, places):
    framing = Chunked()
    data = b"".join(framed for _, framed in chunks) + end + rest
    body, after = received(framing, cut(data, places))
    assert body == b"".join(content for content, _ in chunks)
    assert framing.ended
    assert framing.rest + after == rest


@given(data=st.binary(min_size=1, max_size=100), rest=st.binary(max_size=20), places=PLACES)
def test_a_length_ends_where_it_says(data, rest, places):
    framing = Length(len(data))
    body, after = received(framing, cut(data + rest, places))
    assert (body, framing.ended, framing.rest + after) == (data, True, rest)


@pytest.mark.parametrize("sent", [1, 9])
def test_a_body_that_is_not_whole_has_not_ended(sent):
    framing = Length(10)
    assert received(framing, [b"x" * sent]) == (b"x" * sent, b"")
    assert not framing.ended
    assert framing.room(100) == 10 - sent
    chunked = Chunked()
    assert received(chunked, [b"a\r\n" + b"x" * sent]) == (b"x" * sent, b"")
    assert not chunked.ended


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"g\r\n",
        b"-1\r\nx\r\n",
        b"+1\r\nx\r\n",
        b"0x1\r\nx\r\n",
        b" 1\r\nx\r\n",
        b"1 \r\nx\r\n",
        b"1\nx\r\n",
        b"1\r\nx\n",
        b"1\r\nxy\r\n",
        b"2\r\nxy0\r\n\r\n",
        b"1_0\r\n",
        b"1111111111111111\r\n",
        b"1" * 9000,
        b"1;" + b"a" * 9000 + b"\r\n",
        b"1\r\nx\r\n\r\n",
        b"0\r\nTrailer: x\n\r\n",
        b"0\r\n" + b"a:b\r\n" * 20_000,
        b"0\r\nTrailer\r\n\r\n",
        b"0\r\n a: b\r\n\r\n",
        b"0\r\na: \0\r\n\r\n",
        b"1;" + b"a" * 600 + b"\r\nx\r\n",
    ],
    ids=lambda data: repr(data[:20]),
)
@pytest.mark.parametrize("size", [1, 7, 20_000])
def test_what_is_no_chunk_is_refused(data, size):
    framing = Chunked()
    received(framing, [data[i : i + size] for i in range(0, len(data), size)])
    assert framing.ended
    assert isinstance(framing.error, BadFraming)


def by_the_framework(data):
    """Return the body that the framework's parser sees, None where it refuses."""
    loop = asyncio.new_event_loop()
    try:
        parser = HttpRequestParser(
            BaseProtocol(loop), loop, 1 << 20, max_line_size=8190, max_field_size=8190,
            payload_exception=web.RequestPayloadError,
        )  # fmt: skip
        try:
            messages, _, _ = parser.feed_data(HEAD + data)
        except (HttpProcessingError, TransferEncodingError):
            return None
        payload = messages[0][1]
        if payload.exception() is not None or not payload.is_eof():
            return None
        return b"".join(payload._buffer)
    finally:
        loop.close()


ALPHABET = st.sampled_from(
    [b"0", b"1", b"2", b"a", b"\r\n", b"\r", b"\n", b";", b" ", b"x", b"\0", b":", b"1\r\nx\r\n"]
)


@given(parts=st.lists(ALPHABET, max_size=12))
@example(parts=[b"1\r\nx\r\n", b"0", b"\r\n", b"\r\n"])
def test_no_body_ends_where_the_framework_sees_another_one(parts):
    """Two who disagree about the end of a body disagree about who has sent the next request."""
    framing, data = Chunked(), b"".join(parts)
    body, after = received(framing, [data])
    if framing.ended and framing.error is None:
        whole = data[: len(data) - len(framing.rest) - len(after)]
        theirs = by_the_framework(whole)
        assert theirs is None or theirs == body
