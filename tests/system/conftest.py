"""What the system tests share: one Docker Engine, one checkout with its own environment, one folder for each user."""

import subprocess
from pathlib import Path

import pytest

from tests.kit.checkout import fresh_copy
from tests.kit.engine import Docker, running_engine


@pytest.fixture(scope="session")
def engine():
    with running_engine() as host:
        yield host


@pytest.fixture
def docker(engine, tmp_path):
    return Docker(engine, tmp_path / "docker")


@pytest.fixture(scope="session")
def checkout(tmp_path_factory) -> Path:
    """A fresh copy of the project in which the scripts have installed what they need, once for all tests."""
    folder = fresh_copy(tmp_path_factory.mktemp("checkout") / "cangku")
    subprocess.run([folder / "scripts/generate-keys", "--help"], check=True, capture_output=True, timeout=300)
    return folder
