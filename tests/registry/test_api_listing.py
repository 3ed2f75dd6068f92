"""Lists over the wire."""

import pytest

from tests.kit.content import blob, image, image_config, index
from tests.kit.push import push_blob, push_image, put_manifest

NAME = "team/app"
TAGS = ["1.0", "1.1", "B", "a", "latest"]


@pytest.fixture
async def tagged(client):
    manifest = await push_image(client, NAME, TAGS[-1], [])
    for tag in reversed(TAGS[:-1]):
        await put_manifest(client, NAME, tag, manifest)
    return client


@pytest.mark.parametrize(
    ("query", "expected", "link"),
    [
        ("", TAGS, None),
        ("?n=2", TAGS[:2], '</v2/team/app/tags/list?last=1.1&n=2>; rel="next"'),
        ("?n=2&last=1.1", TAGS[2:4], '</v2/team/app/tags/list?last=a&n=2>; rel="next"'),
        ("?n=2&last=a", TAGS[4:], None),
        ("?n=5", TAGS, None),
        ("?n=99999", TAGS, None),
        ("?last=1.1", TAGS[2:], None),
        ("?last=1.05", TAGS[1:], None),
        ("?last=zzz", [], None),
        ("?n=0", [], None),
    ],
)
async def test_tags(tagged, query, expected, link):
    answer = await tagged.get(f"/v2/{NAME}/tags/list{query}")
    assert answer.status == 200
    assert await answer.json() == {"name": NAME, "tags": expected}
    assert answer.headers.get("Link") == link


@pytest.mark.parametrize("n", ["x", "-1", "1.5", "", "²"])
@pytest.mark.parametrize("url", [f"/v2/{NAME}/tags/list", "/v2/_catalog"])
async def test_a_number_that_is_none(client, url, n):
    answer = await client.get(url, params={"n": n})
    assert (answer.status, (await answer.json())["errors"][0]["code"]) == (400, "PAGINATION_NUMBER_INVALID")


async def test_an_unknown_repository(client):
    answer = await client.get("/v2/nothing/here/tags/list")
    assert answer.status == 404
    (error,) = (await answer.json())["errors"]
    assert (error["code"], error["detail"]) == ("NAME_UNKNOWN", {"name": "nothing/here"})


async def test_a_repository_whose_tags_are_gone_is_still_known(tagged):
    for tag in TAGS:
        await tagged.delete(f"/v2/{NAME}/manifests/{tag}")
    answer = await tagged.get(f"/v2/{NAME}/tags/list")
    assert (answer.status, (await answer.json())["tags"]) == (200, [])


async def test_a_repository_with_blobs_only(client):
    await push_blob(client, "fresh", blob())
    assert (await (await client.get("/v2/fresh/tags/list")).json())["tags"] == []


@pytest.fixture
async def filled(client):
    for name in ("b", "a/b", "a", "a-b", "a/b/c"):
        await put_manifest(client, name, "v1", index([]))
    return client


@pytest.mark.parametrize(
    ("query", "expected", "more"),
    [
        ("", ["a", "a/b", "a/b/c", "a-b", "b"], False),
        ("?n=2", ["a", "a/b"], True),
        ("?n=2&last=a/b", ["a/b/c", "a-b"], True),
        ("?n=2&last=a-b", ["b"], False),
        ("?last=a/a", ["a/b", "a/b/c", "a-b", "b"], False),
        ("?last=zzz", [], False),
        ("?n=0", [], False),
    ],
)
async def test_the_catalog_in_the_order_of_paths(filled, query, expected, more):
    answer = await filled.get(f"/v2/_catalog{query}")
    assert (answer.status, (await answer.json())["repositories"]) == (200, expected)
    assert ("Link" in answer.headers) == more


async def test_following_the_links_meets_every_repository_once(filled):
    url, found = "/v2/_catalog?n=1", []
    while url:
        answer = await filled.get(url)
        found += (await answer.json())["repositories"]
        url = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert found == ["a", "a/b", "a/b/c", "a-b", "b"]


async def test_an_empty_registry(client):
    answer = await client.get("/v2/_catalog")
    assert (answer.status, await answer.text()) == (200, '{"repositories":[]}\n')


async def test_an_upload_that_is_not_finished_makes_no_repository(client):
    await client.post("/v2/started/blobs/uploads/")
    assert (await (await client.get("/v2/_catalog")).json())["repositories"] == []


async def test_referrers_of_a_malformed_digest(client):
    answer = await client.get(f"/v2/{NAME}/referrers/latest")
    assert (answer.status, (await answer.json())["errors"][0]["code"]) == (400, "DIGEST_INVALID")


async def test_referrers_survive_a_damaged_entry(client, config):
    subject = image_config()
    folder = config.storage.filesystem.rootdirectory / "docker/registry/v2/repositories" / NAME
    (folder / "_manifests/referrers/sha256" / subject.digest[7:] / "sha256" / ("0" * 64)).mkdir(parents=True)
    answer = await client.get(f"/v2/{NAME}/referrers/{subject.digest}")
    assert (answer.status, (await answer.json())["manifests"]) == (200, [])


async def test_pages_of_referrers(client):
    config, subject = image_config(), image([])
    await push_blob(client, NAME, config)
    digests = []
    for number in range(3):
        more = {"subject": subject.descriptor, "artifactType": "a/b", "annotations": {"n": str(number)}}
        referrer = image([], config, **more)
        await put_manifest(client, NAME, referrer.digest, referrer)
        digests.append(referrer.digest)
    url, found = f"/v2/{NAME}/referrers/{subject.digest}?n=2&artifactType=a/b", []
    while url:
        answer = await client.get(url)
        assert answer.headers["OCI-Filters-Applied"] == "artifactType"
        found += [one["digest"] for one in (await answer.json())["manifests"]]
        url = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert found == sorted(digests)
