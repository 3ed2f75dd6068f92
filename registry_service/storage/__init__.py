"""Storage drivers, and the one place that chooses among them."""

from registry_service.config import Storage
from registry_service.storage.driver import Driver
from registry_service.storage.filesystem import FilesystemDriver
from registry_service.storage.memory import MemoryDriver


def create_driver(config: Storage) -> Driver:
    """Return the driver that the configuration names; raises OSError when its folder cannot be used."""
    if config.filesystem is not None:
        return FilesystemDriver(config.filesystem.rootdirectory)
    return MemoryDriver()
