"""Names, tags and digests."""

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.names import (
    Digest,
    InvalidDigest,
    InvalidName,
    InvalidTag,
    Tag,
    check_repository,
    natural_key,
    parse_reference,
)

A64 = "a" * 64
COMPONENT = st.from_regex(r"[a-z0-9]+(?:(?:\.|_|__|-{1,3})[a-z0-9]+){0,3}", fullmatch=True)
REPOSITORIES = st.lists(COMPONENT, min_size=1, max_size=5).map("/".join).filter(lambda name: len(name) <= 255)
TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", fullmatch=True)


@pytest.mark.parametrize(
    "name",
    ["a", "0", "team/app", "a/b/c/d/e", "a.b", "a_b", "a__b", "a-b", "a---b", "v1.tmp", "a" * 255, "/".join("a" * 128)],
    ids=lambda name: name[:12],
)
def test_a_repository_name_is_returned_as_it_is(name):
    assert check_repository(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", "/", "a/", "/a", "a//b", ".", "..", "a/../b", ".a", "a.", "_a", "a_", "-a", "a-", "a..b", "a___b", "a._b",
        "a-_b", "A", "Team/app", "a b", "a\n", "\na", "a:5000/b", "a@b", "a%2fb", "ä", "a\u0660", "a\\b", "a\0",
        "a" * 256, "_layers", "a/_manifests", "a/_uploads/b",
    ],
    ids=lambda name: ascii(name)[:14],
)  # fmt: skip
def test_a_repository_name_outside_the_grammar_is_refused(name):
    with pytest.raises(InvalidName, match="repository name has"):
        check_repository(name)


def test_a_name_built_to_make_the_grammar_backtrack_is_refused_at_once():
    with pytest.raises(InvalidName):
        check_repository("a" + "--a" * 84 + "!")


@given(REPOSITORIES)
def test_every_name_of_the_grammar_is_taken(name):
    assert check_repository(name) == name


@given(st.text(max_size=30))
def test_a_name_that_is_taken_is_a_clean_relative_path(name):
    """No name can leave the storage's folder or meet a folder of the layout, all of which start with `_`."""
    try:
        check_repository(name)
    except InvalidName:
        return
    assert all(part and part[0] not in "._" and re.fullmatch("[a-z0-9._-]+", part) for part in name.split("/"))


@pytest.mark.parametrize("tag", ["latest", "v1.0", "_", "0", "A", "a-._", "v1.tmp", "a" * 128], ids=lambda tag: tag[:8])
def test_a_tag_round_trips(tag):
    assert str(Tag.parse(tag)) == tag


@pytest.mark.parametrize(
    "tag",
    ["", ".", "..", ".a", "-a", "a b", "a/b", "a:b", "a\n", "ä", "a\u0660", "a" * 129, "a@b", "a+b"],
    ids=lambda tag: ascii(tag)[:8],
)
def test_a_tag_outside_the_grammar_is_refused(tag):
    with pytest.raises(InvalidTag, match="up to 128"):
        Tag.parse(tag)


@given(TAGS)
def test_every_tag_of_the_grammar_round_trips(tag):
    assert str(Tag.parse(tag)) == tag
    assert parse_reference(tag) == Tag(tag)


@given(st.binary(), st.sampled_from(["sha256", "sha384", "sha512"]))
def test_every_digest_round_trips(content, algorithm):
    text = f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
    digest = Digest.parse(text)
    assert str(digest) == text
    assert parse_reference(text) == digest
    assert (digest.algorithm, digest.hex) == tuple(text.split(":"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "algorithm:hex"),
        ("sha256", "algorithm:hex"),
        (A64, "algorithm:hex"),
        ("sha256:", "64 lower-case"),
        (f"sha256:{A64}a", "64 lower-case"),
        (f"sha256:{A64[1:]}", "64 lower-case"),
        (f"sha256:{A64.upper()}", "64 lower-case"),
        (f"sha256:{'g' * 64}", "64 lower-case"),
        (f"sha256:{A64[1:]}\n", "64 lower-case"),
        (f"sha256:{A64[1:]}\u0661", "64 lower-case"),
        (f"sha256: {A64[1:]}", "64 lower-case"),
        (f"sha512:{A64}", "128 lower-case"),
        (f"sha384:{A64}", "96 lower-case"),
        (f"sha256:{'../' * 21}a", "64 lower-case"),
        (f"md5:{A64}", "unsupported digest algorithm 'md5'"),
        (f"SHA256:{A64}", "unsupported digest algorithm 'SHA256'"),
        (f"sha256+b64:{A64}", "unsupported digest algorithm"),
        (f":{A64}", "unsupported digest algorithm ''"),
    ],
    ids=lambda value: ascii(value)[1:16],
)
def test_a_malformed_digest_is_refused_with_the_reason(text, reason):
    with pytest.raises(InvalidDigest, match=re.escape(reason)):
        Digest.parse(text)


@given(st.text(max_size=200))
def test_a_digest_is_read_or_refused_and_nothing_else(text):
    try:
        digest = Digest.parse(text)
    except InvalidDigest:
        return
    assert str(digest) == text


@pytest.mark.parametrize(
    ("text", "error"),
    [("latest:1", InvalidDigest), ("sha256:abc", InvalidDigest), ("a/b", InvalidTag), ("", InvalidTag)],
    ids=["colon", "short digest", "slash", "empty"],
)
def test_a_reference_with_a_colon_can_only_be_a_digest(text, error):
    with pytest.raises(error):
        parse_reference(text)


def test_equal_digests_are_equal_and_hash_alike():
    assert len({Digest("sha256", A64), Digest.parse(f"sha256:{A64}"), Digest("sha512", A64 * 2)}) == 2


def test_versions_are_sorted_as_people_count():
    tags = ["1.10", "1.9", "latest", "1.9-rc1", "2.0", "10.0"]
    assert sorted(tags, key=natural_key) == ["1.9", "1.9-rc1", "1.10", "2.0", "10.0", "latest"]
