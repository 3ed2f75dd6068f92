"""The frame around every handler: errors in the specification's shape, headers, the log line."""

import dataclasses
import json
import logging
import sqlite3

import pytest
from aiohttp import web

from registry_service.api import create_api
from registry_service.config import AccessLog, Enabled, Log, Maintenance
from registry_service.errors import Code, RegistryError
from registry_service.storage.driver import StorageFull
from tests.kit.content import index


@pytest.fixture
def failing(parts, aiohttp_client):
    """Return a client of a registry with one page more, which raises what it is given."""

    async def failing(error):
        async def handler(request):
            raise error

        app = create_api(parts)
        app.router.add_get("/fail", handler)
        return await aiohttp_client(app)

    return failing


@pytest.mark.parametrize("code", Code, ids=lambda code: code.name)
async def test_every_code_goes_over_the_wire_as_the_table_says(failing, code):
    answer = await (await failing(RegistryError(code, {"a": 1}))).get("/fail")
    assert answer.status == code.value.status
    assert answer.headers["Content-Type"] == "application/json"
    expected = {"code": code.name, "message": code.value.message, "detail": {"a": 1}}
    assert json.loads(await answer.read()) == {"errors": [expected]}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (StorageFull("no space"), 503, "UNAVAILABLE"),
        (sqlite3.OperationalError("disk I/O error"), 503, "UNAVAILABLE"),
        (ZeroDivisionError("secret"), 500, "UNKNOWN"),
        (web.HTTPRequestEntityTooLarge(1, 2), 413, "NOT_FOUND"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_no_failure_shows_its_inside(failing, caplog, error, status, code):
    answer = await (await failing(error)).get("/fail")
    body = await answer.text()
    assert (answer.status, json.loads(body)["errors"][0]["code"]) == (status, code)
    assert "Traceback" not in body
    assert "secret" not in body


async def test_an_unexpected_failure_is_in_the_log_with_its_traceback(failing, caplog):
    await (await failing(ZeroDivisionError("why"))).get("/fail")
    (record,) = [one for one in caplog.records if one.exc_info]
    assert (record.getMessage(), record.fields) == ("request failed", {"method": "GET", "path": "/fail"})


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/nope", 404, None),
        ("GET", "/v2/a/nope", 404, None),
        ("GET", "/v1/_ping", 404, None),
        ("PUT", "/v2/", 405, "GET, HEAD"),
        ("POST", "/v2/a/manifests/b", 405, "DELETE, GET, HEAD, PUT"),
        ("PUT", "/v2/a/blobs/uploads/", 405, "POST"),
        ("DELETE", "/v2/_catalog", 405, "GET"),
    ],
)
async def test_addresses_and_verbs_that_are_none(client, method, path, status, allow):
    answer = await client.request(method, path)
    assert (answer.status, answer.headers.get("Allow")) == (status, allow)
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    assert (await answer.json())["errors"][0]["code"] == ("NOT_FOUND" if status == 404 else "UNSUPPORTED")


@pytest.mark.parametrize("path", ["/v2/a/../../../etc/passwd", "/v2/%2e%2e/%2e%2e/blobs/x", "/v2/a%00b/tags/list"])
async def test_hostile_paths_lead_nowhere(client, path):
    answer = await client.get(path)
    assert answer.status in (400, 404)
    assert (await answer.json())["errors"]


async def test_one_line_per_request(client, caplog):
    caplog.set_level(logging.INFO, "registry.access")
    await client.get("/v2/a/tags/list?n=1", headers={"User-Agent": "probe/1"})
    (record,) = [one for one in caplog.records if one.name == "registry.access"]
    assert record.getMessage() == "GET /v2/a/tags/list 404"
    assert record.fields["agent"] == "probe/1"
    assert record.fields["address"].startswith("127.0.0.1:")


async def test_the_access_log_can_be_switched_off(parts, config, aiohttp_client, caplog):
    caplog.set_level(logging.INFO, "registry.access")
    quiet = dataclasses.replace(config, log=Log(accesslog=AccessLog(disabled=True)))
    client = await aiohttp_client(create_api(dataclasses.replace(parts, config=quiet)))
    await client.get("/v2/")
    assert not [one for one in caplog.records if one.name == "registry.access"]


async def test_headers_of_the_operator(parts, config, aiohttp_client):
    http = dataclasses.replace(config.http, headers={"X-One": ("a", "b"), "Server": ("hidden",)})
    client = await aiohttp_client(create_api(dataclasses.replace(parts, config=dataclasses.replace(config, http=http))))
    answer = await client.get("/v2/")
    assert answer.headers.getall("X-One") == ["a", "b"]
    assert answer.headers.getall("Server") == ["hidden"]


async def test_warnings_for_the_people_behind_the_clients(parts, config, aiohttp_client):
    http = dataclasses.replace(config.http, warnings=('We "move" on Sunday.', "Bye"))
    client = await aiohttp_client(create_api(dataclasses.replace(parts, config=dataclasses.replace(config, http=http))))
    for path in ("/v2/", "/v2/a/tags/list"):
        answer = await client.get(path)
        assert answer.headers.getall("Warning") == ['299 - "We \\"move\\" on Sunday."', '299 - "Bye"']


async def test_a_prefix_stands_before_everything(parts, config, aiohttp_client):
    http = dataclasses.replace(config.http, prefix="/images/")
    client = await aiohttp_client(create_api(dataclasses.replace(parts, config=dataclasses.replace(config, http=http))))
    assert (await client.get("/v2/")).status == 404
    assert (await client.get("/images/v2/")).status == 200
    answer = await client.post("/images/v2/a/blobs/uploads/")
    assert answer.headers["Location"].startswith("/images/v2/a/blobs/uploads/")
    assert (await client.get(answer.headers["Location"])).status == 204
    for tag in ("a", "b"):
        await client.put(f"/images/v2/a/manifests/{tag}", data=index([]).body)
    assert (await client.get("/images/v2/a/tags/list?n=1")).headers["Link"].startswith("</images/v2/a/tags/list?")


@pytest.mark.parametrize(
    ("host", "relative", "expected"),
    [
        ("", True, "/v2/"),
        ("", False, "http://images.example.com:81/v2/"),
        ("https://registry.example.com/", False, "https://registry.example.com/v2/"),
        ("https://registry.example.com", True, "https://registry.example.com/v2/"),
    ],
)
async def test_addresses_as_clients_know_them(parts, config, aiohttp_client, host, relative, expected):
    http = dataclasses.replace(config.http, host=host, relativeurls=relative)
    client = await aiohttp_client(create_api(dataclasses.replace(parts, config=dataclasses.replace(config, http=http))))
    answer = await client.post("/v2/a/blobs/uploads/", headers={"Host": "images.example.com:81"})
    assert answer.headers["Location"].startswith(expected)


WRITES = [
    ("PUT", "/v2/a/manifests/b"),
    ("DELETE", "/v2/a/manifests/b"),
    ("POST", "/v2/a/blobs/uploads/"),
    ("POST", "/v2/a/blobs/uploads"),
    ("PATCH", "/v2/a/blobs/uploads/x"),
    ("PUT", "/v2/a/blobs/uploads/x"),
    ("DELETE", "/v2/a/blobs/uploads/x"),
    ("DELETE", "/v2/a/blobs/x"),
]


@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_a_read_only_registry_refuses_every_write(parts, config, aiohttp_client, method, path):
    storage = dataclasses.replace(config.storage, maintenance=Maintenance(readonly=Enabled(enabled=True)))
    read_only = dataclasses.replace(config, storage=storage)
    client = await aiohttp_client(create_api(dataclasses.replace(parts, config=read_only)))
    answer = await client.request(method, path)
    assert (answer.status, (await answer.json())["errors"][0]["code"]) == (405, "UNSUPPORTED")


@pytest.mark.parametrize("reference", ["v1", "sha256:" + "0" * 64])
@pytest.mark.parametrize("kind", ["manifests", "blobs"])
async def test_deletion_is_off_unless_it_is_switched_on(parts, config, aiohttp_client, kind, reference):
    if kind == "blobs" and reference == "v1":
        reference = "sha512:" + "0" * 128
    storage = dataclasses.replace(config.storage, delete=Enabled())
    client = await aiohttp_client(
        create_api(dataclasses.replace(parts, config=dataclasses.replace(config, storage=storage)))
    )
    answer = await client.delete(f"/v2/a/{kind}/{reference}")
    assert (answer.status, (await answer.json())["errors"][0]["code"]) == (405, "UNSUPPORTED")


@pytest.mark.parametrize(
    ("trusted", "headers", "address", "location"),
    [
        (("127.0.0.0/8",), {"X-Forwarded-For": "192.0.2.9"}, "192.0.2.9", "http://images.example.com/v2/"),
        (
            ("127.0.0.0/8",),
            {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "hub.example"},
            "127.0.0.1:",
            "https://hub.example/v2/",
        ),
        (
            ("127.0.0.0/8",),
            {"Forwarded": 'for="[2001:db8::9]:1";proto=https;host="hub.example:444"', "X-Forwarded-Proto": "http"},
            "2001:db8::9",
            "https://hub.example:444/v2/",
        ),
        (
            (),
            {"X-Forwarded-For": "192.0.2.9", "X-Forwarded-Proto": "https"},
            "127.0.0.1:",
            "http://images.example.com/v2/",
        ),
        (("10.0.0.0/8",), {"Forwarded": "for=192.0.2.9;host=evil"}, "127.0.0.1:", "http://images.example.com/v2/"),
    ],
)
async def test_forwarding_headers_count_from_trusted_proxies_only(
    parts, config, aiohttp_client, caplog, trusted, headers, address, location
):
    caplog.set_level(logging.INFO, "registry.access")
    http = dataclasses.replace(config.http, relativeurls=False, trustedproxies=trusted)
    client = await aiohttp_client(create_api(dataclasses.replace(parts, config=dataclasses.replace(config, http=http))))
    answer = await client.post("/v2/a/blobs/uploads/", headers={"Host": "images.example.com", **headers})
    assert answer.headers["Location"].startswith(location)
    (record,) = [one for one in caplog.records if one.name == "registry.access"]
    assert record.fields["address"].startswith(address)
