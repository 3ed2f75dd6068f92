"""Manifests over the wire."""

import io
import json

import pytest

from registry_service.manifests import DOCKER_IMAGE, DOCKER_LIST, OCI_IMAGE, OCI_INDEX
from tests.kit.content import Content, blob, image, image_config, index
from tests.kit.push import push_blob, push_image, put_manifest

NAME = "team/app"
LIMIT = 4 << 20


def url(reference, name=NAME):
    return f"/v2/{name}/manifests/{reference}"


async def codes(answer):
    return [error["code"] for error in (await answer.json())["errors"]]


@pytest.mark.parametrize("verb", ["get", "head"])
async def test_by_tag_and_by_digest_byte_for_byte(client, verb):
    manifest = await push_image(client, NAME, "v1", [blob()])
    for reference in ("v1", manifest.digest):
        answer = await client.request(verb, url(reference))
        assert answer.status == 200
        assert await answer.read() == (manifest.body if verb == "get" else b"")
        assert answer.headers["Content-Type"] == OCI_IMAGE
        assert answer.headers["Content-Length"] == str(len(manifest.body))
        assert answer.headers["Docker-Content-Digest"] == manifest.digest
        assert answer.headers["ETag"] == f'"{manifest.digest}"'


async def test_the_answer_to_a_push_names_the_digest(client):
    config = image_config()
    await push_blob(client, NAME, config)
    manifest = image([], config)
    answer = await put_manifest(client, NAME, "v1", manifest)
    assert (answer.status, answer.headers["Location"]) == (201, url(manifest.digest))
    assert answer.headers["Docker-Content-Digest"] == manifest.digest
    assert answer.headers["Content-Length"] == "0"
    assert "OCI-Subject" not in answer.headers


async def test_what_the_client_has_is_not_sent_again(client):
    manifest = await push_image(client, NAME, "v1", [])
    answer = await client.get(url("v1"), headers={"If-None-Match": f'"{manifest.digest}"'})
    assert (answer.status, await answer.read()) == (304, b"")


async def test_a_tag_moves(client):
    await push_image(client, NAME, "v1", [blob()])
    second = await push_image(client, NAME, "v1", [blob()])
    assert (await client.head(url("v1"))).headers["Docker-Content-Digest"] == second.digest


@pytest.mark.parametrize("media_type", [DOCKER_IMAGE, OCI_IMAGE])
@pytest.mark.parametrize("content_type", ["{}", "{}; charset=utf-8", "", "application/json"])
async def test_media_types_of_images(client, media_type, content_type):
    config = image_config()
    await push_blob(client, NAME, config)
    document = {"schemaVersion": 2, "mediaType": media_type, "config": config.descriptor, "layers": []}
    content = Content(json.dumps(document).encode(), content_type.format(media_type))
    assert (await put_manifest(client, NAME, "v1", content)).status == 201
    assert (await client.get(url("v1"))).headers["Content-Type"] == media_type


@pytest.mark.parametrize("media_type", [DOCKER_LIST, OCI_INDEX])
async def test_an_index_of_images(client, media_type):
    manifest = await push_image(client, NAME, "one", [blob()])
    document = {"schemaVersion": 2, "mediaType": media_type, "manifests": [manifest.descriptor]}
    content = Content(json.dumps(document).encode(), media_type)
    assert (await put_manifest(client, NAME, "all", content)).status == 201
    for reference in ("all", content.digest):
        answer = await client.get(url(reference), headers={"Accept": media_type})
        assert (answer.headers["Content-Type"], await answer.read()) == (media_type, content.body)


@pytest.mark.parametrize(
    ("media_type", "accept", "platform", "exchanged"),
    [
        (DOCKER_LIST, DOCKER_IMAGE, "amd64", True),
        (DOCKER_LIST, None, "amd64", True),
        (DOCKER_LIST, f"{DOCKER_IMAGE};q=0.5, {DOCKER_LIST.upper()}", "amd64", False),
        (DOCKER_LIST, "*/*", "amd64", False),
        (DOCKER_LIST, f"{DOCKER_IMAGE}, *", "amd64", False),
        (DOCKER_LIST, DOCKER_IMAGE, "arm64", False),
        (OCI_INDEX, OCI_IMAGE, "amd64", False),
    ],
)
async def test_a_client_that_knows_no_lists_gets_an_image(client, media_type, accept, platform, exchanged):
    manifest = await push_image(client, NAME, "one", [blob()])
    entry = {**manifest.descriptor, "platform": {"os": "linux", "architecture": platform}}
    document = {"schemaVersion": 2, "mediaType": media_type, "manifests": [entry]}
    content = Content(json.dumps(document).encode(), media_type)
    await put_manifest(client, NAME, "all", content)
    options = {"headers": {"Accept": accept}} if accept else {"skip_auto_headers": ["Accept"]}
    answer = await client.get(url("all"), **options)
    assert answer.headers["Docker-Content-Digest"] == (manifest if exchanged else content).digest
    answer = await client.get(url(content.digest), **options)
    assert answer.headers["Docker-Content-Digest"] == content.digest


async def test_an_index_without_blobs_makes_a_repository(client):
    assert (await put_manifest(client, "fresh", "v1", index([]))).status == 201
    assert (await (await client.get("/v2/_catalog")).json())["repositories"] == ["fresh"]


async def test_all_that_is_missing_in_one_answer(client):
    config, first, second = image_config(), blob(), blob()
    await push_blob(client, NAME, first)
    answer = await put_manifest(client, NAME, "v1", image([first, second, second], config))
    assert answer.status == 400
    details = [(error["code"], error["detail"]["digest"]) for error in (await answer.json())["errors"]]
    assert details == [("MANIFEST_BLOB_UNKNOWN", config.digest), ("MANIFEST_BLOB_UNKNOWN", second.digest)]
    assert (await client.head(url("v1"))).status == 404


async def test_a_child_that_is_missing(client):
    answer = await put_manifest(client, NAME, "v1", index([image([])]))
    assert (answer.status, await codes(answer)) == (400, ["MANIFEST_BLOB_UNKNOWN"])


async def test_a_layer_that_is_kept_elsewhere_need_not_be_here(client):
    foreign = Content(b"x", "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip")
    config = image_config()
    await push_blob(client, NAME, config)
    assert (await put_manifest(client, NAME, "v1", image([foreign], config))).status == 201


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b"{}",
        b'{"schemaVersion":2}',
        b'{"schemaVersion":2,"config":1,"layers":[]}',
        b'{"schemaVersion":2,"config":{"mediaType":"a","digest":"sha256:xyz","size":1},"layers":[]}',
        b'{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[],"history":[]}',
        b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}',
        b"[" * 100_000,
    ],
)
async def test_a_malformed_manifest_is_refused(client, body):
    answer = await put_manifest(client, NAME, "v1", Content(body, OCI_IMAGE))
    assert (answer.status, await codes(answer)) == (400, ["MANIFEST_INVALID"])
    assert (await client.head(url("v1"))).status == 404


async def test_empty_bodies_are_refused_again_and_again(client):
    for _ in range(3):
        answer = await put_manifest(client, NAME, "v1", Content(b"", OCI_IMAGE))
        assert (answer.status, await codes(answer)) == (400, ["MANIFEST_INVALID"])


async def test_an_unknown_kind_of_manifest_is_refused(client):
    answer = await put_manifest(client, NAME, "v1", Content(b'{"schemaVersion":2}', "text/html"))
    assert (answer.status, await codes(answer)) == (400, ["MANIFEST_INVALID"])


@pytest.mark.parametrize("declared", [True, False])
async def test_a_manifest_that_is_too_large_is_refused(client, declared):
    body = b" " * (LIMIT + 1)

    async def stream():
        yield body

    answer = await client.put(
        url("v1"), data=io.BytesIO(body) if declared else stream(), headers={"Content-Type": OCI_IMAGE}
    )
    assert (answer.status, await codes(answer)) == (413, ["MANIFEST_INVALID"])


async def test_the_largest_manifest_is_taken(client):
    config = image_config()
    await push_blob(client, NAME, config)
    manifest = image([], config, annotations={"a": "x" * (LIMIT - 1000)})
    assert (await put_manifest(client, NAME, "v1", manifest)).status == 201
    assert await (await client.get(url("v1"))).read() == manifest.body


async def test_a_digest_that_is_not_the_bodys(client):
    config = image_config()
    await push_blob(client, NAME, config)
    answer = await put_manifest(client, NAME, blob().digest, image([], config))
    assert (answer.status, await codes(answer)) == (400, ["DIGEST_INVALID"])


@pytest.mark.parametrize(
    ("verb", "reference", "status", "code"),
    [
        ("get", "v1", 404, "MANIFEST_UNKNOWN"),
        ("get", blob().digest, 404, "MANIFEST_UNKNOWN"),
        ("get", ".INVALID", 404, "MANIFEST_UNKNOWN"),
        ("get", "a" * 129, 404, "MANIFEST_UNKNOWN"),
        ("get", "sha256:baddigeststring", 400, "DIGEST_INVALID"),
        ("put", ".INVALID", 400, "TAG_INVALID"),
        ("put", "sha256:baddigeststring", 400, "DIGEST_INVALID"),
        ("delete", "v1", 404, "MANIFEST_UNKNOWN"),
        ("delete", blob().digest, 404, "MANIFEST_UNKNOWN"),
        ("delete", ".INVALID", 404, "MANIFEST_UNKNOWN"),
    ],
)
async def test_references_that_lead_nowhere(client, verb, reference, status, code):
    answer = await client.request(verb, url(reference), data=b"{}" if verb == "put" else None)
    assert (answer.status, await codes(answer)) == (status, [code])


async def test_deleting_by_digest_takes_every_tag_along(client):
    manifest = await push_image(client, NAME, "v1", [])
    await put_manifest(client, NAME, "v2", manifest)
    other = await push_image(client, NAME, "other", [blob()])
    assert (await client.delete(url(manifest.digest))).status == 202
    for reference in ("v1", "v2", manifest.digest):
        assert (await client.head(url(reference))).status == 404
    assert (await client.head(url("other"))).headers["Docker-Content-Digest"] == other.digest


async def test_deleting_by_tag_leaves_the_manifest(client):
    manifest = await push_image(client, NAME, "v1", [])
    await put_manifest(client, NAME, "v2", manifest)
    assert (await client.delete(url("v1"))).status == 202
    assert (await client.head(url("v1"))).status == 404
    assert (await client.head(url("v2"))).status == 200
    assert (await client.head(url(manifest.digest))).status == 200


async def test_an_image_that_refers_to_another_is_listed_there(client):
    subject = image([])
    answer = await client.get(f"/v2/{NAME}/referrers/{subject.digest}")
    assert (answer.status, (await answer.json())["manifests"]) == (200, [])
    config = image_config()
    await push_blob(client, NAME, config)
    referrer = image([], config, subject=subject.descriptor, artifactType="a/sbom", annotations={"k": "v"})
    answer = await put_manifest(client, NAME, referrer.digest, referrer)
    assert (answer.status, answer.headers["OCI-Subject"]) == (201, subject.digest)
    answer = await client.get(f"/v2/{NAME}/referrers/{subject.digest}")
    assert answer.headers["Content-Type"] == OCI_INDEX
    expected = {**referrer.descriptor, "artifactType": "a/sbom", "annotations": {"k": "v"}}
    assert await answer.json() == {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [expected]}
    answer = await client.get(f"/v2/{NAME}/referrers/{subject.digest}", params={"artifactType": "other"})
    assert (answer.headers["OCI-Filters-Applied"], (await answer.json())["manifests"]) == ("artifactType", [])
    await client.delete(url(referrer.digest))
    assert (await (await client.get(f"/v2/{NAME}/referrers/{subject.digest}")).json())["manifests"] == []
