"""Pushes with conditions, with several tags, and of what is not all there."""

import asyncio
import dataclasses
import hashlib

import pytest

from registry_service.api import create_api
from registry_service.app import create_parts
from registry_service.config import IndexValidation, ManifestValidation, Platform, Validation
from tests.kit.content import blob, image, image_config, index
from tests.kit.push import push_blob, push_image, put_manifest

NAME = "team/app"


def url(reference, name=NAME):
    return f"/v2/{name}/manifests/{reference}"


async def digest_of(client, tag):
    return (await client.head(url(tag))).headers.get("Docker-Content-Digest")


async def put(client, reference, manifest, query="", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.put(
        url(reference) + query, data=manifest.body, headers={"Content-Type": manifest.media_type, **headers}
    )


@pytest.fixture
async def images(client):
    """Three images of which the first has the tag v1."""
    return [await push_image(client, NAME, tag, [blob()]) for tag in ("v1", "second", "third")]


@pytest.mark.parametrize(
    ("tag", "headers", "status"),
    [
        ("v1", {"If_Match": '"{first}"'}, 201),
        ("v1", {"If_Match": '"{other}", "{first}"'}, 201),
        ("v1", {"If_Match": "*"}, 201),
        ("v1", {"If_Match": '"{other}"'}, 412),
        ("new", {"If_Match": '"{first}"'}, 412),
        ("new", {"If_Match": "*"}, 412),
        ("new", {"If_None_Match": "*"}, 201),
        ("v1", {"If_None_Match": "*"}, 412),
        ("v1", {"If_None_Match": '"{other}"'}, 201),
        ("v1", {"If_None_Match": '"{first}"'}, 412),
    ],
)
async def test_a_tag_moves_only_under_its_condition(client, images, tag, headers, status):
    first, second, other = (one.digest for one in images)
    before = await digest_of(client, tag)
    conditions = {name: value.format(first=first, other=other) for name, value in headers.items()}
    answer = await put(client, tag, images[1], **conditions)
    assert answer.status == status
    assert await digest_of(client, tag) == (second if status == 201 else before)
    if status == 412:
        assert (await answer.json())["errors"][0]["code"] == "PRECONDITION_FAILED"


async def test_of_many_builders_that_create_a_tag_one_wins(client, images):
    answers = await asyncio.gather(*(put(client, "release", one, If_None_Match="*") for one in images * 4))
    assert sorted(answer.status for answer in answers) == [201] + [412] * 11
    (winner,) = [one for one, answer in zip(images * 4, answers, strict=True) if answer.status == 201]
    assert await digest_of(client, "release") == winner.digest


async def test_of_many_builders_in_two_processes_that_move_a_tag_one_wins(client, images, config, aiohttp_client):
    other = await aiohttp_client(create_api(await asyncio.to_thread(create_parts, config)))
    condition = f'"{images[0].digest}"'
    pushes = [put(one, "v1", images[1 + i % 2], If_Match=condition) for i, one in enumerate([client, other] * 4)]
    statuses = sorted(answer.status for answer in await asyncio.gather(*pushes))
    assert statuses == [201] + [412] * 7


async def test_a_manifest_by_digest_can_be_pushed_once_only(client, images):
    answer = await put(client, images[0].digest, images[0], If_None_Match="*")
    assert answer.status == 412


async def test_a_push_by_digest_names_its_tags(client, images):
    answer = await put(client, images[2].digest, images[2], "?tag=v1&tag=v3&tag=v3")
    assert (answer.status, answer.headers["OCI-Tag"]) == (201, "v1, v3")
    assert [await digest_of(client, tag) for tag in ("v1", "v3")] == [images[2].digest] * 2


@pytest.mark.parametrize(
    ("query", "status"),
    [("?tag=", 400), ("?tag=ok&tag=.no", 400), ("?" + "&".join(f"tag=t{i}" for i in range(101)), 414)],
    ids=["empty", "malformed", "too many"],
)
async def test_tags_that_cannot_be_given(client, images, query, status):
    answer = await put(client, images[2].digest, images[2], query)
    assert (answer.status, (await answer.json())["errors"][0]["code"]) == (status, "TAG_INVALID")
    assert await digest_of(client, "ok") is None


async def test_a_tag_keeps_the_digest_that_it_was_pushed_by(client, images):
    digest = "sha512:" + hashlib.sha512(images[0].body).hexdigest()
    answer = await put(client, digest, images[0], "?tag=strong")
    assert (answer.status, answer.headers["Docker-Content-Digest"]) == (201, digest)
    assert await digest_of(client, "strong") == digest
    assert (await client.delete(url(images[0].digest))).status == 202
    for reference in ("strong", "v1", digest):
        assert (await client.head(url(reference))).status == 404


async def test_a_deleted_blob_is_gone_under_all_its_names(client):
    content = blob()
    digest = "sha512:" + hashlib.sha512(content.body).hexdigest()
    location = (await client.post(f"/v2/{NAME}/blobs/uploads/")).headers["Location"]
    await client.put(location, params={"digest": digest}, data=content.body)
    assert (await client.delete(f"/v2/{NAME}/blobs/{content.digest}")).status == 202
    assert (await client.head(f"/v2/{NAME}/blobs/{digest}")).status == 404


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_an_announced_algorithm(client, algorithm):
    content = blob(10_000)
    digest = f"{algorithm}:{hashlib.new(algorithm, content.body).hexdigest()}"
    answer = await client.post(f"/v2/{NAME}/blobs/uploads/", params={"digest-algorithm": algorithm})
    answer = await client.patch(answer.headers["Location"], data=content.body)
    answer = await client.put(answer.headers["Location"], params={"digest": digest})
    assert (answer.status, answer.headers["Docker-Content-Digest"]) == (201, digest)


async def test_an_algorithm_that_nobody_computes(client):
    answer = await client.post(f"/v2/{NAME}/blobs/uploads/", params={"digest-algorithm": "md5"})
    assert (answer.status, (await answer.json())["errors"][0]["code"]) == (400, "DIGEST_INVALID")


async def test_a_blob_is_mounted_from_wherever_it_is(client):
    content = blob()
    await push_blob(client, "source", content)
    answer = await client.post(f"/v2/{NAME}/blobs/uploads/", params={"mount": content.digest})
    assert (answer.status, answer.headers["Location"]) == (201, f"/v2/{NAME}/blobs/{content.digest}")
    assert await (await client.get(f"/v2/{NAME}/blobs/{content.digest}")).read() == content.body


async def test_a_blob_that_is_nowhere_any_more_is_not_mounted(client):
    content = blob()
    await push_blob(client, "source", content)
    await client.delete(f"/v2/source/blobs/{content.digest}")
    answer = await client.post(f"/v2/{NAME}/blobs/uploads/", params={"mount": content.digest})
    assert answer.status == 202


def sparse(config, **indexes):
    checks = Validation(manifests=ManifestValidation(indexes=IndexValidation(**indexes)))
    return dataclasses.replace(config, validation=checks if indexes else Validation(disabled=True))


@pytest.mark.parametrize(
    ("indexes", "status"),
    [
        ({}, 201),
        ({"platforms": "none"}, 201),
        ({"platforms": "list", "platformlist": (Platform("linux", "amd64"),)}, 201),
        ({"platforms": "list", "platformlist": (Platform("linux", "arm64"),)}, 400),
        ({"platforms": "all"}, 400),
    ],
)
async def test_an_index_whose_images_are_not_all_there(config, aiohttp_client, indexes, status):
    parts = await asyncio.to_thread(create_parts, sparse(config, **indexes))
    client = await aiohttp_client(create_api(parts))
    here, missing = await push_image(client, NAME, "here", []), image([blob()])
    entries = [
        {**here.descriptor, "platform": {"os": "linux", "architecture": "amd64"}},
        {**missing.descriptor, "platform": {"os": "linux", "architecture": "arm64"}},
    ]
    content = index([])
    document = content.body.decode().replace("[]", str(entries).replace("'", '"'))
    answer = await put_manifest(client, NAME, "all", dataclasses.replace(content, body=document.encode()))
    assert answer.status == status


async def test_an_image_whose_layers_are_not_all_there(config, aiohttp_client):
    client = await aiohttp_client(create_api(await asyncio.to_thread(create_parts, sparse(config))))
    answer = await put_manifest(client, NAME, "sparse", image([blob()], image_config()))
    assert answer.status == 201
