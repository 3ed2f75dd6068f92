"""How the parts are put together."""

import asyncio
import logging

import pytest

from shared.config import ConfigError, Secret
from web_service.app import load_settings
from web_service.config import AuthConfig, Config, RegistryConfig
from web_service.events import Event, Wanted


async def test_the_first_start_makes_the_first_user_and_the_second_keeps_the_data(start, config, caplog):
    caplog.set_level(logging.INFO)
    first = await start(config)
    await first.user("dev")
    await first.server.close()
    second = await start(config)
    assert [user.name for user in await second.parts.users.all()] == ["admin", "dev"]
    assert sum("a new database was made" in record.getMessage() for record in caplog.records) == 1


async def test_old_events_are_forgotten_at_the_start(start, config):
    first = await start(config)
    await first.parts.events.record([Event("old", 5, "dev", "push", "a", "1")])
    await first.server.close()
    second = await start(config)
    for _ in range(100):
        if not (await second.parts.events.page(Wanted())).events:
            break
        await asyncio.sleep(0.01)
    assert (await second.parts.events.page(Wanted())).events == ()


async def test_without_accounts_no_key_is_needed(start, with_registry, tmp_path):
    console = await start(with_registry(auth={"enabled": False, "key": tmp_path / "nothing"}))
    client = await console.new_client(console.server)
    assert (await client.get("/")).status == 200


async def test_fixed_credentials_reach_the_registry(start, with_registry, registry):
    console = await start(with_registry(auth={"enabled": False}, basic_auth=Secret("dTpw")))
    client = await console.new_client(console.server)
    await client.get("/")
    assert registry.requests[0][2]["Authorization"] == "Basic dTpw"


def test_a_missing_key_stops_the_start(tmp_path):
    config = Config(registry=RegistryConfig(auth=AuthConfig(enabled=True, key=tmp_path / "auth.key")))
    with pytest.raises(ConfigError, match="no such file"):
        load_settings(config)
