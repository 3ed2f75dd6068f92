"""/api/auth over the wire: nobody makes it work without end."""

import pytest
from aiohttp import FormData

from tests.web.conftest import PASSWORD
from tests.web.test_views_token import access, post


def scopes(count, actions="pull"):
    return " ".join(f"repository:team/app{number}:{actions}" for number in range(count))


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        (scopes(101), "More than 100 different scopes"),
        ("repository:a:" + ",".join("abcdefghijklmnopq"), "More than 16 different actions"),
        (" ".join(f"repository:a:{letter}" for letter in "abcdefghijklmnopq"), "More than 16 different actions"),
        (f"repository:{'x' * 33_000}:pull", "more than 32768 characters"),
    ],
)
async def test_nobody_asks_for_scopes_without_end(console, scope, words):
    response = await post(console, grant_type="password", username="admin", password="admin", scope=scope)
    body = await response.json()
    assert (response.status, body["error"]) == (400, "invalid_request")
    assert words in body["error_description"]
    assert body["errors"][0]["message"] == body["error_description"]
    if len(scope) < 8000:  # a longer line is no HTTP of ours
        response = await console.token(scope=scope)
        assert response.status == 400
        assert words in (await response.json())["errors"][0]["message"]
    assert await console.parts.asked.since(1) == []


async def test_a_hundred_scopes_are_answered_however_often_they_are_named(console):
    await console.user("dev", "write-all")
    fields = {"grant_type": "password", "username": "dev", "password": PASSWORD}
    response = await post(console, **fields, scope=f"{scopes(100)} {scopes(100, 'push')}")
    assert response.status == 200
    assert len(access(await response.json())) == 100


@pytest.mark.parametrize("kind", ["form", "multipart", "chunked"])
async def test_a_form_without_end_is_refused(console, kind):
    client = await console.new_client(console.server)
    fields = {"grant_type": "password", "username": "admin", "password": "x" * 66_000}

    async def pieces():
        for _ in range(9):
            yield b"password=" + b"x" * 8000 + b"&"

    if kind == "multipart":
        data = FormData(fields, default_to_multipart=True)
    else:
        data = fields if kind == "form" else pieces()
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if kind == "chunked" else {}
    response = await client.post("/api/auth", data=data, headers=headers)
    body = await response.json()
    assert (response.status, body["error"]) == (413, "invalid_request")
    assert "more than 65536 bytes" in body["errors"][0]["message"]
