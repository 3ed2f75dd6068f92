"""Removal of uploads that nobody finished: background work of the keeper."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from registry_service import layout
from registry_service.config import UploadPurging
from registry_service.listing import every_repository
from registry_service.storage.driver import Driver, KeyNotFound
from registry_service.uploads import moment_of, started_at
from shared.logs import fields

log: Final = logging.getLogger("registry.purging")


async def purge_for_ever(driver: Driver, config: UploadPurging) -> None:
    """Purge at the start and then every `interval`; ends only by cancellation."""
    while True:
        try:
            await purge_uploads(driver, config, lambda: datetime.now(UTC))
        except OSError as error:
            log.warning("unfinished uploads could not be purged", extra=fields(error=error))
        await asyncio.sleep(config.interval)


async def purge_uploads(driver: Driver, config: UploadPurging, now: Callable[[], datetime]) -> list[str]:
    """Remove the uploads that began more than `age` ago, and return their ids; with `dryrun` only say which."""
    limit = now() - timedelta(seconds=config.age)
    purged: list[str] = []
    async for upload in _open_uploads(driver):
        if upload.began is None or upload.began > limit:
            continue
        purged.append(upload.id)
        told = fields(repository=upload.repository, upload=upload.id, started=upload.began)
        log.info("purging an unfinished upload", extra=told)
        if not config.dryrun:
            for key in upload.keys:
                await _remove(driver, key)
    return purged


@dataclass(frozen=True, slots=True)
class _Unfinished:
    """An upload that is open: when it began, None for one that stays, and all keys that it has."""

    repository: str
    id: str
    began: datetime | None
    keys: tuple[str, ...]


async def _open_uploads(driver: Driver) -> AsyncGenerator[_Unfinished, None]:
    """Yield all uploads; those first that we began, with or without bytes."""
    ours = set[str]()
    for note in await driver.children(layout.BEGUN_UPLOADS):
        with suppress(KeyNotFound):
            upload = await _begun_by_us(driver, note)
            ours.update(upload.keys)
            yield upload
    async with aclosing(every_repository(driver)) as repositories:
        async for name in repositories:
            for upload_id in await driver.children(layout.uploads(name)):
                folder = layout.upload(name, upload_id)
                if folder not in ours:
                    yield _Unfinished(name, upload_id, await _began(driver, name, upload_id), (folder,))


async def _began(driver: Driver, name: str, upload_id: str) -> datetime | None:
    """Return when an upload began; where a crash has left no word of it, when its bytes changed last."""
    with suppress(KeyNotFound):
        await driver.stat(layout.upload_started(name, upload_id))
        return await started_at(driver, name, upload_id)
    with suppress(KeyNotFound):
        return datetime.fromtimestamp((await driver.stat(layout.upload_data(name, upload_id))).modified, UTC)
    return None


async def _begun_by_us(driver: Driver, note: str) -> _Unfinished:
    """Read the note of an upload. A power cut may have left it empty; then it goes by the age of its file."""
    key, upload_id = f"{layout.BEGUN_UPLOADS}/{note}", note.partition(".")[0]
    begun = await driver.read(key)
    name = begun.decode("ascii", "replace").partition(" ")[2]
    began = moment_of(begun) or datetime.fromtimestamp((await driver.stat(key)).modified, UTC)
    is_sound = key == layout.upload_begun(name, upload_id)
    return _Unfinished(name, upload_id, began, (key, layout.upload(name, upload_id)) if is_sound else (key,))


async def _remove(driver: Driver, key: str) -> None:
    with suppress(KeyNotFound):
        await driver.delete(key)
