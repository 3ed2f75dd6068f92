"""What the system tests share: one Docker Engine, one pair of services, one checkout, one folder for each user."""

import asyncio
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.kit.checkout import fresh_copy
from tests.kit.console import browser_page
from tests.kit.containerd import running_containerd
from tests.kit.engine import Docker, running_engine
from tests.kit.services import ADMIN_PASSWORD, running_services
from tests.kit.walk import PASSWORD, READER, WRITER


@pytest.fixture(scope="session")
def engine():
    with running_engine() as host:
        yield host


@pytest.fixture(scope="session")
def containerd():
    with running_containerd() as socket:
        yield socket


@pytest.fixture
def docker(engine, tmp_path):
    return Docker(engine, tmp_path / "docker")


@pytest.fixture
def short_path():
    """A folder for what must lie below a short path: podman's run folder may have fifty characters."""
    with tempfile.TemporaryDirectory(prefix="cangku-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def shared_pair(tmp_path_factory):
    """Both services with one user who may do everything and one who may only read.

    For tests of which each has repositories of its own.
    """
    folder = tmp_path_factory.mktemp("shared-pair")
    with running_services(folder) as pair:
        asyncio.run(_create_users(pair.console_url, folder))
        yield pair


async def _create_users(url, folder):
    async with browser_page(url, folder) as console:
        await console.sign_in("admin", ADMIN_PASSWORD)
        await console.create_role("everything", repository="**", level="admin")
        await console.create_user(WRITER, PASSWORD, roles=["everything"])
        await console.create_user(READER, PASSWORD, roles=["read-all"])


@pytest.fixture(scope="session")
def checkout(tmp_path_factory) -> Path:
    """A fresh copy of the project in which the scripts have installed what they need, once for all tests."""
    folder = fresh_copy(tmp_path_factory.mktemp("checkout") / "cangku")
    subprocess.run([folder / "scripts/generate-keys", "--help"], check=True, capture_output=True, timeout=300)
    return folder
