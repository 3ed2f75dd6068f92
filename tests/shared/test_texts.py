"""Texts of strangers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.texts import clean


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain 仓库 \U0001f600\n", "plain 仓库 \U0001f600\n"),
        ("a\0b", "a\ufffdb"),
        ("\ud800x\udfff", "\ufffdx\ufffd"),
        (b"probe \xff".decode("utf-8", "surrogateescape"), "probe \ufffd"),
    ],
)
def test_what_cannot_be_kept_is_replaced(text, expected):
    assert clean(text) == expected


@given(st.text(st.characters()))
def test_every_text_can_be_sent_afterwards(text):
    assert clean(text).encode().decode() == clean(text)
    assert len(clean(text)) == len(text)
