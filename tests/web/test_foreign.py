import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web_service.foreign import parse_json, parse_size, parse_time

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_every_text_of_a_document_can_be_written_as_utf8(document):
    for body in (
        json.dumps(document).encode(),
        json.dumps(document, ensure_ascii=False).encode(errors="surrogatepass"),
    ):
        assert "\\u0000" not in json.dumps(parse_json(body))
        json.dumps(parse_json(body), ensure_ascii=False).encode()


def test_what_is_clean_stays_as_it_is():
    assert parse_json('{"名": ["\\u00e9", "\\ud83d\\ude00", 1, null]}'.encode()) == {"名": ["é", "😀", 1, None]}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-01-02T03:04:05Z", 1767323045),
        ("2026-01-02T03:04:05", 1767323045),
        ("9998-12-31T23:59:59Z", 253370764799),
        ("9999-12-31T23:59:59-23:59", None),
        ("9999-01-01T00:00:00Z", None),
        ("1970-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("\ud800", None),
        (5, None),
    ],
    ids=ascii,
)
def test_a_time_is_one_that_calendars_hold(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize("size", [-1, 1 << 63, 10**400, True, 1.5, "9", None])
def test_what_is_no_size_counts_nothing(size):
    assert parse_size(size) == 0
