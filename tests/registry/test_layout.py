"""Every key, as the Go registry lays its tree out, and as an existing volume holds it."""

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_service import layout
from shared.names import Digest, Tag

HEX = "ab" + "c" * 62
SHA256 = Digest("sha256", HEX)
SHA512 = Digest("sha512", HEX * 2)
ROOT = "docker/registry/v2"
REPO = f"{ROOT}/repositories/team/app"
NUMBER = hashlib.sha256(b"team/app").hexdigest()[:16]
UUID = "0b07f5b5-1e5f-4e5a-8d6a-3f0a5c4b2e11"


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (layout.blob(SHA256), f"{ROOT}/blobs/sha256/ab/{HEX}/data"),
        (layout.blob(SHA512), f"{ROOT}/blobs/sha512/ab/{HEX}{HEX}/data"),
        (layout.REPOSITORIES, f"{ROOT}/repositories"),
        (layout.repository("team/app"), REPO),
        (layout.layers("team/app"), f"{REPO}/_layers"),
        (layout.layers_marker("team/app"), f"{REPO}/_layers/.keep"),
        (layout.layer_link("team/app", SHA256), f"{REPO}/_layers/sha256/{HEX}/link"),
        (layout.revisions("team/app"), f"{REPO}/_manifests/revisions"),
        (layout.sources(SHA256), "cangku/sources/ab"),
        (layout.source(SHA256, "team/app"), f"cangku/sources/ab/{HEX}.{NUMBER}"),
        (layout.revision_link("team/app", SHA256), f"{REPO}/_manifests/revisions/sha256/{HEX}/link"),
        (layout.tags("team/app"), f"{REPO}/_manifests/tags"),
        (layout.tag("team/app", Tag("v1")), f"{REPO}/_manifests/tags/v1"),
        (layout.tag_link("team/app", Tag("v1")), f"{REPO}/_manifests/tags/v1/current/link"),
        (layout.tag_index_link("team/app", Tag("v1"), SHA256), f"{REPO}/_manifests/tags/v1/index/sha256/{HEX}/link"),
        (layout.referrers("team/app", SHA512), f"{REPO}/_manifests/referrers/sha512/{HEX}{HEX}"),
        (
            layout.referrer_link("team/app", SHA512, SHA256),
            f"{REPO}/_manifests/referrers/sha512/{HEX}{HEX}/sha256/{HEX}/link",
        ),
        (layout.uploads("team/app"), f"{REPO}/_uploads"),
        (layout.upload("team/app", UUID), f"{REPO}/_uploads/{UUID}"),
        (layout.upload_data("team/app", UUID), f"{REPO}/_uploads/{UUID}/data"),
        (layout.upload_begun("team/app", UUID), f"cangku/uploads/{UUID}.{NUMBER}"),
        (layout.upload_started("team/app", UUID), f"{REPO}/_uploads/{UUID}/startedat"),
        (layout.upload_digest("team/app", UUID, 100), f"{REPO}/_uploads/{UUID}/digests/100"),
        (layout.OUTBOX, "cangku/outbox.sqlite3"),
    ],
    ids=lambda value: value.rpartition("v2/")[2][:40],
)
def test_a_key_lies_where_the_go_registry_looks(actual, expected):
    assert actual == expected


COMPONENT = st.from_regex(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+){0,2}", fullmatch=True)
REPOSITORIES = st.lists(COMPONENT, min_size=1, max_size=3).map("/".join)
TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True).map(Tag)
DIGESTS = st.sampled_from([SHA256, SHA512, Digest("sha256", "0" * 64)])


def keys_of(name, tag, digest):
    return [
        layout.layer_link(name, digest),
        layout.layers_marker(name),
        layout.revision_link(name, digest),
        layout.tag_link(name, tag),
        layout.tag_index_link(name, tag, digest),
        layout.referrer_link(name, digest, SHA256),
        layout.upload_data(name, UUID),
        layout.upload_begun(name, UUID),
        layout.upload_started(name, UUID),
        layout.upload_digest(name, UUID, 7),
        layout.source(SHA256, name),
    ]


@given(REPOSITORIES, REPOSITORIES, TAGS, TAGS, DIGESTS)
def test_no_key_is_another_key_s_folder_and_no_two_meanings_share_one(name, other, tag, other_tag, digest):
    keys = {*keys_of(name, tag, digest), *keys_of(other, other_tag, digest), layout.blob(digest), layout.OUTBOX}
    folders = {"/".join(key.split("/")[:depth]) for key in keys for depth in range(1, key.count("/") + 1)}
    assert not keys & folders
    if name != other:
        assert not {*keys_of(name, tag, digest)} & {*keys_of(other, other_tag, digest)}


@given(REPOSITORIES, TAGS, DIGESTS)
def test_a_key_is_clean(name, tag, digest):
    for key in keys_of(name, tag, digest):
        assert re.fullmatch(r"[A-Za-z0-9._/-]+", key)
        assert all(part not in ("", ".", "..") for part in key.split("/"))
