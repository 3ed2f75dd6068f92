"""Lists of tags, repositories and referrers."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_service import layout
from registry_service.errors import Code, RegistryError
from registry_service.listing import catalog_page, every_repository, tags_page
from registry_service.manifests import parse_manifest
from registry_service.registry import Registry
from registry_service.storage.filesystem import FilesystemDriver
from registry_service.storage.memory import MemoryDriver
from shared.names import Digest, Tag
from tests.kit.content import blob, image, image_config

NAME = "team/app"
LAYER, CONFIG = blob(b"layer"), image_config()
SUBJECT = image([LAYER], CONFIG)
DIGEST = Digest("sha256", "a" * 64)


@pytest.fixture(params=[MemoryDriver, FilesystemDriver])
def registry(request, tmp_path):
    return Registry(MemoryDriver() if request.param is MemoryDriver else FilesystemDriver(tmp_path / "root"))


def refused(code):
    return pytest.raises(RegistryError, check=lambda error: error.problems[0].code is code)


async def add_tags(registry, *tags, name=NAME):
    await registry.driver.write(layout.layers_marker(name), b"")
    for tag in tags:
        await registry.tag_manifest(name, Tag(tag), DIGEST)


async def push(registry, content, name=NAME):
    for one in (LAYER, CONFIG):
        digest = Digest.parse(one.digest)
        await registry.driver.write(layout.blob(digest), one.body)
        await registry.link_blob(name, digest, digest)
    manifest = parse_manifest(content.body, content.media_type)
    return await registry.put_manifest(name, manifest.digest, manifest)


TAGS = ["1.0", "10", "9", "B", "_x", "a", "b", "v1.tmp", "z"]


@pytest.mark.parametrize(
    ("last", "limit", "entries", "more"),
    [
        ("", None, TAGS, False),
        ("", 3, TAGS[:3], True),
        ("9", 3, TAGS[3:6], True),
        ("b", 2, TAGS[7:], False),
        ("b", 1, TAGS[7:8], True),
        ("z", 5, [], False),
        ("Zoo", 1, ["_x"], True),
        ("~", None, [], False),
        ("", 100, TAGS, False),
        ("", 9, TAGS, False),
        ("", 0, [], True),
    ],
)
async def test_tags_come_in_byte_order_after_the_last_seen(registry, last, limit, entries, more):
    await add_tags(registry, *reversed(TAGS))
    page = await tags_page(registry, NAME, last=last, limit=limit)
    assert (list(page.entries), page.more) == (entries, more)


async def test_tags_of_an_unknown_repository(registry):
    await add_tags(registry, "a", name="team/application")
    with refused(Code.NAME_UNKNOWN):
        await tags_page(registry, NAME)


async def test_a_repository_that_only_begins_an_upload_is_unknown_still(registry):
    await registry.driver.write(layout.upload_started(NAME, "x"), b"")
    with refused(Code.NAME_UNKNOWN):
        await tags_page(registry, NAME)


async def test_a_repository_without_tags_has_an_empty_list(registry):
    await add_tags(registry)
    assert (await tags_page(registry, NAME)).entries == ()


async def test_a_repository_whose_tags_are_all_deleted_has_an_empty_list(registry):
    await add_tags(registry, "a")
    await registry.delete_tag(NAME, Tag("a"))
    assert (await tags_page(registry, NAME)).entries == ()


async def names(registry, **more):
    return list((await catalog_page(registry, **{"limit": 100, **more})).entries)


async def test_an_empty_registry_has_an_empty_catalog(registry):
    page = await catalog_page(registry, limit=10)
    assert (page.entries, page.more) == ((), False)


@pytest.mark.parametrize("key", [layout.layers_marker(NAME), layout.revision_link(NAME, DIGEST)])
async def test_layers_or_manifests_make_a_repository(registry, key):
    await registry.driver.write(key, b"")
    assert await names(registry) == [NAME]


async def test_uploads_alone_make_no_repository_in_the_catalog_yet(registry):
    await registry.driver.write(layout.upload_started(NAME, "x"), b"")
    assert await names(registry) == []
    assert [name async for name in every_repository(registry.driver)] == [NAME]


NESTED = ["a", "a/b", "a/b/c", "a-b", "a.tmp", "a0/z", "b/c"]


@pytest.mark.parametrize(
    ("last", "limit", "entries", "more"),
    [
        ("", 100, NESTED, False),
        ("", 2, NESTED[:2], True),
        ("a", 2, NESTED[1:3], True),
        ("a/b", 100, NESTED[2:], False),
        ("a/b/c", 1, NESTED[3:4], True),
        ("a/c", 100, NESTED[3:], False),
        ("a0", 100, NESTED[5:], False),
        ("b", 100, NESTED[6:], False),
        ("b/c", 100, [], False),
        ("zoo", 100, [], False),
        ("", 7, NESTED, False),
    ],
)
async def test_repositories_come_part_after_part_as_the_go_registry_walks(registry, last, limit, entries, more):
    for name in reversed(NESTED):
        await add_tags(registry, name=name)
    page = await catalog_page(registry, last=last, limit=limit)
    assert (list(page.entries), page.more) == (entries, more)


async def test_a_page_sees_what_another_program_has_just_changed(tmp_path):
    registry, tree = Registry(await asyncio.to_thread(FilesystemDriver, tmp_path)), tmp_path / layout.REPOSITORIES
    for name in NESTED:
        (tree / name / layout.LAYERS).mkdir(parents=True)
    await asyncio.sleep(0.06)
    expected = list(NESTED)
    assert await names(registry) == await names(registry) == expected
    for name in ("a/b/c/d", "a/a", "0", "z"):
        (tree / name / layout.MANIFESTS).mkdir(parents=True)
        expected = sorted([*expected, name], key=lambda one: one.split("/"))
        assert await names(registry) == expected
    for name in ("a/b", "z", "0"):
        (tree / name / (layout.LAYERS if name == "a/b" else layout.MANIFESTS)).rmdir()
        expected.remove(name)
        assert await names(registry) == expected


class Counting(MemoryDriver):
    """Counts the folders that are read."""

    read = 0

    async def children(self, folder):
        self.read += 1
        return await super().children(folder)


@pytest.mark.parametrize(("last", "limit", "most"), [("", 10, 13), ("f1/r25", 10, 14), ("f1/r45", 10, 24), ("", 1, 4)])
async def test_a_page_costs_what_is_on_it(last, limit, most):
    """Not what lies before it, nor after it: a folder of folders is not read ahead."""
    registry = Registry(Counting())
    for folder in range(4):
        for number in range(50):
            await registry.driver.write(layout.layers_marker(f"f{folder}/r{number:02}"), b"")
    registry.driver.read = 0
    assert len(await names(registry, last=last, limit=limit)) == limit
    assert registry.driver.read <= most


async def test_a_page_of_what_is_visible(registry):
    for number in range(300):
        await add_tags(registry, name=f"r{number:03}")
    page = await catalog_page(registry, limit=2, last="r150", visible=lambda name: name.endswith("77"))
    assert (page.entries, page.more) == (("r177", "r277"), False)


async def test_a_stray_file_in_the_tree_is_no_repository(registry):
    await add_tags(registry)
    for stray in ("lost+found", "team/.DS_Store", "team/readme"):
        await registry.driver.write(f"{layout.REPOSITORIES}/{stray}", b"x")
    assert await names(registry) == [NAME]


COMPONENTS = st.sampled_from(["a", "b", "a-b", "a.b", "ab", "0", "z__z"])
REPOSITORIES = st.lists(COMPONENTS, min_size=1, max_size=3).map("/".join)


async def pages(page, limit):
    """Return the pages that a client gets that goes on after the last entry while there is more."""
    found = [await page(last="", limit=limit)]
    while found[-1].more:
        found.append(await page(last=found[-1].entries[-1], limit=limit))
    return found


@settings(max_examples=60, deadline=None)
@given(st.sets(REPOSITORIES, max_size=12), REPOSITORIES | st.just(""), st.integers(1, 5))
def test_the_pages_of_a_catalog_are_what_sorting_and_slicing_would_give(repositories, last, limit):
    async def scenario():
        registry = Registry(MemoryDriver())
        for name in repositories:
            await add_tags(registry, name=name)
        ordered = sorted(repositories, key=lambda name: name.split("/"))
        found = await pages(lambda **more: catalog_page(registry, **more), limit)
        assert [name for page in found for name in page.entries] == ordered
        assert all(len(page.entries) == limit for page in found[:-1])
        after = [name for name in ordered if name.split("/") > (last.split("/") if last else [])]
        assert await names(registry, last=last, limit=limit) == after[:limit]

    asyncio.run(scenario())


@settings(max_examples=60, deadline=None)
@given(st.sets(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,3}", fullmatch=True), max_size=12), st.integers(1, 5))
def test_the_pages_of_a_tag_list_are_the_sorted_tags(tags, limit):
    async def scenario():
        registry = Registry(MemoryDriver())
        await add_tags(registry, *tags)
        found = await pages(lambda **more: tags_page(registry, NAME, **more), limit)
        assert [tag for page in found for tag in page.entries] == sorted(tags)

    asyncio.run(scenario())
