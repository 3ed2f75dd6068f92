"""Tags at a glance, in the registry and over the wire."""

import json
import os

import pytest

from registry_service.manifests import OCI_IMAGE, OCI_INDEX
from tests.kit.content import CONFIG_TYPE, Content, blob, image, index
from tests.kit.push import push_blob, put_manifest

NAME = "team/app"
URL = f"/v2/{NAME}/_cangku/tags/list"


async def push(client, tag, *, size=100, name=NAME, **config):
    """Push an image with one layer of `size` bytes, and return its manifest."""
    document = {"os": "linux", "architecture": "amd64", "created": "2026-01-02T03:04:05Z", **config}
    layer, about = blob(size), Content(json.dumps(document).encode(), CONFIG_TYPE)
    for content in (layer, about):
        await push_blob(client, name, content)
    manifest = image([layer, layer], about)
    await put_manifest(client, name, tag, manifest)
    return manifest


async def ask(client, query=""):
    answer = await client.get(URL + query)
    assert answer.status == 200, await answer.text()
    return await answer.json()


async def order(client, query):
    return [entry["tag"] for entry in (await ask(client, query))["tags"]]


async def test_an_image(client):
    manifest = await push(client, "v1", size=1000, variant="v8")
    config = json.loads(manifest.body)["config"]
    document = await ask(client)
    (entry,) = document["tags"]
    assert entry.pop("pushed").endswith("Z")
    assert (document["name"], document["total"]) == (NAME, 1)
    assert entry == {
        "tag": "v1",
        "digest": manifest.digest,
        "mediaType": OCI_IMAGE,
        "size": 1000 + config["size"],
        "platforms": ["linux/amd64/v8"],
        "created": "2026-01-02T03:04:05Z",
    }


async def test_an_index_sums_up_its_images_and_leaves_out_what_is_attested(client):
    images = [
        await push(client, arch, architecture=arch, created=f"2026-0{n}-01") for n, arch in ((1, "amd64"), (2, "arm"))
    ]
    attested = await push(client, "attested", os="unknown", architecture="unknown")
    document = json.loads(index([*images, attested]).body)
    document["manifests"][2]["platform"] = {"os": "unknown", "architecture": "unknown"}
    await put_manifest(client, NAME, "all", Content(json.dumps(document).encode(), OCI_INDEX))
    entries = {entry["tag"]: entry for entry in (await ask(client))["tags"]}
    assert entries["all"]["platforms"] == ["linux/amd64", "linux/arm"]
    assert entries["all"]["size"] == entries["amd64"]["size"] + entries["arm"]["size"]
    assert entries["all"]["created"] == "2026-02-01"
    assert entries["all"]["mediaType"] == OCI_INDEX


async def test_an_artifact(client):
    config, layer = Content(b"{}", "application/vnd.cncf.helm.config.v1+json"), blob()
    for content in (config, layer):
        await push_blob(client, NAME, content)
    await put_manifest(client, NAME, "chart", image([layer], config))
    (entry,) = (await ask(client))["tags"]
    assert (entry["artifactType"], entry["platforms"]) == ("application/vnd.cncf.helm.config.v1+json", [])
    assert "created" not in entry


@pytest.mark.parametrize("said", [b"no json", b"[]", b'{"os": 5, "created": 7}'])
async def test_a_config_that_says_nothing(client, said):
    content = Content(said, CONFIG_TYPE)
    await push_blob(client, NAME, content)
    await put_manifest(client, NAME, "odd", image([], content))
    (entry,) = (await ask(client))["tags"]
    assert (entry["platforms"], "created" in entry) == ([], False)


@pytest.fixture
async def tagged(client):
    for number, (tag, size) in enumerate([("1.10", 10), ("1.9", 3000), ("latest", 200)]):
        await push(client, tag, size=size, created=f"2026-03-{10 - number:02}")
    return client


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["1.10", "1.9", "latest"]),
        ("?order=desc", ["latest", "1.9", "1.10"]),
        ("?sort=version", ["1.9", "1.10", "latest"]),
        ("?sort=created", ["latest", "1.9", "1.10"]),
        ("?sort=size&order=desc", ["1.9", "latest", "1.10"]),
        ("?sort=version&n=1&offset=1", ["1.10"]),
        ("?n=0", []),
        ("?offset=99", []),
        ("?contains=1.", ["1.10", "1.9"]),
        ("?contains=LATE", ["latest"]),
        ("?contains=nothing", []),
    ],
)
async def test_orders_and_pages(tagged, query, expected):
    assert await order(tagged, query) == expected


async def test_the_order_of_pushing(tagged, config):
    folder = config.storage.filesystem.rootdirectory / "docker/registry/v2/repositories" / NAME / "_manifests/tags"
    for age, tag in enumerate(["1.9", "latest", "1.10"]):
        link = folder / tag / "current/link"
        link.touch()
        os.utime(link, (1_700_000_000 - age * 100,) * 2)
    assert await order(tagged, "?sort=pushed&order=desc") == ["1.9", "latest", "1.10"]
    (entry,) = (await ask(tagged, "?contains=1.9"))["tags"]
    assert entry["pushed"] == "2023-11-14T22:13:20Z"


async def test_the_links_lead_through_all_pages(tagged):
    url, found = f"{URL}?n=1&sort=size&contains=1", []
    while url:
        answer = await tagged.get(url)
        found += [entry["tag"] for entry in (await answer.json())["tags"]]
        url = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert found == ["1.10", "1.9"]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("?n=x", 400, "PAGINATION_NUMBER_INVALID"),
        ("?offset=-1", 400, "PAGINATION_NUMBER_INVALID"),
        ("?sort=colour", 400, "UNSUPPORTED"),
        ("?order=up", 400, "UNSUPPORTED"),
    ],
)
async def test_parameters_that_cannot_be(tagged, query, status, code):
    answer = await tagged.get(URL + query)
    assert (answer.status, (await answer.json())["errors"][0]["code"]) == (status, code)


async def test_an_unknown_repository(client):
    answer = await client.get(URL)
    assert (answer.status, (await answer.json())["errors"][0]["code"]) == (404, "NAME_UNKNOWN")


async def test_a_tag_moves_and_a_manifest_is_lost(tagged, config):
    moved = await push(tagged, "latest", size=9999)
    entries = {entry["tag"]: entry for entry in (await ask(tagged))["tags"]}
    assert entries["latest"]["digest"] == moved.digest
    folder = config.storage.filesystem.rootdirectory / "docker/registry/v2/repositories" / NAME
    (folder / "_manifests/revisions/sha256" / moved.digest[7:] / "link").unlink()
    entries = {entry["tag"]: entry for entry in (await ask(tagged))["tags"]}
    assert entries["latest"].keys() == {"tag", "digest", "pushed"}


@pytest.mark.parametrize(
    ("path", "names"), [("/v2/_oci/ext/discover", ["_oci"]), (f"/v2/{NAME}/_oci/ext/discover", ["_oci", "_cangku"])]
)
async def test_what_there_is_can_be_discovered(client, path, names):
    answer = await client.get(path)
    extensions = (await answer.json())["extensions"]
    assert [one["name"] for one in extensions] == names
    assert all(one["endpoints"] and one["url"] for one in extensions)


async def test_indexes_that_name_each_other_often_and_deeply_cost_little(client):
    """Each level names the one below many times: read naively that is 50 to the power of 12."""
    below = await push(client, "image")
    for level in range(12):
        below = index([below] * 50, annotations={"level": str(level)})
        assert (await put_manifest(client, NAME, f"level{level}", below)).status == 201
    entries = {entry["tag"]: entry for entry in (await ask(client))["tags"]}
    assert entries["level3"]["platforms"] == ["linux/amd64"]
    assert entries["level11"]["size"] == entries["image"]["size"]
