"""PostgreSQL goes away and comes back, under a web service that goes on."""

import asyncio
import dataclasses
import logging

import pytest

from shared.config import Secret
from tests.kit.postgres import PASSWORD
from web_service.config import DatabaseConfig
from web_service.db import Database
from web_service.errors import Unavailable
from web_service.models import RoleRow

pytestmark = pytest.mark.system


@pytest.fixture
async def console(start, config, postgres):
    return await start(dataclasses.replace(config, database=DatabaseConfig(Secret(postgres.new_database()))))


@pytest.fixture
def server(postgres):
    """The server, which runs again after the test."""
    yield postgres
    if not postgres.is_running():
        postgres.start()


async def well_again(visitor):
    """Wait until the health check is content again."""
    for _ in range(100):
        if (await visitor.get("/api/health")).status == 200:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the service does not come back")


async def test_while_the_database_is_away_everybody_is_told_so_and_then_all_goes_on(console, server, caplog):
    admin = await console.admin()
    server.stop()
    for path in ("/", "/user/index", "/event/index"):
        page = await admin.get(path)
        text = await page.text()
        assert page.status == 503
        assert "The database cannot be reached at the moment" in text
        assert "Traceback" not in text
    chinese = await admin.get("/account", headers={"Accept-Language": "zh"})
    assert "暂时无法访问数据库" in await chinese.text()
    answer = await console.token()
    assert answer.status == 503
    assert "cannot be reached" in (await answer.json())["errors"][0]["message"]
    event = {
        "id": "1",
        "timestamp": "2026-01-02T03:04:05Z",
        "action": "push",
        "target": {"repository": "a", "tag": "b"},
    }
    assert (await admin.client.post("/api/notification", json={"events": [event]})).status == 503
    health = await admin.get("/api/health")
    assert (health.status, await health.json()) == (503, {"status": "database unavailable"})
    assert (await (await console.visitor()).get("/login")).status == 200
    server.start()
    await well_again(admin)
    assert "admin" in await admin.text("/user/index")
    assert (await console.token()).status == 200
    assert any(record.levelno == logging.ERROR and "does not answer" in record.message for record in caplog.records)
    assert PASSWORD not in caplog.text
    assert "a request failed" not in caplog.text


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_restart_between_two_requests_is_not_noticed(console, server, end):
    admin = await console.admin()
    await asyncio.gather(*(admin.text("/user/index") for _ in range(8)))  # every thread has a connection
    getattr(server, end)()
    server.start()
    answers = await asyncio.gather(*(admin.get("/user/index") for _ in range(8)))
    assert [answer.status for answer in answers] == [200] * 8


async def test_what_was_half_written_when_the_server_died_is_not_there(server):
    database = Database(Secret(server.new_database()))
    await database.open()

    def half():
        RoleRow.create(name="first")
        server.kill()
        RoleRow.create(name="second")

    with pytest.raises(Unavailable):
        await database.write(half)
    server.start()
    assert await database.read(RoleRow.select().count) == 0
    assert await database.write(RoleRow.create, name="first")
    await database.close()


async def test_nobody_waits_for_a_connection_that_was_just_refused(server):
    database = Database(Secret(server.new_database()))
    await database.open()
    server.stop()
    reasons = []
    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            await database.read(RoleRow.select().count)
        reasons.append(str(caught.value.__cause__))
    assert "a moment ago" in reasons[1]
    await database.close()
