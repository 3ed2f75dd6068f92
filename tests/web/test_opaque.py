"""Secrets can be told from passwords, and from each other."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web_service.opaque import HINT, Kind, hash_secret, kind_of, masked, new_secret


@pytest.mark.parametrize("kind", Kind)
def test_a_secret_says_what_it_is_for(kind):
    secret = new_secret(kind)
    assert re.fullmatch(r"ck[prf]_[0-9A-Za-z]{40}", secret)
    assert kind_of(secret) is kind
    assert secret[:HINT].startswith(f"{kind}_")


def test_no_two_are_the_same():
    assert len({new_secret(Kind.PERSONAL) for _ in range(100)}) == 100


@given(st.integers(0, 43), st.sampled_from("0aZ_!é"))
def test_a_secret_with_a_slip_of_the_pen_is_none(place, character):
    secret = new_secret(Kind.ROBOT)
    slip = secret[:place] + character + secret[place + 1 :]
    assert (kind_of(slip) is None) == (slip != secret)


@given(st.text())
def test_a_password_is_none(text):
    assert kind_of(text) is None


def test_what_is_stored_is_a_hash_that_leads_back_to_nothing():
    secret = new_secret(Kind.PERSONAL)
    assert len(hash_secret(secret)) == 64
    assert secret[4:] not in hash_secret(secret)
    assert hash_secret("\ud800")


@pytest.mark.parametrize("kind", Kind)
def test_a_secret_that_stands_for_a_name_is_not_written_down(kind):
    secret = new_secret(kind)
    for name in (secret, f" {secret} "):
        assert masked(name) == f"{secret[:HINT]}…"
    assert masked("ckp_dev") == "ckp_dev"
