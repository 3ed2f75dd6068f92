"""Manifests: what is read out of them, and what is refused."""

import hashlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_service.manifests import (
    DOCKER_IMAGE,
    DOCKER_LIST,
    OCI_IMAGE,
    OCI_INDEX,
    Descriptor,
    ManifestInvalid,
    canonical_digest,
    parse_manifest,
    stored_media_type,
)
from shared.names import Digest

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
FOREIGN_TYPE = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"


def descriptor(seed="x", media_type=LAYER_TYPE, size=10, **more):
    digest = "sha256:" + hashlib.sha256(seed.encode()).hexdigest()
    return {"mediaType": media_type, "digest": digest, "size": size, **more}


def read(entry):
    platform = entry.get("platform")
    known = (platform["os"], platform["architecture"]) if platform else None
    return Descriptor(entry["mediaType"], Digest.parse(entry["digest"]), entry["size"], known)


CONFIG, ONE, TWO = descriptor("config", CONFIG_TYPE), descriptor("one"), descriptor("two")
IMAGE = {"schemaVersion": 2, "mediaType": OCI_IMAGE, "config": CONFIG, "layers": [ONE, TWO]}
CHILD = descriptor("child", OCI_IMAGE, platform={"architecture": "amd64", "os": "linux"})
INDEX = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [CHILD]}


def body(document, **changes):
    """Return the JSON of a document with the changes; a change to `...` removes a key."""
    changed = {**document, **changes}
    return json.dumps({key: value for key, value in changed.items() if value is not ...}).encode()


def test_an_image_needs_its_config_and_layers():
    raw = body(IMAGE)
    manifest = parse_manifest(raw, OCI_IMAGE)
    assert manifest.media_type == OCI_IMAGE
    assert manifest.body is raw
    assert str(manifest.digest) == "sha256:" + hashlib.sha256(raw).hexdigest()
    assert manifest.blobs == manifest.content == (read(CONFIG), read(ONE), read(TWO))
    assert not manifest.is_index
    assert (manifest.manifests, manifest.subject, manifest.annotations) == ((), None, {})
    assert manifest.artifact_type == CONFIG_TYPE


def test_an_index_needs_its_manifests():
    manifest = parse_manifest(body(INDEX), OCI_INDEX)
    assert manifest.manifests == (read(CHILD),)
    assert (manifest.blobs, manifest.content, manifest.artifact_type) == ((), (), "")
    assert manifest.is_index


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ({"os": "linux", "architecture": "arm64", "variant": "v8"}, ("linux", "arm64")),
        ({"os": "linux"}, ("linux", "")),
        ({}, ("", "")),
        (None, None),
        ("linux/amd64", None),
        ({"os": 1, "architecture": []}, ("1", "[]")),
    ],
    ids=str,
)
def test_the_platform_of_an_index_entry_is_read_where_it_can_be(platform, expected):
    manifest = parse_manifest(body(INDEX, manifests=[{**CHILD, "platform": platform}]), OCI_INDEX)
    assert manifest.manifests[0].platform == expected


@pytest.mark.parametrize(
    ("document", "content_type", "media_type"),
    [
        (IMAGE, OCI_IMAGE, OCI_IMAGE),
        (IMAGE, f"{OCI_IMAGE}; charset=utf-8", OCI_IMAGE),
        (IMAGE, f" {OCI_IMAGE.upper()} ", OCI_IMAGE),
        (IMAGE | {"mediaType": ...}, OCI_IMAGE, OCI_IMAGE),
        (IMAGE, "", OCI_IMAGE),
        (IMAGE, "application/json", OCI_IMAGE),
        (IMAGE, "application/octet-stream", OCI_IMAGE),
        (IMAGE | {"mediaType": ...}, "", OCI_IMAGE),
        (IMAGE | {"mediaType": DOCKER_IMAGE}, DOCKER_IMAGE, DOCKER_IMAGE),
        (IMAGE | {"mediaType": DOCKER_IMAGE}, "", DOCKER_IMAGE),
        (INDEX, OCI_INDEX, OCI_INDEX),
        (INDEX | {"mediaType": ...}, OCI_INDEX, OCI_INDEX),
        (INDEX | {"mediaType": ...}, "", OCI_INDEX),
        (INDEX | {"mediaType": DOCKER_LIST}, DOCKER_LIST, DOCKER_LIST),
        (INDEX | {"mediaType": DOCKER_LIST}, "application/json", DOCKER_LIST),
    ],
)
def test_the_media_type_is_that_of_the_header_and_of_the_body(document, content_type, media_type):
    raw = body(document)
    assert parse_manifest(raw, content_type).media_type == media_type
    assert stored_media_type(raw) == media_type


@pytest.mark.parametrize(
    ("raw", "content_type", "reason"),
    [
        (b"", OCI_IMAGE, "not valid JSON"),
        (b"{", OCI_IMAGE, "not valid JSON"),
        (b"\xff\xfe\xfd", OCI_IMAGE, "not valid JSON"),
        (b"[" * 100_000, OCI_IMAGE, "not valid JSON"),
        (b'{"schemaVersion": ' + b"9" * 5000 + b"}", OCI_IMAGE, "not valid JSON"),
        (b"[]", OCI_IMAGE, "not a JSON object"),
        (b"null", OCI_IMAGE, "not a JSON object"),
        (b'"text"', OCI_IMAGE, "not a JSON object"),
        (body(IMAGE, schemaVersion=...), OCI_IMAGE, "schemaVersion must be 2"),
        (body(IMAGE, schemaVersion=3), OCI_IMAGE, "schemaVersion must be 2"),
        (body(IMAGE, schemaVersion="2"), OCI_IMAGE, "schemaVersion must be 2"),
        (body(IMAGE, schemaVersion=None), OCI_IMAGE, "schemaVersion must be 2"),
        (body(IMAGE, schemaVersion=1), OCI_IMAGE, "schema 1 manifests are no longer taken"),
        (body(IMAGE), SCHEMA1, "schema 1 manifests are no longer taken"),
        (body(IMAGE, mediaType=SCHEMA1), "", "is not supported"),
        (body(IMAGE, mediaType=5), OCI_IMAGE, "mediaType is not a string"),
        (body(IMAGE, mediaType=None), OCI_IMAGE, "mediaType is not a string"),
        (body(IMAGE), "text/plain", "the manifest type 'text/plain' is not supported"),
        (body(IMAGE, mediaType="text/plain"), "", "the manifest type 'text/plain' is not supported"),
        (body(IMAGE), DOCKER_IMAGE, f"Content-Type is {DOCKER_IMAGE} but mediaType is '{OCI_IMAGE}'"),
        (body(IMAGE, mediaType=...), DOCKER_IMAGE, f"mediaType must be {DOCKER_IMAGE}"),
        (body(INDEX, mediaType=...), DOCKER_LIST, f"mediaType must be {DOCKER_LIST}"),
        (body(INDEX), OCI_IMAGE, "but mediaType is"),
        (body(INDEX, mediaType=...), OCI_IMAGE, "config and layers, not manifests"),
        (body(IMAGE, manifests=[]), OCI_IMAGE, "config and layers, not manifests"),
        (body(IMAGE, mediaType=...), OCI_INDEX, "neither config nor layers"),
        (body(INDEX, config=CONFIG), OCI_INDEX, "neither config nor layers"),
        (body(INDEX, layers=[]), OCI_INDEX, "neither config nor layers"),
        (body(IMAGE, config=...), OCI_IMAGE, "config is not a descriptor"),
        (body(IMAGE, config="x"), OCI_IMAGE, "config is not a descriptor"),
        (body(IMAGE, layers={}), OCI_IMAGE, "layers is not a list"),
        (body(IMAGE, layers=[ONE, None]), OCI_IMAGE, "layers[1] is not a descriptor"),
        (body(INDEX, manifests="x"), OCI_INDEX, "manifests is not a list"),
        (body(INDEX, manifests=[[]]), OCI_INDEX, "manifests[0] is not a descriptor"),
        (body(IMAGE, config={**CONFIG, "mediaType": 1}), OCI_IMAGE, "config.mediaType is not a string"),
        (body(IMAGE, config={"size": 1}), OCI_IMAGE, "config.digest is missing"),
        (body(IMAGE, layers=[{**ONE, "digest": "sha256:x"}]), OCI_IMAGE, "layers[0].digest: a sha256 digest has 64"),
        (body(IMAGE, layers=[{**ONE, "digest": "md5:x"}]), OCI_IMAGE, "layers[0].digest: unsupported digest algorithm"),
        (body(IMAGE, layers=[{**ONE, "digest": "../../x"}]), OCI_IMAGE, "layers[0].digest: a digest has the form"),
        (body(IMAGE, layers=[{**ONE, "size": -1}]), OCI_IMAGE, "layers[0].size is not a number of bytes"),
        (body(IMAGE, layers=[{**ONE, "size": "1"}]), OCI_IMAGE, "layers[0].size is not a number of bytes"),
        (body(IMAGE, layers=[{**ONE, "size": 1.0}]), OCI_IMAGE, "layers[0].size is not a number of bytes"),
        (body(IMAGE, layers=[{**ONE, "size": True}]), OCI_IMAGE, "layers[0].size is not a number of bytes"),
        (body(IMAGE, layers=[{"digest": ONE["digest"]}]), OCI_IMAGE, "layers[0].size is not a number of bytes"),
        (body(IMAGE, subject="x"), OCI_IMAGE, "subject is not a descriptor"),
        (body(INDEX, subject={}), OCI_INDEX, "subject.digest is missing"),
        (body(IMAGE, artifactType=1), OCI_IMAGE, "artifactType is not a string"),
        (body(IMAGE, annotations=[]), OCI_IMAGE, "annotations is not an object of strings"),
        (body(IMAGE, annotations={"a": 1}), OCI_IMAGE, "annotations is not an object of strings"),
    ],
    ids=lambda value: ascii(value[-40:]),
)
def test_a_bad_manifest_is_refused_with_the_reason(raw, content_type, reason):
    with pytest.raises(ManifestInvalid, match=re.escape(reason)):
        parse_manifest(raw, content_type)


@pytest.mark.parametrize(
    "media_type",
    [
        FOREIGN_TYPE,
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    ],
)
def test_layers_that_must_not_be_distributed_need_not_be_there(media_type):
    foreign = descriptor("foreign", media_type, urls=["https://example.com/layer"])
    manifest = parse_manifest(body(IMAGE, layers=[foreign, ONE]), OCI_IMAGE)
    assert manifest.blobs == (read(CONFIG), read(ONE))
    assert manifest.content == (read(CONFIG), read(foreign), read(ONE))


def test_any_other_media_type_is_needed_whatever_it_is():
    """Helm charts, signatures, build caches: the registry does not know their types."""
    odd = [descriptor("odd", "application/x-odd"), {key: ONE[key] for key in ("digest", "size")}]
    blobs = parse_manifest(body(IMAGE, layers=odd), OCI_IMAGE).blobs
    assert [one.media_type for one in blobs] == [CONFIG_TYPE, "application/x-odd", ""]


@pytest.mark.parametrize("layers", [..., None, []], ids=["absent", "null", "empty"])
def test_an_image_may_have_no_layers(layers):
    assert parse_manifest(body(IMAGE, layers=layers), OCI_IMAGE).blobs == (read(CONFIG),)


def test_digests_of_all_algorithms_are_read():
    digests = [f"{name}:{hashlib.new(name, b'').hexdigest()}" for name in ("sha256", "sha384", "sha512")]
    layers = [{**ONE, "digest": digest} for digest in digests]
    blobs = parse_manifest(body(IMAGE, layers=layers), OCI_IMAGE).blobs
    assert [str(blob.digest) for blob in blobs[1:]] == digests


@pytest.mark.parametrize(
    ("document", "artifact_type"),
    [
        (IMAGE, CONFIG_TYPE),
        (IMAGE | {"artifactType": "application/x-sbom"}, "application/x-sbom"),
        (IMAGE | {"artifactType": ""}, CONFIG_TYPE),
        (IMAGE | {"artifactType": None}, CONFIG_TYPE),
        (IMAGE | {"config": {key: CONFIG[key] for key in ("digest", "size")}}, ""),
        (INDEX, ""),
        (INDEX | {"artifactType": "application/x-set"}, "application/x-set"),
    ],
)
def test_the_artifact_type_is_its_own_or_that_of_the_config(document, artifact_type):
    assert parse_manifest(body(document)).artifact_type == artifact_type


@pytest.mark.parametrize("document", [IMAGE, INDEX], ids=["image", "index"])
def test_subject_and_annotations_are_read(document):
    subject = descriptor("subject", OCI_IMAGE)
    manifest = parse_manifest(body(document, subject=subject, annotations={"a": "b"}))
    assert manifest.subject == read(subject)
    assert manifest.annotations == {"a": "b"}


@pytest.mark.parametrize("raw", [b"", b"not json", b"[]", b'{"schemaVersion":1}', body(IMAGE, mediaType="text/x")])
def test_what_cannot_be_read_from_the_tree_is_served_as_an_oci_image(raw):
    assert stored_media_type(raw) == OCI_IMAGE


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([ONE["digest"], OCI_IMAGE]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from([*ONE]), inner),
    max_leaves=8,
)
KEYS = ["schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "artifactType", "annotations"]
TYPES = st.sampled_from(["", OCI_IMAGE, OCI_INDEX, DOCKER_IMAGE, DOCKER_LIST, SCHEMA1, "application/json"])


@given(st.dictionaries(st.sampled_from(KEYS), JSON), st.sampled_from([{}, IMAGE, INDEX]), TYPES | st.text())
def test_any_json_object_is_a_manifest_or_an_invalid_one(changes, document, content_type):
    raw = json.dumps({**document, **changes}).encode()
    try:
        manifest = parse_manifest(raw, content_type)
    except ManifestInvalid:
        return
    assert stored_media_type(raw) == manifest.media_type


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()), TYPES)
def test_any_bytes_are_a_manifest_or_an_invalid_one(raw, content_type):
    try:
        parse_manifest(raw, content_type)
    except ManifestInvalid:
        return


@given(st.binary())
def test_the_canonical_digest_is_sha256(raw):
    assert str(canonical_digest(raw)) == "sha256:" + hashlib.sha256(raw).hexdigest()
