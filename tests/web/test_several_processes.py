"""Two processes of the web service on one database: what one does, the other knows at once."""

import asyncio
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import jwt
import pytest
from aiohttp import encode_basic_auth

from tests.kit.services import free_port, running_service

PASSWORD = "correct horse"
SECRET = "between-the-two"


class Pair:
    """The URLs of both processes, and what each has logged."""

    def __init__(self, folder):
        self.folder = folder
        self.ports = (free_port(), free_port())
        self.urls = tuple(f"http://127.0.0.1:{port}" for port in self.ports)

    def log(self):
        return "".join((self.folder / f"{port}.log").read_text() for port in self.ports)


@pytest.fixture
def pair(database_url, keys, tmp_path):
    """Two processes that were started at the same moment on an empty database."""
    pair = Pair(tmp_path)
    config = tmp_path / "config.yml"
    config.write_text(f"registry: {{name: 'registry:5000', auth: {{enabled: true, key: '{keys.key}'}}}}\n")
    environ = {"WEB_DATABASE_URL": database_url.value, "WEB_NOTIFICATIONS_TOKEN": SECRET}
    command = [sys.executable, "-m", "web_service", "serve", str(config)]

    def start(port):
        own = {"WEB_HTTP_ADDR": f"127.0.0.1:{port}"}
        return running.enter_context(running_service(command, environ | own, tmp_path / f"{port}.log"))

    with ExitStack() as running, ThreadPoolExecutor() as both:
        list(both.map(start, pair.ports))
        yield pair


@pytest.fixture
async def admins(pair, visit):
    """The first administrator, at either process."""
    visitors = [await visit(url) for url in pair.urls]
    for visitor in visitors:
        assert (await visitor.sign_in("admin", "admin")).status == 303
    return visitors


async def new_user(admin, name, *roles):
    """Make a user and return its number."""
    answer = await admin.post("/user/create", name=name, password=PASSWORD, enabled="on")
    assert answer.status == 303, await answer.text()
    place = answer.headers["Location"]
    for role in roles:
        await admin.post(place.replace("show", "addRole"), role=await role_id(admin, role))
    return int(place.rpartition("/")[2])


async def role_id(admin, name):
    return re.search(rf'href="/role/show/(\d+)"[^>]*>{name}<', await admin.text("/role/index"))[1]


async def token(visitor, password=PASSWORD, name="dev"):
    """Ask for a token, as the user dev."""
    headers = {"Authorization": encode_basic_auth(name, password)}
    query = {"service": "registry:5000", "scope": "repository:team/app:pull"}
    return await visitor.client.get("/api/auth", params=query, headers=headers)


async def granted(visitor):
    """Return what a token for dev allows."""
    claims = jwt.decode((await (await token(visitor)).json())["token"], options={"verify_signature": False})
    return [action for entry in claims["access"] for action in entry["actions"]]


async def test_one_of_two_that_start_at_once_makes_the_database(pair):
    assert pair.log().count("a new database was made") == 1


async def test_users_and_sessions_are_shared(pair, admins, visit):
    here, _ = admins
    await new_user(here, "dev")
    there = await visit(pair.urls[1])
    assert (await there.sign_in("dev", PASSWORD)).status == 303
    elsewhere = await visit(pair.urls[0], window_of=there)
    assert "dev" in await elsewhere.text("/account")
    session = {cookie.key: cookie.value for cookie in there.client.cookie_jar}
    assert (await elsewhere.post("/logout")).status == 303
    there.client.cookie_jar.update_cookies(session)
    assert (await there.get("/account")).status == 303


async def test_a_changed_password_and_a_closed_account_hold_in_the_other_process_at_once(admins):
    here, there = admins
    number = await new_user(here, "dev")
    for visitor in admins:
        assert (await token(visitor)).status == 200
    assert (await here.post(f"/user/update/{number}", password="another one", enabled="on")).status == 303
    assert (await token(there)).status == 401
    assert (await token(there, "another one")).status == 200
    assert (await here.post(f"/user/update/{number}")).status == 303
    assert (await token(there, "another one")).status == 401


async def test_a_revoked_access_token_is_refused_by_the_other_process_at_once(admins):
    here, there = admins
    for _ in range(3):
        page = await here.post("/account/addToken", name="ci", days="30", limits="", api="none")
        secret = re.search(r"ckp_\w{40}", await page.text())[0]
        for visitor in admins * 2:
            assert (await token(visitor, secret, name="")).status == 200
        revoking = re.search(r"/account/revokeToken/\d+", await here.text("/account"))[0]
        assert (await here.post(revoking)).status == 303
        assert (await token(there, secret, name="")).status == 401


async def test_a_disabled_role_grants_nothing_in_the_other_process_at_once(admins):
    here, there = admins
    await new_user(here, "dev", "read-all")
    assert await granted(there) == ["pull"]
    assert (await here.post(f"/role/update/{await role_id(here, 'read-all')}")).status == 303
    assert await granted(there) == []


async def test_every_change_counts_for_the_next_token_of_the_other_process_while_it_issues_many(admins):
    here, there = admins
    number = await new_user(here, "dev", "read-all")
    place, account = f"/role/update/{await role_id(here, 'read-all')}", f"/user/update/{number}"
    others = [asyncio.create_task(_ask_on(there)) for _ in range(8)]
    for _ in range(8):
        assert (await here.post(place)).status == 303
        assert await granted(there) == []
        assert (await here.post(place, enabled="on")).status == 303
        assert await granted(there) == ["pull"]
        assert (await here.post(account)).status == 303
        assert (await token(there)).status == 401
        assert (await here.post(account, enabled="on")).status == 303
        assert await granted(there) == ["pull"]
    for one in others:
        one.cancel()
    asked = [one for one in await asyncio.gather(*others, return_exceptions=True) if isinstance(one, Exception)]
    assert asked == []


async def _ask_on(visitor):
    while True:
        assert (await token(visitor)).status in {200, 401}


async def test_of_two_administrators_who_step_down_in_two_processes_one_stays(pair, admins, visit):
    here, _ = admins
    boss = await visit(pair.urls[1])
    numbers = {here: 1, boss: await new_user(here, "boss", "UI_ADMIN")}
    await boss.sign_in("boss", PASSWORD)
    role = await role_id(here, "UI_ADMIN")
    forms = {visitor: {"csrf": await visitor.csrf(), "role": role} for visitor in numbers}

    async def step_down(visitor):
        path = f"/user/deleteRole/{numbers[visitor]}"
        answer = await visitor.client.post(path, data=forms[visitor], allow_redirects=False)
        return answer.status

    for _ in range(10):
        results = await asyncio.gather(step_down(here), step_down(boss))
        assert sorted(results) == [303, 403]
        stays, other = (here, boss) if results[0] == 403 else (boss, here)
        assert (await stays.post(f"/user/addRole/{numbers[other]}", role=role)).status == 303
        assert (await other.get("/user/index")).status == 200


async def test_an_event_that_both_receive_is_recorded_once(admins):
    def event(number):
        return {
            "id": f"event-{number}",
            "timestamp": "2026-01-02T03:04:05Z",
            "action": "push",
            "target": {"repository": "team/app", "tag": str(number)},
        }

    async def deliver(visitor):
        envelope = {"events": [event(number) for number in range(100)]}
        headers = {"Authorization": f"Bearer {SECRET}"}
        return await (await visitor.client.post("/api/notification", json=envelope, headers=headers)).json()

    answers = await asyncio.gather(*(deliver(visitor) for visitor in admins * 3))
    assert sum(answer["recorded"] for answer in answers) == 100
    assert sum(answer["repeated"] for answer in answers) == 500
