"""Blobs over the wire: whole, in part, conditionally, and gone."""

import pytest

from tests.kit.content import blob
from tests.kit.push import push_blob

NAME = "team/app"
SMALL = blob(bytes(range(256)) * 10)
LARGE = blob(bytes(range(256)) * 1000)
CONTENTS = pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])


@pytest.fixture
async def stored(client):
    for content in (SMALL, LARGE):
        await push_blob(client, NAME, content)
    return client


def url(content, name=NAME):
    return f"/v2/{name}/blobs/{content.digest}"


@CONTENTS
@pytest.mark.parametrize("verb", ["get", "head"])
async def test_the_whole_blob(stored, content, verb):
    answer = await stored.request(verb, url(content), headers={"Accept-Encoding": "gzip, zstd"})
    assert answer.status == 200
    assert await answer.read() == (content.body if verb == "get" else b"")
    assert answer.headers["Content-Length"] == str(len(content.body))
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Docker-Content-Digest"] == content.digest
    assert answer.headers["ETag"] == f'"{content.digest}"'
    assert answer.headers["Cache-Control"] == "max-age=31536000"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert "Content-Encoding" not in answer.headers
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


@CONTENTS
@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=500-1499", 500, 1500),
        ("bytes=500-", 500, None),
        ("bytes=-500", -500, None),
        ("bytes=-9999999", 0, None),
        ("bytes=100-9999999", 100, None),
    ],
)
async def test_a_range(stored, content, header, start, end):
    expected = content.body[start:end]
    answer = await stored.get(url(content), headers={"Range": header})
    first = content.body.__len__() + start if start < 0 else start
    assert (answer.status, await answer.read()) == (206, expected)
    assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(expected) - 1}/{len(content.body)}"
    assert answer.headers["Content-Length"] == str(len(expected))


@CONTENTS
@pytest.mark.parametrize("header", ["bytes=9999999-", "bytes=9999999-99999999", "bytes=5-2", "bytes=-0"])
async def test_a_range_without_a_byte(stored, content, header):
    answer = await stored.get(url(content), headers={"Range": header})
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(content.body)}"
    assert (await answer.json())["errors"][0]["code"] == "RANGE_INVALID"


@pytest.mark.parametrize(
    "header", ["bytes=x-y", "lines=1-2", "bytes=", "bytes=-", "bytes=0-1,x", "bytes=0-,1-", "bytes=1-" + "9" * 40]
)
async def test_a_range_that_is_none_brings_the_whole(stored, header):
    answer = await stored.get(url(LARGE), headers={"Range": header})
    assert (answer.status, await answer.read()) == (200, LARGE.body)


@CONTENTS
@pytest.mark.parametrize("verb", ["get", "head"])
async def test_several_ranges(stored, content, verb):
    answer = await stored.request(verb, url(content), headers={"Range": "bytes=0-9, 500-, 9999999-, -3"})
    size = len(content.body)
    kind, _, boundary = answer.headers["Content-Type"].partition("; boundary=")
    assert (answer.status, kind) == (206, "multipart/byteranges")
    expected = b""
    for start, end in ((0, 10), (500, size), (size - 3, size)):
        head = f"Content-Type: application/octet-stream\r\nContent-Range: bytes {start}-{end - 1}/{size}\r\n\r\n"
        expected += f"\r\n--{boundary}\r\n{head}".encode() + content.body[start:end]
    expected += f"\r\n--{boundary}--\r\n".encode()
    assert answer.headers["Content-Length"] == str(len(expected))
    assert await answer.read() == (expected if verb == "get" else b"")


async def test_several_ranges_without_a_byte(stored):
    answer = await stored.get(url(SMALL), headers={"Range": "bytes=9999999-, 8888888-"})
    assert answer.status == 416


@pytest.mark.parametrize(("validator", "status"), [(f'"{LARGE.digest}"', 206), ('"sha256:other"', 200)])
async def test_a_range_holds_only_for_the_content_it_was_meant_for(stored, validator, status):
    answer = await stored.get(url(LARGE), headers={"Range": "bytes=0-9", "If-Range": validator})
    assert answer.status == status


@pytest.mark.parametrize("header", ['"{}"', "{}", 'W/"{}"', '"a", "{}"', "*"])
async def test_what_the_client_has_is_not_sent_again(stored, header):
    answer = await stored.get(url(LARGE), headers={"If-None-Match": header.format(LARGE.digest)})
    assert (answer.status, await answer.read()) == (304, b"")


async def test_a_blob_is_only_seen_through_its_repository(stored):
    for verb in ("head", "get"):
        answer = await stored.request(verb, url(SMALL, "other"))
        assert answer.status == 404
    assert (await answer.json())["errors"] == [
        {"code": "BLOB_UNKNOWN", "message": "blob unknown to registry", "detail": {"digest": SMALL.digest}}
    ]


@pytest.mark.parametrize("digest", ["sha256:abc", "sha256:" + "A" * 64, "md5:" + "a" * 32, "latest", "sha256%3Aabc"])
@pytest.mark.parametrize("verb", ["get", "delete"])
async def test_a_malformed_digest(client, verb, digest):
    answer = await client.request(verb, f"/v2/{NAME}/blobs/{digest}")
    assert (answer.status, (await answer.json())["errors"][0]["code"]) == (400, "DIGEST_INVALID")


async def test_a_deleted_blob_is_gone_here_and_stays_elsewhere(stored):
    await push_blob(stored, "other", SMALL)
    assert (await stored.delete(url(SMALL))).status == 202
    assert (await stored.head(url(SMALL))).status == 404
    assert (await stored.head(url(SMALL, "other"))).status == 200
    assert (await stored.delete(url(SMALL))).status == 404


async def test_a_damaged_file_counts_as_missing_and_a_new_push_heals_it(stored, config):
    path = config.storage.filesystem.rootdirectory.joinpath(
        "docker/registry/v2/blobs/sha256", SMALL.digest[7:9], SMALL.digest[7:], "data"
    )
    path.write_bytes(b"")
    assert (await stored.head(url(SMALL))).status == 404
    await push_blob(stored, NAME, SMALL)
    assert await (await stored.get(url(SMALL))).read() == SMALL.body
