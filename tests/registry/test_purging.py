"""Removal of uploads that nobody finished."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from registry_service import layout
from registry_service.config import UploadPurging
from registry_service.purging import purge_for_ever, purge_uploads
from registry_service.storage.filesystem import FilesystemDriver
from registry_service.storage.memory import MemoryDriver
from shared.config import Duration

NOW = datetime(2024, 1, 2, 15, 4, 5, tzinfo=UTC)
HOURLY = UploadPurging(age=Duration(3600.0))


@pytest.fixture(params=[MemoryDriver, FilesystemDriver])
def driver(request, tmp_path):
    return MemoryDriver() if request.param is MemoryDriver else FilesystemDriver(tmp_path / "root")


async def begin(driver, upload_id, started, name="team/app"):
    await driver.write(layout.upload_started(name, upload_id), started.encode())
    await driver.append(layout.upload_data(name, upload_id), 0, b"bytes")


def ago(**more):
    return (NOW - timedelta(**more)).strftime("%Y-%m-%dT%H:%M:%SZ")


def purge(driver, config=HOURLY):
    return purge_uploads(driver, config, lambda: NOW)


async def remaining(driver, name="team/app"):
    return await driver.children(layout.uploads(name))


@pytest.mark.parametrize(
    ("started", "purged"),
    [
        (ago(minutes=61), True),
        (ago(days=1000), True),
        (ago(minutes=60), True),
        (ago(minutes=59), False),
        (ago(seconds=0), False),
        (ago(days=-1), False),
        ("", False),
        ("yesterday", False),
        ("2024-01-02", False),
        ("2024-01-02T00:00:00Z\n", False),
    ],
)  # fmt: skip
async def test_an_upload_goes_when_it_began_longer_ago_than_its_age(driver, started, purged):
    """One whose time cannot be read stays, as in the Go registry."""
    await begin(driver, "one", started)
    assert await purge(driver) == (["one"] if purged else [])
    assert await remaining(driver) == ([] if purged else ["one"])


@pytest.mark.parametrize(("minutes", "purged"), [(59, False), (61, True)])
async def test_an_upload_without_its_time_goes_by_that_of_its_bytes(driver, minutes, purged):
    await driver.append(layout.upload_data("team/app", "one"), 0, b"bytes")
    await driver.append(f"{layout.upload('team/app', 'two')}/hashstates/x", 0, b"no bytes, no time")
    later = datetime.now(UTC) + timedelta(minutes=minutes)
    assert await purge_uploads(driver, HOURLY, lambda: later) == (["one"] if purged else [])
    assert await remaining(driver) == (["two"] if purged else ["one", "two"])


@pytest.mark.parametrize("stored", [b"", b"bytes"])
async def test_an_upload_of_ours_goes_with_and_without_bytes(driver, stored):
    for upload_id, began in (("old", ago(minutes=61)), ("new", ago(minutes=59))):
        await driver.append(layout.upload_begun("team/app", upload_id), 0, f"{began} team/app".encode())
        if stored:
            await driver.append(layout.upload_data("team/app", upload_id), 0, stored)
    assert await purge(driver) == ["old"]
    assert await remaining(driver) == (["new"] if stored else [])
    assert len(await driver.children(layout.BEGUN_UPLOADS)) == 1


@pytest.mark.parametrize(
    "note", [b"", b"yesterday team/app", b"2024-01-02T00:00:00Z", b"2024-01-02T00:00:00Z b", b"\xff"]
)
async def test_a_note_that_a_power_cut_left_half_goes_when_its_file_is_old(driver, note):
    """A note that does not name its repository is not believed: nothing else is removed for it."""
    await driver.write(f"{layout.BEGUN_UPLOADS}/one.x", note)
    await begin(driver, "one", ago(minutes=1), "b")
    assert await purge(driver) == (["one"] if note.startswith(b"2024") else [])
    assert await remaining(driver, "b") == ["one"]
    later = datetime.now(UTC) + timedelta(minutes=61)
    await purge_uploads(driver, HOURLY, lambda: later)
    assert await driver.children(layout.BEGUN_UPLOADS) == []


async def test_uploads_of_every_repository_are_purged_and_nothing_else(driver):
    for name in ("a", "a/b", "team/app", "app.tmp"):
        await begin(driver, f"old-{name[-1]}", ago(days=1), name)
        await begin(driver, "new", ago(minutes=1), name)
        await driver.write(layout.layers_marker(name), b"")
    assert sorted(await purge(driver)) == ["old-a", "old-b", "old-p", "old-p"]
    for name in ("a", "a/b", "team/app", "app.tmp"):
        assert await remaining(driver, name) == ["new"]
        assert await driver.children(layout.layers(name)) == [".keep"]


async def test_a_dry_run_only_says_what_would_go(driver):
    await begin(driver, "one", ago(days=1))
    assert await purge(driver, UploadPurging(age=Duration(3600.0), dryrun=True)) == ["one"]
    assert await remaining(driver) == ["one"]


async def test_a_dry_run_leaves_uploads_of_ours_with_all_they_have(driver):
    await driver.append(layout.upload_begun("team/app", "one"), 0, f"{ago(days=1)} team/app".encode())
    await driver.append(layout.upload_data("team/app", "one"), 0, b"bytes")
    assert await purge(driver, UploadPurging(age=Duration(3600.0), dryrun=True)) == ["one"]
    assert await remaining(driver) == ["one"]
    assert len(await driver.children(layout.BEGUN_UPLOADS)) == 1


async def test_several_registries_may_purge_one_storage_at_once(driver):
    for number in range(20):
        await begin(driver, f"{number:02}", ago(days=1))
    await asyncio.gather(*(purge(driver) for _ in range(3)))
    assert await remaining(driver) == []


async def wait_until_empty(driver):
    async with asyncio.timeout(5):
        while await remaining(driver):  # noqa: ASYNC110  a driver tells nobody of its changes
            await asyncio.sleep(0.005)


async def test_the_keeper_purges_at_the_start_and_again_after_each_interval(driver):
    config = UploadPurging(age=Duration(3600.0), interval=Duration(0.02))
    await begin(driver, "one", "2024-01-02T00:00:00Z")
    keeper = asyncio.create_task(purge_for_ever(driver, config))
    await wait_until_empty(driver)
    await begin(driver, "two", "2024-01-02T00:00:00Z")
    await wait_until_empty(driver)
    keeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeper


async def test_the_keeper_survives_a_storage_that_fails():
    class Failing(MemoryDriver):
        failures = 2

        async def children(self, folder):
            if folder == layout.REPOSITORIES and self.failures:
                self.failures -= 1
                raise OSError
            return await super().children(folder)

    driver = Failing()
    await begin(driver, "one", "2024-01-02T00:00:00Z")
    keeper = asyncio.create_task(purge_for_ever(driver, UploadPurging(interval=Duration(0.01))))
    await wait_until_empty(driver)
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)
    assert driver.failures == 0
