"""The memory driver keeps the contract."""

import pytest

from registry_service.storage.memory import MemoryDriver
from tests.registry.driver_contract import DriverContract
from tests.registry.move_contract import MoveContract


class TestMemoryDriver(DriverContract, MoveContract):
    @pytest.fixture
    def driver(self):
        return MemoryDriver()


async def test_a_closed_driver_holds_nothing_more():
    driver = MemoryDriver()
    await driver.write("a", b"x")
    await driver.close()
    assert await driver.children("") == []
