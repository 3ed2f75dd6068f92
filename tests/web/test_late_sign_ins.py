"""A sign-in with the old password that a change of the password overtakes gives nothing that would outlive it."""

import asyncio

import bcrypt
import pytest

from tests.kit.actors import ADMIN
from tests.web.conftest import PASSWORD
from web_service.audit import Wanted
from web_service.models import RefreshTokenRow, SessionRow


@pytest.fixture
async def overtaken(console, monkeypatch):
    """A console in which the password of `dev` is changed just after it was found right."""
    dev = await console.user("dev", "UI_USER", "read-all")
    authenticator = console.parts.authenticator
    real = authenticator.sign_in

    async def sign_in(*args, **keys):
        login = await real(*args, **keys)
        await console.parts.users.set_password(dev.id, "another hash", by=ADMIN)
        return login

    monkeypatch.setattr(authenticator, "sign_in", sign_in)
    return console


async def kept(console):
    return [await console.parts.database.read(rows.select().count) for rows in (SessionRow, RefreshTokenRow)]


async def refusals(console):
    entries = (await console.parts.audit.page(Wanted(action="signin.refused"))).entries
    return [(one.actor, one.via, one.new["reason"]) for one in entries]


async def test_no_session_begins(overtaken):
    answer = await (await overtaken.visitor()).sign_in("dev")
    assert answer.status == 401
    assert "The password was changed in the meantime; sign in again." in await answer.text()
    assert "cangku_session" not in answer.cookies
    assert await kept(overtaken) == [0, 0]
    assert await refusals(overtaken) == [("dev", "console", "password changed")]


async def test_no_client_is_given_a_refresh_token(overtaken):
    answer = await overtaken.token(user="dev", password=PASSWORD, offline_token="true", scope="repository:a:pull")
    assert answer.status == 401
    assert "refresh_token" not in await answer.json()
    assert await kept(overtaken) == [0, 0]
    assert await refusals(overtaken) == [("dev", "docker", "password changed")]


async def test_a_password_whose_hash_is_renewed_by_its_first_use_signs_in(console):
    """As after a move from docker-registry-web, whose hashes are bcrypt."""
    dev = await console.user("dev", "UI_USER")
    hashed = bcrypt.hashpw(b"of old", bcrypt.gensalt(4)).decode()
    await console.parts.users.set_password(dev.id, hashed, by=ADMIN)
    visitors = [await console.visitor() for _ in range(4)]
    await asyncio.gather(*(visitor.csrf() for visitor in visitors))
    answers = await asyncio.gather(*(visitor.sign_in("dev", "of old") for visitor in visitors))
    assert [one.status for one in answers] == [303] * 4
    clients = [console.token(user="dev", password="of old", offline_token="true") for _ in range(4)]
    assert [one.status for one in await asyncio.gather(*clients)] == [200] * 4


async def test_many_that_come_at_once_with_a_password_of_old_are_all_given_a_refresh_token(console):
    dev = await console.user("dev", "read-all")
    hashed = bcrypt.hashpw(b"of old", bcrypt.gensalt(4)).decode()
    await console.parts.users.set_password(dev.id, hashed, by=ADMIN)
    clients = [console.token(user="dev", password="of old", offline_token="true") for _ in range(8)]
    assert [one.status for one in await asyncio.gather(*clients)] == [200] * 8
