"""A registry in this process, on a real disk, with a real port."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient

from registry_service.api import create_api
from registry_service.api.requests import Parts
from registry_service.app import create_parts
from registry_service.config import HTTP, Config, Enabled, Filesystem, Storage


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A registry that deletes, without tokens and notifications."""
    return Config(
        storage=Storage(filesystem=Filesystem(tmp_path / "registry"), delete=Enabled(enabled=True)), http=HTTP()
    )


@pytest.fixture
def parts(config: Config) -> Parts:
    """The parts of that registry."""
    return create_parts(config)


@pytest.fixture
async def client(parts: Parts, aiohttp_client: Callable[..., object]) -> AsyncIterator[TestClient]:
    """A client of that registry."""
    return await aiohttp_client(create_api(parts), server_kwargs={"auto_decompress": False})
