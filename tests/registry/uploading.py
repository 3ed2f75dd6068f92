"""What tests of uploads are made of: bytes in pieces, bodies that break off, a driver that can be watched."""

import asyncio
import hashlib

import pytest

from registry_service import layout
from registry_service.errors import RegistryError
from registry_service.registry import Registry
from registry_service.storage.driver import StorageFull, parts_of
from registry_service.storage.memory import MemoryDriver
from registry_service.uploads import Uploads
from shared.names import Digest

NAME = "team/app"


def digest_of(body, algorithm="sha256"):
    return Digest(algorithm, hashlib.new(algorithm, body).hexdigest())


def cut(body, size):
    return [body[i : i + size] for i in range(0, len(body), size)]


async def stream(*chunks, then=None):
    """Yield chunks as a request body does, and break off with an exception where one is given."""
    for chunk in chunks:
        yield chunk
    if then is not None:
        raise then


def refused(code):
    """Return the expectation of a RegistryError with a code."""
    return pytest.raises(RegistryError, check=lambda error: error.problems[0].code is code)


class Watched(MemoryDriver):
    """A driver that counts the bytes that are read back, and whose room (bytes) can be made to end."""

    def __init__(self):
        super().__init__()
        self.bytes_read = 0
        self.room = None

    async def stream(self, key, start, length):
        self.bytes_read += length
        async for chunk in super().stream(key, start, length):
            yield chunk

    async def read(self, key):
        data = await super().read(key)
        self.bytes_read += len(data) if key.endswith("/data") else 0
        return data

    async def append(self, key, offset, data, *, expected=None):
        data = b"".join(parts_of(data))
        fitting = data[: self.room]
        state = await super().append(key, offset, fitting, expected=expected)
        self.room = self.room and self.room - len(fitting)
        if len(fitting) < len(data):
            raise StorageFull
        return state


async def process(driver):
    """Return the uploads of a process that has just started."""
    return await asyncio.to_thread(Uploads, driver)


async def stored(driver, digest, name=NAME):
    blob = await Registry(driver).blob(name, digest)
    return await driver.read(blob.key)


def leftovers(driver):
    return driver.children(layout.uploads(NAME))
