"""The list of a repository's tags: as our registry tells it at a glance, and read image by image of any other."""

import asyncio
import dataclasses
import json

import pytest
from aiohttp.test_utils import TestClient, TestServer

from registry_service.api import create_api
from registry_service.app import create_parts
from registry_service.config import Config, InMemory, Storage
from registry_service.manifests import OCI_INDEX
from tests.kit.content import CONFIG_TYPE, Content, blob, image, index
from tests.kit.push import push_blob, put_manifest
from web_service.authority import FixedAuthority
from web_service.browsing import Browser, Unreadable
from web_service.errors import RegistryNotFound
from web_service.registry_client import RegistryClient
from web_service.tag_lists import TagLists

NAME = "team/app"


@pytest.fixture
async def registry():
    """Our registry on a real port, and a client to push with."""
    parts = await asyncio.to_thread(create_parts, Config(storage=Storage(inmemory=InMemory())))
    async with TestClient(TestServer(create_api(parts))) as client:
        yield client


@pytest.fixture
async def lists(registry):
    client = RegistryClient(str(registry.make_url("/v2")), FixedAuthority(""))
    yield TagLists(client, Browser(client))
    await client.close()


async def push(client, tag, *, size=100, created="2026-01-02T03:04:05Z", architecture="amd64"):
    document = {"os": "linux", "architecture": architecture, "created": created}
    layer, config = blob(size), Content(json.dumps(document).encode(), CONFIG_TYPE)
    for content in (layer, config):
        await push_blob(client, NAME, content)
    manifest = image([layer], config)
    await put_manifest(client, NAME, tag, manifest)
    return manifest


@pytest.fixture
async def filled(registry):
    images = [
        await push(registry, "1.10", size=10, created="2026-03-03T00:00:00Z"),
        await push(registry, "1.9", size=3000, created="2026-03-05T00:00:00Z", architecture="arm64"),
        await push(registry, "latest", size=200, created="2026-03-04T00:00:00Z"),
    ]
    await put_manifest(registry, NAME, "multi", index(images[:2]))
    return registry


def read_only(lists):
    """Return the lists as they are of a registry without our extension."""
    lists._client._no_glance_until = lists._client._clock() + 1000
    return lists


async def tags(lists, **wanted):
    page = await lists.page(NAME, **{"size": 50, **wanted})
    return [row.tag for row in page.rows]


@pytest.mark.parametrize(
    "wanted", [{}, {"sort": "name"}, {"sort": "size"}, {"sort": "created"}, {"contains": "1."}], ids=str
)
async def test_both_ways_show_the_same(filled, lists, wanted):
    glance = await lists.page(NAME, size=50, **wanted)
    read = await read_only(lists).page(NAME, size=50, **wanted)
    assert glance.rows
    assert all(row.pushed for row in glance.rows)
    assert [dataclasses.replace(row, pushed=None) for row in glance.rows] == list(read.rows)
    assert (glance.total, glance.sort, glance.number) == (read.total, read.sort, read.number)


@pytest.mark.parametrize("way", [lambda lists: lists, read_only], ids=["at a glance", "read"])
async def test_orders_and_pages(filled, lists, way):
    lists = way(lists)
    assert await tags(lists, sort="name") == ["multi", "latest", "1.10", "1.9"]
    assert (await tags(lists, sort="size"))[0] == "multi"
    assert await tags(lists, contains="LAT") == ["latest"]
    assert await tags(lists, sort="name", size=3, number=2) == ["1.9"]
    page = await lists.page(NAME, sort="name", size=3, number=99)
    assert (page.number, [row.tag for row in page.rows]) == (2, ["1.9"])
    assert await tags(lists, contains="nothing") == []


async def test_a_page_is_one_request(filled, lists):
    asked = []
    request = lists._client._request

    async def counted(*arguments, **more):
        asked.append(arguments)
        return await request(*arguments, **more)

    lists._client._request = counted
    await lists.page(NAME, sort="created", size=100)
    assert len(asked) == 1


@pytest.mark.parametrize("way", [lambda lists: lists, read_only], ids=["at a glance", "read"])
async def test_an_unknown_repository(registry, lists, way):
    with pytest.raises(RegistryNotFound):
        await way(lists).page("no/where", size=50)


async def test_an_image_that_cannot_be_read_says_so(filled, lists, registry):
    manifest = await push(registry, "broken")
    driver = registry.server.app[next(key for key in registry.server.app if "parts" in str(key))].registry.driver
    await driver.delete(
        f"docker/registry/v2/repositories/{NAME}/_manifests/revisions/sha256/{manifest.digest[7:]}/link"
    )
    rows = {row.tag: row for row in (await lists.page(NAME, size=50)).rows}
    assert isinstance(rows["broken"], Unreadable)


@pytest.mark.parametrize("document", [{}, {"tags": 5}, {"tags": [1, {}], "total": "x"}])
async def test_an_odd_answer_is_an_empty_list(lists, document):
    async def answer(*_):
        return document

    lists._client.tags_at_a_glance = answer
    page = await lists.page(NAME, size=50)
    assert all(isinstance(row, Unreadable) for row in page.rows)


async def test_an_index_type_is_told(filled, lists):
    rows = {row.tag: row for row in (await lists.page(NAME, size=50)).rows}
    assert (rows["multi"].media_type, rows["multi"].platforms) == (OCI_INDEX, ("linux/amd64", "linux/arm64"))


async def test_sizes_times_and_platforms_of_strangers_are_bounded(lists):
    async def answer(*_):
        row = {"tag": "t", "digest": "d", "mediaType": "m", "size": 10**400, "created": "9999-12-31T23:59:59-23:59"}
        return {"tags": [row | {"platforms": ["p" * 100]}]}

    lists._client.tags_at_a_glance = answer
    ((row),) = (await lists.page(NAME, size=50)).rows
    assert (row.size, row.created, row.platforms) == (0, None, ("p" * 60,))
