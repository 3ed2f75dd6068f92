"""What the token endpoint leaves in the audit trail: sign-ins and what was not granted, and nothing for repeats."""

import asyncio

import pytest

from tests.kit.actors import ADMIN
from tests.web.conftest import PASSWORD
from web_service.access import Level
from web_service.access_tokens import Draft
from web_service.audit import Wanted
from web_service.limits import Limit
from web_service.roles import RuleDraft

WITH_PASSWORD = {"credential": "password"}


async def trail(console, *actions):
    entries = (await console.parts.audit.page(Wanted(), size=10_000)).entries
    return [(one.action, one.actor, one.subject, one.new) for one in reversed(entries) if one.action in actions]


async def pull(console, actions="pull", repository="a", **who):
    return await console.token(scope=f"repository:{repository}:{actions}", **who)


async def test_a_client_that_keeps_its_password_is_one_line(console):
    await console.user("dev", "read-all")
    answers = await asyncio.gather(*(pull(console, user="dev", password=PASSWORD) for _ in range(20)))
    assert {one.status for one in answers} == {200}
    assert await trail(console, "signin", "scope.refused") == [("signin", "dev", "dev", WITH_PASSWORD)]


async def test_a_docker_login_and_the_pull_after_it_are_one_line_and_another_login_is_another(console):
    await console.user("dev", "read-all")
    for _ in range(2):
        await console.token(user="dev", password=PASSWORD)
        await pull(console, user="dev", password=PASSWORD)
    assert await trail(console, "signin") == [("signin", "dev", "dev", WITH_PASSWORD)] * 2


async def test_a_client_that_is_given_a_refresh_token_is_not_told_of_twice(console):
    user = await console.user("dev", "read-all")
    answer = await pull(console, user="dev", password=PASSWORD, offline_token="true", client_id="docker")
    assert [action for action, *_ in await trail(console, "signin", "refresh-token.create")] == ["refresh-token.create"]
    form = {"grant_type": "refresh_token", "refresh_token": (await answer.json())["refresh_token"]}
    client = await console.new_client(console.server)
    for _ in range(3):
        assert (await client.post("/api/auth", data={**form, "scope": "repository:a:pull"})).status == 200
    (held,) = await console.parts.refresh_tokens.of_user(user.id)
    new = {"credential": "refresh token", "client": "docker", "token_id": held.id}
    assert await trail(console, "signin") == [("signin", "dev", "dev", new)]


async def test_an_access_token_and_what_its_limits_do_not_leave_are_recorded(console):
    user = await console.user("dev", "write-all")
    limits = (Limit("team/**", Level.PULL),)
    token, secret = await console.parts.access_tokens.create(user.id, Draft("ci", 1, limits), by=ADMIN)
    for _ in range(2):
        await pull(console, "pull,push", "team/app", user="dev", password=secret)
    named = {"token": "ci", "token_id": token.id}
    lines = await trail(console, "signin", "scope.refused")
    assert lines == [
        ("signin", "dev", "dev", {"credential": "access token", **named}),
        ("scope.refused", "dev", "team/app", {"refused": ["push"], "granted": ["pull"], **named}),
    ]
    assert secret[8:] not in str(lines)


async def test_what_was_refused_to_a_user_and_to_a_stranger_is_recorded(console):
    await console.user("dev", "read-all")
    await console.open_to_everybody(RuleDraft("*", "public/**", "pull"))
    for _ in range(2):
        await pull(console, "pull,push", user="dev", password=PASSWORD)
        await pull(console, "pull", "secret", user="")
    await console.token(user="dev", password=PASSWORD, scope="registry:catalog:*")
    assert await trail(console, "scope.refused") == [
        ("scope.refused", "dev", "a", {"refused": ["push"], "granted": ["pull"]}),
        ("scope.refused", "", "secret", {"refused": ["pull"]}),
        ("scope.refused", "dev", "registry:catalog", {"refused": ["*"], "granted": ["list"]}),
    ]


@pytest.mark.parametrize("actions", ["pull", "pull,push"])
async def test_a_repeat_writes_nothing_and_takes_no_rights_out_of_memory(console, monkeypatch, actions):
    await console.user("dev", "read-all")
    for _ in range(2):  # the first leaves a line, after which the second reads anew
        await pull(console, actions, user="dev", password=PASSWORD)
    database, written, read = console.parts.database, [], []
    real_read = database.read

    async def count(function, *args, **kwargs):
        read.append(function)
        return await real_read(function, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(database, "write", lambda *args: written.append(args))
        patched.setattr(database, "read", count)
        for _ in range(5):
            assert (await pull(console, actions, user="dev", password=PASSWORD)).status == 200
    assert written == []
    assert len(read) == 5  # the one look at the newest line


async def test_a_flood_of_one_leaves_the_rights_of_others_in_memory(console):
    """Each line makes everybody's rights be read anew; of one flooder there are no more lines than the bound."""
    await console.user("dev", "read-all")
    for start in range(0, 400, 80):
        wanted = " ".join(f"repository:r{number}:push" for number in range(start, start + 80))
        assert (await console.token(user="dev", password=PASSWORD, scope=wanted)).status == 200
    lines = await trail(console, "scope.refused")
    assert len(lines) == 200
    assert [number for number, line in enumerate(lines) if "further" in line[3]] == [199]
