"""The names in folders: remembered while a folder is as it was, and not a moment longer."""

import asyncio

import pytest

from registry_service.storage import filesystem
from registry_service.storage.filesystem import FilesystemDriver
from registry_service.storage.memory import MemoryDriver

SETTLED_SECONDS = 0.06


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


@pytest.fixture
def driver(root):
    return FilesystemDriver(root)


@pytest.mark.parametrize("kind", [FilesystemDriver, MemoryDriver])
async def test_listings_are_the_children_of_each_folder(driver, kind):
    driver = driver if kind is FilesystemDriver else MemoryDriver()
    for key in ("f/b", "f/a/x", "g"):
        await driver.write(key, b"")
    folders = ["f", "none", "f/a", "g", "f/b/none", "f"]
    expected = [("a", "b"), (), ("x",), (), (), ("a", "b")]
    for _ in range(3):  # too fresh to be remembered, read, remembered
        assert await driver.listings(folders) == expected
        assert [tuple(await driver.children(folder)) for folder in folders] == expected
        await asyncio.sleep(SETTLED_SECONDS)
    assert await driver.listings([]) == []


async def test_listings_of_folders_partly_remembered(driver, root):
    await driver.write("f/a/x", b"")
    await driver.write("g/b/x", b"")
    await asyncio.sleep(SETTLED_SECONDS)
    assert await driver.listings(["f", "g"]) == [("a",), ("b",)]
    (root / "g/c").mkdir()
    assert await driver.listings(["f", "g"]) == [("a",), ("b", "c")]


async def test_a_folder_that_changes_is_read_again(driver, root):
    """Its names are remembered, for there may be many; not a moment longer than they are right."""
    await driver.write("tags/v1/link", b"x")
    await asyncio.sleep(SETTLED_SECONDS)
    for number in range(2, 6):
        assert await driver.children("tags") == await driver.children("tags") == [f"v{i}" for i in range(1, number)]
        (root / f"tags/v{number}").mkdir()  # as another process does it
        await asyncio.sleep(SETTLED_SECONDS * (number % 2))
    (root / "tags/v3").rmdir()
    assert await driver.children("tags") == ["v1", "v2", "v4", "v5"]
    (await driver.children("tags")).clear()
    assert await driver.children("tags") == ["v1", "v2", "v4", "v5"]
    await driver.delete("tags")
    assert await driver.children("tags") == []


async def test_the_names_in_a_folder_are_marked_while_they_are_remembered(driver, root):
    await driver.write("tags/v1/link", b"x")
    (names,) = await driver.listings(["tags"])
    assert driver.mark("tags", names) is None  # it has changed too lately
    await asyncio.sleep(SETTLED_SECONDS)
    assert await driver.listings(["tags"]) == [("v1",)]
    mark = driver.mark("tags", ("v1",))
    assert driver.unchanged(mark)
    assert driver.mark("tags", ("v1", "v2")) is None
    assert driver.mark("nothing", ()) is None
    (root / "tags/v2").mkdir()  # as another process does it
    assert not driver.unchanged(mark)
    assert driver.mark("tags", ("v1",)) is None


async def test_the_names_remembered_are_bounded(driver, root, monkeypatch):
    monkeypatch.setattr(filesystem, "_MOST_WEIGHT", 2 * (filesystem._FOLDER_WEIGHT + 3) + 1)
    for folder in "abcde":
        for name in range(3):
            (root / folder / str(name)).mkdir(parents=True)
    await asyncio.sleep(SETTLED_SECONDS)
    for folder in "abcdeabcde":
        assert await driver.children(folder) == ["0", "1", "2"]
    assert list(driver._folders._items) == ["d", "e"]
