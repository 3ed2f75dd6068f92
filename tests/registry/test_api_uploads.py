"""Uploads over the wire: every way to bring bytes, and every way to get it wrong."""

import asyncio
import hashlib
import io

import pytest

from registry_service.api import create_api
from registry_service.app import create_parts
from tests.kit.content import blob
from tests.kit.push import push_blob

NAME = "team/app"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


async def open_upload(client, name=NAME):
    answer = await client.post(f"/v2/{name}/blobs/uploads/")
    assert answer.status == 202
    return answer.headers["Location"]


async def errors(answer):
    return [error["code"] for error in (await answer.json())["errors"]]


async def assert_stored(client, content, name=NAME):
    answer = await client.get(f"/v2/{name}/blobs/{content.digest}")
    assert (answer.status, await answer.read()) == (200, content.body)


async def test_opening_says_where_to_go_on(client):
    answer = await client.post(f"/v2/{NAME}/blobs/uploads/")
    upload = answer.headers["Docker-Upload-UUID"]
    assert answer.status == 202
    assert answer.headers["Location"] == f"/v2/{NAME}/blobs/uploads/{upload}"
    assert answer.headers["Range"] == "0-0"
    assert answer.headers["Content-Length"] == "0"


async def test_a_post_without_the_last_slash_opens_as_well(client):
    assert (await client.post(f"/v2/{NAME}/blobs/uploads")).status == 202


@pytest.mark.parametrize("size", [0, 1, 2, 1 << 20, (1 << 20) + 1, 3_000_000])
async def test_one_put_brings_everything(client, size):
    content = blob(size)
    answer = await client.put(await open_upload(client), params={"digest": content.digest}, data=content.file)
    assert answer.status == 201
    assert answer.headers["Location"] == f"/v2/{NAME}/blobs/{content.digest}"
    assert answer.headers["Docker-Content-Digest"] == content.digest
    await assert_stored(client, content)


async def test_a_post_with_a_digest_brings_everything(client):
    content = blob()
    answer = await client.post(f"/v2/{NAME}/blobs/uploads/", params={"digest": content.digest}, data=content.body)
    assert answer.status == 201
    await assert_stored(client, content)


async def test_a_stream_without_a_length_as_docker_sends_it(client):
    content = blob(2_500_000)

    async def pieces():
        for start in range(0, len(content.body), 70_000):
            yield content.body[start : start + 70_000]

    answer = await client.patch(await open_upload(client), data=pieces())
    assert (answer.status, answer.headers["Range"]) == (202, f"0-{len(content.body) - 1}")
    answer = await client.put(answer.headers["Location"], params={"digest": content.digest})
    assert answer.status == 201
    await assert_stored(client, content)


async def test_chunks_in_order_with_the_last_in_the_put(client):
    content = blob(300)
    location = await open_upload(client)
    for start in (0, 100):
        headers = {"Content-Range": f"{start}-{start + 99}"}
        answer = await client.patch(location, data=content.body[start : start + 100], headers=headers)
        assert (answer.status, answer.headers["Range"]) == (202, f"0-{start + 99}")
    answer = await client.put(
        location,
        params={"digest": content.digest},
        data=content.body[200:],
        headers={"Content-Range": "200-299"},
    )
    assert answer.status == 201
    await assert_stored(client, content)


@pytest.mark.parametrize("verb", ["patch", "put"])
@pytest.mark.parametrize("content_range", ["50-149", "150-249", "0-99", "9-3", "a-b", "", "1" * 30 + "-2"])
async def test_a_chunk_out_of_order_is_refused_and_the_upload_goes_on(client, verb, content_range):
    content = blob(200)
    location = await open_upload(client)
    await client.patch(location, data=content.body[:100])
    answer = await client.request(
        verb,
        location,
        params={"digest": content.digest} if verb == "put" else {},
        data=content.body[100:],
        headers={"Content-Range": content_range},
    )
    assert (answer.status, await errors(answer)) == (416, ["RANGE_INVALID"])
    assert (answer.headers["Range"], answer.headers["Location"]) == ("0-99", location)
    answer = await client.put(location, params={"digest": content.digest}, data=content.body[100:])
    assert answer.status == 201


async def test_a_chunk_whose_length_is_not_its_range_is_refused(client):
    answer = await client.patch(await open_upload(client), data=b"abc", headers={"Content-Range": "0-9"})
    assert (answer.status, await errors(answer)) == (400, ["SIZE_INVALID"])


@pytest.mark.parametrize("sent", [0, 1, 100])
async def test_status_says_how_much_has_arrived(client, sent):
    location = await open_upload(client)
    await client.patch(location, data=b"x" * sent)
    answer = await client.get(location)
    assert (answer.status, answer.headers["Range"]) == (204, f"0-{max(0, sent - 1)}")
    assert answer.headers["Location"] == location


async def test_a_cancelled_upload_is_gone(client):
    location = await open_upload(client)
    await client.patch(location, data=b"abc")
    assert (await client.delete(location)).status == 204
    answer = await client.get(location)
    assert (answer.status, await errors(answer)) == (404, ["BLOB_UPLOAD_UNKNOWN"])


@pytest.mark.parametrize("verb", ["get", "patch", "put", "delete"])
@pytest.mark.parametrize("upload", [UNKNOWN, "not-an-id", "..%2f..%2f..%2fetc", "%00"])
async def test_an_upload_that_nobody_opened_is_unknown(client, verb, upload):
    params = {"digest": blob().digest} if verb == "put" else {}
    answer = await client.request(verb, f"/v2/{NAME}/blobs/uploads/{upload}", params=params)
    assert answer.status == 404
    assert await errors(answer) in (["BLOB_UPLOAD_UNKNOWN"], ["NOT_FOUND"])


async def test_an_upload_belongs_to_its_repository(client):
    location = await open_upload(client)
    answer = await client.get(location.replace(NAME, "other/app"))
    assert (answer.status, await errors(answer)) == (404, ["BLOB_UPLOAD_UNKNOWN"])


async def test_a_digest_that_does_not_match_stores_nothing(client):
    content = blob()
    location = await open_upload(client)
    answer = await client.put(location, params={"digest": content.digest}, data=content.body + b"!")
    assert (answer.status, await errors(answer)) == (400, ["DIGEST_INVALID"])
    assert (await client.head(f"/v2/{NAME}/blobs/{content.digest}")).status == 404
    assert (await client.get(location)).status == 404


@pytest.mark.parametrize("digest", [None, "", "sha256:abc", "md5:" + "0" * 32, "sha256:" + "G" * 64, "x"])
async def test_a_put_without_a_usable_digest_leaves_the_upload_open(client, digest):
    location = await open_upload(client)
    answer = await client.put(location, params={} if digest is None else {"digest": digest}, data=b"abc")
    assert (answer.status, await errors(answer)) == (400, ["DIGEST_INVALID"])
    assert (await client.get(location)).status == 204


@pytest.mark.parametrize("algorithm", ["sha384", "sha512"])
async def test_other_digests_name_the_same_bytes(client, algorithm):
    content = blob()
    digest = f"{algorithm}:{hashlib.new(algorithm, content.body).hexdigest()}"
    answer = await client.put(await open_upload(client), params={"digest": digest}, data=content.body)
    assert (answer.status, answer.headers["Docker-Content-Digest"]) == (201, digest)
    for name in (digest, content.digest):
        answer = await client.get(f"/v2/{NAME}/blobs/{name}")
        assert (await answer.read(), answer.headers["Docker-Content-Digest"]) == (content.body, name)


async def test_a_mount_links_without_bytes(client):
    content = blob()
    await push_blob(client, "source", content)
    params = {"mount": content.digest, "from": "source"}
    answer = await client.post(f"/v2/{NAME}/blobs/uploads/", params=params)
    assert (answer.status, answer.headers["Location"]) == (201, f"/v2/{NAME}/blobs/{content.digest}")
    await assert_stored(client, content)


@pytest.mark.parametrize("source", ["source", "nowhere"])
async def test_a_mount_of_what_is_not_there_opens_an_upload(client, source):
    await push_blob(client, "source", blob())
    params = {"mount": blob().digest, "from": source}
    answer = await client.post(f"/v2/{NAME}/blobs/uploads/", params=params)
    assert answer.status == 202
    assert (await client.get(answer.headers["Location"])).status == 204


async def test_the_same_blob_pushed_by_many_at_once_succeeds_for_all(client):
    content = blob(500_000)
    await asyncio.gather(*(push_blob(client, NAME, content) for _ in range(8)))
    await assert_stored(client, content)


async def test_a_second_put_finds_the_upload_gone(client):
    content, location = blob(), await open_upload(client)
    first = await client.put(location, params={"digest": content.digest}, data=content.body)
    second = await client.put(location, params={"digest": content.digest}, data=content.body)
    assert (first.status, second.status) == (201, 404)


async def test_an_upload_goes_on_in_another_process(client, config, aiohttp_client):
    content, location = blob(2_000_000), await open_upload(client)
    await client.patch(location, data=io.BytesIO(content.body[:1_500_000]))
    other = await aiohttp_client(create_api(await asyncio.to_thread(create_parts, config)))
    answer = await other.patch(location, data=content.body[1_500_000:])
    assert answer.headers["Range"] == f"0-{len(content.body) - 1}"
    answer = await client.put(location, params={"digest": content.digest})
    assert answer.status == 201
    await assert_stored(other, content)
