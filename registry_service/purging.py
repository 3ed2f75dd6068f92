"""Removal of uploads that nobody finished: background work of the keeper."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from registry_service import layout
from registry_service.config import UploadPurging
from registry_service.listing import every_repository
from registry_service.storage.driver import Driver, KeyNotFound
from registry_service.uploads import started_at
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
    async for name in every_repository(driver):
        for upload_id in await driver.children(layout.uploads(name)):
            started = await started_at(driver, name, upload_id)
            if started is None or started > limit:
                continue
            purged.append(upload_id)
            log.info("purging an unfinished upload", extra=fields(repository=name, upload=upload_id, started=started))
            if not config.dryrun:
                await _remove(driver, layout.upload(name, upload_id))
    return purged


async def _remove(driver: Driver, folder: str) -> None:
    try:
        await driver.delete(folder)
    except KeyNotFound:
        return
