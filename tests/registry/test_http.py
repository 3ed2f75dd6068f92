"""Ranges, validators and links."""

import re
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_service.api.http import (
    ByteRange,
    UnsatisfiableRange,
    accepts,
    etag,
    etag_matches,
    if_range_holds,
    may_replace,
    next_link,
    parse_content_range,
    parse_range,
    parse_ranges,
    upload_range,
    warning,
)

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-9", ByteRange(0, 10)),
        ("bytes=0-0", ByteRange(0, 1)),
        ("bytes=9-9", ByteRange(9, 10)),
        ("bytes=5-", ByteRange(5, 10)),
        ("bytes=-3", ByteRange(7, 10)),
        ("bytes=-10", ByteRange(0, 10)),
        ("bytes=-11", ByteRange(0, 10)),
        ("bytes=0-999", ByteRange(0, 10)),
        ("Bytes=2-3", ByteRange(2, 4)),
        (" bytes=2-3 ", ByteRange(2, 4)),
        ("bytes= 2 - 3 ", ByteRange(2, 4)),
        ("bytes=002-003", ByteRange(2, 4)),
    ],
)
def test_a_range_is_read(header, expected):
    assert parse_range(header, 10) == expected


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=3-2", "bytes=99999-"])
def test_a_range_without_a_byte_is_unsatisfiable(header):
    with pytest.raises(UnsatisfiableRange):
        parse_range(header, 10)


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-1"])
def test_empty_content_satisfies_no_range(header):
    with pytest.raises(UnsatisfiableRange):
        parse_range(header, 0)


@pytest.mark.parametrize(
    "header",
    [
        "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1", "bytes=1-2,4-5", "bytes=1-2,", "items=0-1", "0-1",
        "bytes 0-1", "bytes=--1", "bytes=+1-2", "bytes=1.5-2", "bytes=0x1-2", "bytes=1-2-3", "bytes=²-",
        "bytes=\u0661-\u0662", f"bytes={'9' * 19}-", f"bytes=0-{'9' * 5000}",
    ],
    ids=lambda header: ascii(header[:20]),
)  # fmt: skip
def test_what_is_no_single_range_of_bytes_is_ignored(header):
    assert parse_range(header, 10) is None


@given(first=st.none() | st.integers(0, 30), last=st.none() | st.integers(0, 30), size=st.integers(0, 20))
def test_a_range_means_what_a_slice_means(first, last, size):
    content = bytes(range(size))
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    if first is None and last is None:
        assert parse_range(header, size) is None
        return
    expected = content[-last:] if first is None and last else content[:0] if first is None else content[first:]
    if first is not None and last is not None:
        expected = content[first : last + 1]
    try:
        part = parse_range(header, size)
    except UnsatisfiableRange:
        assert expected == b""
        return
    assert content[part.start : part.end] == expected != b""
    assert part.length == len(expected)
    assert part.content_range(size) == f"bytes {expected[0]}-{expected[-1]}/{size}"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-1", [(0, 2)]),
        ("bytes=0-1,5-6", [(0, 2), (5, 7)]),
        ("bytes=5-6, 0-1 ,-1", [(5, 7), (0, 2), (9, 10)]),
        ("bytes=0-1,20-30", [(0, 2)]),
        ("bytes=0-9", [(0, 10)]),
        ("bytes=0-4,5-9", [(0, 5), (5, 10)]),
        ("bytes=0-5,5-9", []),
        ("bytes=0-,0-", []),
        ("bytes=0-1,x", []),
        ("bytes=0-1,", []),
        ("bytes=," + "0-0," * 3, []),
        ("lines=0-1", []),
        ("", []),
        ("bytes", []),
        ("bytes=" + ",".join(["0-0"] * 33), []),
    ],
    ids=lambda value: str(value)[:30],
)
def test_several_ranges_are_read_and_those_that_ask_for_too_much_ignored(header, expected):
    assert [(one.start, one.end) for one in parse_ranges(header, 10)] == expected


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-,20-", "bytes=-0,99-"])
def test_several_ranges_of_which_none_has_a_byte_are_unsatisfiable(header):
    with pytest.raises(UnsatisfiableRange):
        parse_ranges(header, 10)


@given(st.text() | st.from_regex(r"bytes=[0-9,\- ]*"), st.integers(0, 1 << 62))
def test_any_header_asks_for_no_more_than_there_is(header, size):
    try:
        parts = parse_ranges(header, size)
    except UnsatisfiableRange:
        return
    assert all(0 <= one.start < one.end <= size for one in parts)
    assert sum(one.length for one in parts) <= size


@given(st.text() | st.from_regex(r"bytes=[0-9,\- ]*"), st.integers(0, 1 << 62))
def test_any_header_is_a_range_within_the_content_or_ignored_or_unsatisfiable(header, size):
    try:
        part = parse_range(header, size)
    except UnsatisfiableRange:
        return
    assert part is None or 0 <= part.start < part.end <= size


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("0-9", ByteRange(0, 10)),
        ("5-5", ByteRange(5, 6)),
        (" 5-6 ", ByteRange(5, 7)),
        ("bytes 0-9/100", ByteRange(0, 10)),
        ("bytes=0-9", ByteRange(0, 10)),
        ("bytes 0-9/*", ByteRange(0, 10)),
        ("9-0", None),
        ("", None),
        ("-5", None),
        ("5-", None),
        ("a-b", None),
        ("0-9/x", None),
        ("items 0-9", None),
        ("0-9,10-11", None),
        ("-1-5", None),
        ("\u0660-\u0669", None),
        (f"0-{'9' * 19}", None),
    ],
)
def test_the_range_of_a_chunk_has_both_its_ends_in_it(header, expected):
    assert parse_content_range(header) == expected


@given(st.integers(0, 10**18 - 1), st.integers(0, 10**18 - 1))
def test_the_range_of_a_chunk_round_trips(first, last):
    part = parse_content_range(f"{first}-{last}")
    assert part == (ByteRange(first, last + 1) if first <= last else None)


@given(st.text(max_size=20) | st.from_regex(r"[0-9]*-[0-9]*"))
def test_any_header_is_the_range_of_a_chunk_or_none(header):
    part = parse_content_range(header)
    assert part is None or (part.length > 0 and re.search(rf"0*{part.start}-0*{part.end - 1}", header))


@pytest.mark.parametrize(("offset", "expected"), [(0, "0-0"), (1, "0-0"), (2, "0-1"), (10, "0-9")])
def test_the_range_of_an_upload_ends_with_its_last_byte(offset, expected):
    assert upload_range(offset) == expected


def test_a_validator_is_the_quoted_digest():
    assert etag(DIGEST) == f'"{DIGEST}"'


@pytest.mark.parametrize(
    ("header", "matches"),
    [
        (f'"{DIGEST}"', True),
        (DIGEST, True),
        (f'W/"{DIGEST}"', True),
        (f'"{OTHER}", "{DIGEST}"', True),
        (f'"{OTHER}",W/"{DIGEST}"', True),
        ("*", True),
        (f' "{DIGEST}" ', True),
        ("", False),
        ('""', False),
        (f'"{OTHER}"', False),
        (f'"{DIGEST}x"', False),
        (DIGEST[:-1], False),
    ],
    ids=["quoted", "bare", "weak", "list", "weak list", "any", "blanks", "none", "empty", "other", "longer", "shorter"],
)
def test_if_none_match_names_a_digest_in_many_ways(header, matches):
    assert etag_matches(header, DIGEST) is matches


@pytest.mark.parametrize(
    ("header", "holds"),
    [("", True), (f'"{DIGEST}"', True), (f'W/"{DIGEST}"', False), (DIGEST, False), (f'"{OTHER}"', False),
     ("Wed, 21 Oct 2015 07:28:00 GMT", False)],
    ids=["none", "strong", "weak", "bare", "other", "date"],
)  # fmt: skip
def test_only_an_equal_strong_validator_lets_a_range_through(header, holds):
    assert if_range_holds(header, DIGEST) is holds


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        (["text/a"], True),
        (["text/b", "text/a"], True),
        (["text/b, text/a;q=0.5"], True),
        (["TEXT/A"], True),
        (["text/b, */*"], True),
        (["*"], True),
        (["text/b"], False),
        (["text/ab", "text"], False),
        ([""], False),
        ([], False),
    ],
    ids=str,
)
def test_accept_headers_come_one_by_one_or_as_a_list(headers, accepted):
    assert accepts(headers, "text/a") is accepted


@pytest.mark.parametrize(
    ("if_match", "if_none_match", "present", "may"),
    [
        (None, None, None, True),
        (None, None, DIGEST, True),
        (f'"{DIGEST}"', None, DIGEST, True),
        (f'"{OTHER}", "{DIGEST}"', None, DIGEST, True),
        (f'"{OTHER}"', None, DIGEST, False),
        (f'"{DIGEST}"', None, None, False),
        ("*", None, DIGEST, True),
        ("*", None, None, False),
        ("", None, DIGEST, False),
        (None, "*", None, True),
        (None, "*", DIGEST, False),
        (None, f'"{DIGEST}"', DIGEST, False),
        (None, f'"{OTHER}"', DIGEST, True),
        (f'"{DIGEST}"', f'"{DIGEST}"', DIGEST, False),
    ],
)
def test_a_write_happens_when_its_conditions_hold(if_match, if_none_match, present, may):
    assert may_replace(if_match, if_none_match, present) is may


@pytest.mark.parametrize(
    ("text", "header"),
    [("be kind", '299 - "be kind"'), ('say "x"', r'299 - "say \"x\""'), (r"a\b", r'299 - "a\\b"')],
)
def test_a_warning_is_a_quoted_string(text, header):
    assert warning(text) == header


def test_the_next_page_is_a_relative_link():
    assert next_link("/v2/a/tags/list", {"n": 2, "last": "v1"}) == '</v2/a/tags/list?last=v1&n=2>; rel="next"'


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_whatever_the_last_entry_is_the_link_brings_it_back(last):
    link = next_link("/v2/_catalog", {"n": 1, "last": last})
    url = re.fullmatch(r'<([!-;=?-~]+)>; rel="next"', link)[1]
    assert parse_qsl(urlsplit(url).query, keep_blank_values=True) == [("last", last), ("n", "1")]
