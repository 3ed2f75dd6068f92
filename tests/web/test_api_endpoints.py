"""Whatever is sent to the API, the answer is a document that says what is wrong."""

import asyncio
import json
import zlib
from io import BytesIO

import pytest

from tests.kit.api import basic, program
from web_service.errors import Unavailable

JSON = "application/json"


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"", JSON, 400, "MALFORMED"),
        (b"{", JSON, 400, "MALFORMED"),
        (b"\xff", JSON, 400, "MALFORMED"),
        (b'{"name": "\xff"}', JSON, 400, "MALFORMED"),
        (b'{"name": "\\ud800"}', JSON, 400, "MALFORMED"),
        (b"[" * 100_000, JSON, 400, "MALFORMED"),
        (b'{"name": 1' + b"0" * 5000 + b"}", JSON, 400, "MALFORMED"),
        (b"null", JSON, 422, "INVALID"),
        (b"[]", JSON, 422, "INVALID"),
        (b'"name"', JSON, 422, "INVALID"),
        (b'{"name": "\\u0000"}', JSON, 422, "INVALID"),
        (b'{"name": "x", "more": 1}', JSON, 422, "INVALID"),
        (b'{"name": "x"}', "text/plain", 415, "UNSUPPORTEDTYPE"),
        (b'{"name": "x"}', "application/x-www-form-urlencoded", 415, "UNSUPPORTEDTYPE"),
        (b'{"name": "x"}', "application/json; charset=utf-16", 415, "UNSUPPORTEDTYPE"),
        (b'{"name": "x"}', "", 415, "UNSUPPORTEDTYPE"),
        (b'{"name": "' + b"x" * (4 << 20) + b'"}', JSON, 413, "TOOLARGE"),
        (b'{"name": "x"}', "application/json; charset=UTF-8", 201, ""),
    ],
)
async def test_bodies(console, body, content_type, status, code):
    admin = await program(console)
    roles = len(await console.parts.roles.all())
    found = await admin.call("POST", "/roles", data=BytesIO(body), headers={"Content-Type": content_type})
    assert found[0] == status
    assert len(await console.parts.roles.all()) == roles + (status == 201)
    if code:
        assert found[1]["errors"][0]["code"] == code
        assert admin.answer.content_type == JSON


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=1.0", "page"),
        ("page=%2B1", "page"),
        ("page=", "page"),
        ("page=٣", "page"),
        ("page=" + "9" * 5000, "page"),
        ("page=100001", "page"),
        ("size=0", "size"),
        ("size=201", "size"),
        ("size=1&size=2", "size"),
        ("other=1", "other"),
        ("%00=1", "\ufffd"),
        ("actor=" + "x" * 256, "actor"),
        ("since=yesterday", "since"),
        ("since=2026-01-01", "since"),
        ("since=2026-01-01T00:00:00", "since"),
        ("since=1767225600", "since"),
        ("since=9999-99-99T00:00:00Z", "since"),
    ],
)
async def test_queries_that_cannot_be_used(console, query, field):
    admin = await program(console)
    status, found = await admin.call("GET", f"/audit?{query}")
    [error] = found["errors"]
    assert (status, error["code"]) == (422, "INVALID")
    assert [one["field"] for one in error["detail"]] == [field]


@pytest.mark.parametrize(
    "query",
    [
        "since=2026-01-01T00:00:00Z",
        "since=2026-01-01t00:00:00.5%2B08:00",
        "since=0001-01-01T00:00:00Z",
        "since=9999-12-31T23:59:59-23:59",
        "actor=%00&subject=%ED%A0%80&action=%F0%9F%98%80",
        "page=100000&size=200",
    ],
)
async def test_queries_that_can_be_used(console, query):
    admin = await program(console)
    assert (await admin.call("GET", f"/audit?{query}"))[0] == 200


@pytest.mark.parametrize(
    "path", ["%00", "%ED%A0%80", "%FF", "a%2Fb", "%25", "..%2f", "%F0%9F%98%80", "x" * 5000, "'%20OR%201=1", "%0d%0a"]
)
async def test_strange_names_in_paths_name_nothing(console, path):
    admin = await program(console)
    for line in (
        f"GET /api/v1/users/{path}",
        f"DELETE /api/v1/roles/{path}",
        f"PUT /api/v1/groups/{path}/members/admin",
    ):
        head = f"{line} HTTP/1.1".encode(), b"Authorization: " + admin.headers["Authorization"].encode()
        status, answer = await console.raw(*head)
        assert status == 404, answer
        assert b'"NOTFOUND"' in answer


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.0", "٣", str(1 << 31), "9" * 400, "01" * 3])
async def test_strange_numbers_in_paths_number_nothing(console, number):
    admin = await program(console)
    assert (await admin.call("DELETE", f"/roles/read-all/rules/{number}"))[0] in (404, 405)
    assert (await admin.call("DELETE", f"/user/tokens/{number}"))[0] == 404
    assert (await admin.done("GET", "/roles/read-all/rules"))["items"]


async def test_names_are_found_in_any_spelling_of_their_letters(console):
    admin = await program(console)
    made = await admin.done("POST", "/users", {"name": "Ame\u0301lie"})
    assert made["name"] == "Am\u00e9lie"
    for spelling in ("Am%C3%A9lie", "Ame%CC%81lie"):
        status, answer = await console.raw(
            f"GET /api/v1/users/{spelling} HTTP/1.1".encode(), b"Authorization: " + basic("admin", "admin").encode()
        )
        assert status == 200, answer


async def test_a_method_or_path_that_is_not_there_is_told_as_json(console):
    admin = await program(console)
    status, found = await admin.call("DELETE", "/users")
    assert (status, found["errors"][0]["code"], admin.answer.headers["Allow"]) == (405, "UNSUPPORTED", "GET,HEAD,POST")
    assert (await admin.call("GET", "/nothing"))[1]["errors"][0]["code"] == "UNSUPPORTED"
    assert (await admin.call("GET", "/user/"))[0] == 404


async def test_what_fails_inside_is_not_told(console, monkeypatch, caplog):
    admin = await program(console)

    async def broken(*_):
        raise RuntimeError("deep inside")

    async def away(*_):
        raise Unavailable

    monkeypatch.setattr(type(console.parts.roles), "all", broken)
    status, found = await admin.call("GET", "/roles")
    assert status == 500
    assert "deep inside" not in json.dumps(found)
    assert "deep inside" in caplog.text
    monkeypatch.setattr(type(console.parts.roles), "all", away)
    status, found = await admin.call("GET", "/roles")
    assert (status, found["errors"][0]["code"]) == (503, "UNAVAILABLE")


async def test_a_body_that_breaks_off_is_no_failure_of_ours(console, caplog):
    authorization = b"Authorization: " + basic("admin", "admin").encode()
    reader, writer = await asyncio.open_connection(console.server.host, console.server.port)
    head = [b"POST /api/v1/roles HTTP/1.1", b"Host: x", authorization, b"Content-Type: application/json"]
    writer.write(b"\r\n".join([*head, b"Transfer-Encoding: chunked", b"", b'5\r\n{"nam\r\nzz\r\n']))
    answer = await reader.read(1000)
    writer.close()
    await writer.wait_closed()
    assert b" 400 " in answer.splitlines()[0]
    assert "a request failed" not in caplog.text


async def test_lists_come_in_pages(console):
    for number in range(5):
        await console.user(f"user{number}")
    admin = await program(console)
    names = []
    for page in (1, 2, 3, 4):
        found = await admin.done("GET", f"/users?page={page}&size=2")
        assert (found["page"], found["size"], found["more"]) == (page, 2, page < 3)
        names += [one["name"] for one in found["items"]]
    assert names == ["admin", *(f"user{number}" for number in range(5))]


async def test_answers_carry_the_security_headers_and_are_not_kept(console):
    admin = await program(console)
    await admin.done("GET", "/user")
    assert admin.answer.headers["X-Content-Type-Options"] == "nosniff"
    assert admin.answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in admin.answer.headers


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"garbage", 400),
        (zlib.compress(b"x" * (64 << 20)), 413),
        (zlib.compress(b'{"name": "compressed"}'), 201),
    ],
)
async def test_compressed_bodies(console, body, status):
    admin = await program(console)
    headers = {"Content-Type": JSON, "Content-Encoding": "deflate"}
    assert (await admin.call("POST", "/roles", data=BytesIO(body), headers=headers))[0] == status


@pytest.mark.parametrize(
    ("method", "path", "document", "field", "reason"),
    [
        ("POST", "/roles", {"name": "x", "nmae": "x"}, "nmae", "There is no such field here; there is: name."),
        ("PATCH", "/users/admin", {"roles": []}, "roles", "There is no such field here; there is: name, enabled."),
        (
            "POST",
            "/robots",
            {"name": "ci", "token": {"name": "x", "day": 1}},
            "token.day",
            "There is no such field here; there is: name, days, limits, api.",
        ),
        ("GET", "/users?pgae=2", None, "pgae", "There is no such parameter here; there is: page, size."),
        (
            "GET",
            "/access?repository=x&address=y",
            None,
            "address",
            "There is no such parameter here; there is: user, repository, action, from.",
        ),
        ("GET", "/user?verbose=1", None, "verbose", "There is no parameter here."),
    ],
)
async def test_what_is_not_known_is_answered_by_what_is(console, method, path, document, field, reason):
    status, found = await (await program(console)).call(method, path, document)
    assert status == 422
    assert found["errors"][0]["detail"] == [{"field": field, "reason": reason}]
