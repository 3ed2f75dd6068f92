"""The express lane: it answers as the long way does, and only as long as what the answer rests on holds."""

import asyncio
import dataclasses
import json
import logging
import re

import pytest

from registry_service.api import remembered
from registry_service.api.questions import is_whole
from registry_service.config import HTTP, AccessLog, Auth, Endpoint, Log, Notifications, Token
from registry_service.notifications.queue import Outbox
from shared.logs import configure
from tests.kit.certificates import ISSUER, REALM, SERVICE, claims, issue, private_key, sign, write_bundle
from tests.kit.content import blob
from tests.kit.lane import SETTLED_SECONDS, opener
from tests.kit.push import push_image

NAME = "team/app"


@pytest.fixture
def config(config):
    return dataclasses.replace(config, http=HTTP(addr="127.0.0.1:0"))


@pytest.fixture
def open_registry(monkeypatch):
    return opener(monkeypatch)


@pytest.fixture
async def registry(config, open_registry):
    async with open_registry(config) as registry:
        yield registry


@pytest.fixture
async def pushed(registry):
    manifest = await push_image(registry, NAME, "v1", [blob(1000)])
    await asyncio.sleep(SETTLED_SECONDS)
    return manifest


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("what", ["ping", "tag", "digest", "blob"])
async def test_both_ways_give_the_same_answer(registry, pushed, method, what):
    paths = {
        "ping": "/v2/",
        "tag": f"/v2/{NAME}/manifests/v1",
        "digest": f"/v2/{NAME}/manifests/{pushed.digest}",
        "blob": f"/v2/{NAME}/blobs/{json.loads(pushed.body)['config']['digest']}",
    }
    answers, express = await registry.ask_thrice(paths[what], "Accept: */*", method=method)
    assert answers[0] == answers[1] == answers[2]
    assert b"HTTP/1.1 200 OK\n" in answers[0]
    assert express == 1
    # Another request is another one: nothing is taken for what it is not.
    assert (await registry.ask_thrice(paths[what], "Accept: a/b", method=method))[1] == 1


async def test_a_tag_that_moves_is_seen_at_once(registry, pushed):
    await registry.ask_thrice(f"/v2/{NAME}/manifests/v1")
    for size in range(2000, 2020):
        moved = await push_image(registry, NAME, "v1", [blob(size)])
        answers = [await registry.ask(f"/v2/{NAME}/manifests/v1") for _ in range(4)]
        assert all(moved.digest.encode() in answer for answer in answers)


async def test_what_is_deleted_is_gone(registry, pushed):
    config = json.loads(pushed.body)["config"]["digest"]
    paths = (f"/v2/{NAME}/manifests/v1", f"/v2/{NAME}/manifests/{pushed.digest}", f"/v2/{NAME}/blobs/{config}")
    for path in paths:
        assert (await registry.ask_thrice(path))[1] == 1
    for path in (f"/v2/{NAME}/blobs/{config}", f"/v2/{NAME}/manifests/{pushed.digest}"):
        async with registry.delete(path) as answer:
            assert answer.status == 202
    for path in paths:
        assert b"HTTP/1.1 404 Not Found" in await registry.ask(path)


async def test_lists_are_right_at_once_whoever_changes_the_tree(registry, pushed, tmp_path):
    tree = tmp_path / "registry/docker/registry/v2/repositories"
    catalog, tags = "/v2/_catalog?n=3", f"/v2/{NAME}/tags/list"

    async def lists():
        await asyncio.sleep(SETTLED_SECONDS)
        found = [await registry.ask_thrice(path) for path in (catalog, tags)]
        assert all(express for _, express in found)
        assert all(answers[0] == answers[1] == answers[2] for answers, _ in found)
        names, versions = (json.loads(answers[0][answers[0].index(b"{") :]) for answers, _ in found)
        return names["repositories"], versions["tags"]

    assert await lists() == ([NAME], ["v1"])
    (tree / NAME / "below/_layers").mkdir(parents=True)
    (tree / NAME / "_manifests/tags/v2").mkdir()
    assert await lists() == ([NAME, f"{NAME}/below"], ["v1", "v2"])
    (tree / "a/_uploads").mkdir(parents=True)
    assert (await lists())[0] == [NAME, f"{NAME}/below"]
    (tree / "a/_manifests").mkdir()
    assert (await lists())[0] == ["a", NAME, f"{NAME}/below"]
    (tree / NAME / "below/_layers").rename(tmp_path / "away")
    (tree / NAME / "_manifests/tags/v2").rmdir()
    assert await lists() == (["a", NAME], ["v1"])


async def test_a_blob_whose_bytes_are_lost_is_gone(registry, pushed, tmp_path):
    digest = json.loads(pushed.body)["config"]["digest"]
    path = f"/v2/{NAME}/blobs/{digest}"
    assert (await registry.ask_thrice(path))[1] == 1
    (data,) = (tmp_path / "registry").rglob(f"{digest[7:]}/data")
    data.write_bytes(b"")
    assert b"HTTP/1.1 404 Not Found" in await registry.ask(path)


async def test_what_has_just_been_written_is_not_remembered(registry):
    await push_image(registry, NAME, "v1", [blob(1000)])
    assert (await registry.ask_thrice(f"/v2/{NAME}/manifests/v1"))[1] == 0


@pytest.mark.parametrize(
    "line", ["Content-Length: 0", "Transfer-Encoding: chunked\r\nX: y", "Expect: 100-continue", "Connection: close"]
)
async def test_a_request_that_is_more_than_its_head_goes_the_long_way(registry, pushed, line):
    counted = len(registry.counted)
    for _ in range(4):
        host, port = registry.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET /v2/ HTTP/1.1\r\nHost: x\r\n{line}\r\n\r\n".encode())
        writer.write(b"0\r\n\r\n" if "chunked" in line else b"")
        assert b"200" in await reader.readline()
        writer.close()
        await writer.wait_closed()
    assert len(registry.counted) == counted


async def test_after_a_request_with_a_body_the_connection_keeps_to_the_long_way(registry, pushed):
    """What looks like a request may be the end of a body: it is not for us to tell."""
    assert (await registry.ask_thrice("/v2/"))[1] == 1
    counted = len(registry.counted)
    host, port = registry.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    whole = b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n"
    writer.write(b"POST /v2/x/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(whole))
    await asyncio.sleep(0.05)
    writer.write(whole)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 202 ")
    assert len(registry.counted) == counted
    writer.write(whole)
    assert b"200" in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_requests_one_behind_the_other_are_all_answered(registry, pushed):
    assert (await registry.ask_thrice("/v2/"))[1] == 1
    host, port = registry.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n" * 5)
    for _ in range(5):
        assert b"200" in await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(2) == b"{}"
    writer.close()
    await writer.wait_closed()


async def test_a_request_in_two_parts_is_answered_whole(registry, pushed):
    assert (await registry.ask_thrice("/v2/"))[1] == 1
    host, port = registry.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /v2/nothing HTTP/1.1\r\nX: ")
    await asyncio.sleep(0.05)
    writer.write(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"404" in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_an_event_that_is_wanted_is_recorded_each_time(config, open_registry, tmp_path):
    endpoint = Endpoint("a", "http://127.0.0.1:9/", backoff=60.0, threshold=1)
    config = dataclasses.replace(config, notifications=Notifications((endpoint,)))
    async with open_registry(config) as registry:
        await push_image(registry, NAME, "v1", [blob(1000)])
        await asyncio.sleep(SETTLED_SECONDS)
        assert (await registry.ask_thrice(f"/v2/{NAME}/manifests/v1"))[1] == 0
    outbox = Outbox(tmp_path / "registry/cangku/outbox.sqlite3")
    await outbox.open()
    assert (await outbox.counts())["a"][0] == 3 + 3  # two blobs and a manifest pushed, three pulls
    await outbox.close()


@pytest.fixture
def tokens(config, tmp_path):
    """A registry that asks for tokens, and who signs them."""
    signer = issue(private_key("P-256"))
    bundle = write_bundle(tmp_path / "auth.cert", signer)
    return dataclasses.replace(config, auth=Auth(Token(REALM, SERVICE, ISSUER, bundle))), signer


def bearer(signer, **more):
    access = [{"type": "repository", "name": NAME, "actions": ["pull", "push"]}]
    return f"Authorization: Bearer {sign(claims(access=access, **more), signer.key)}"


async def test_a_token_is_looked_at_each_time(tokens, open_registry, monkeypatch):
    config, signer = tokens
    async with open_registry(config) as registry:
        line = bearer(signer)
        registry.session.headers["Authorization"] = line.partition(": ")[2]
        await push_image(registry, NAME, "v1", [blob(1000)])
        await asyncio.sleep(SETTLED_SECONDS)
        path = f"/v2/{NAME}/manifests/v1"
        answers, express = await registry.ask_thrice(path, line)
        assert (answers[0], express) == (answers[2], 1)
        assert b"HTTP/1.1 401 " in await registry.ask(path)
        assert b"HTTP/1.1 401 " in await registry.ask(f"/v2/other/{NAME}/manifests/v1", line)
        monkeypatch.setattr("registry_service.auth.LEEWAY_SECONDS", -(10**6))  # as if it had expired meanwhile
        assert b"HTTP/1.1 401 " in await registry.ask(path, line)


@pytest.mark.parametrize("form", ["text", "json"])
async def test_both_ways_leave_the_same_line(registry, pushed, form, capsys):
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        configure("info", form)
        agent = 'User-Agent: a "b" c=1 é'
        await registry.ask_thrice("/v2/?x=1", agent)
        _, express = await registry.ask_thrice("/v2/?x=1", agent)
        await asyncio.sleep(0.01)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    assert express == 3
    lines = [re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", one) for one in capsys.readouterr().out.splitlines()]
    lines = [re.sub(r'(ms=|"ms": )[\d.]+', "MS", one) for one in lines if "GET /v2/" in one]
    plain = [re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", "TIME", one) for one in lines]
    assert len(plain) == 6
    assert set(plain) == {plain[0]}
    assert [word for word in ("TIME", "ADDRESS", "MS", "registry.access", "GET /v2/") if word not in plain[0]] == []


async def test_without_our_handler_the_line_goes_where_others_go(registry, pushed, caplog):
    caplog.set_level(logging.INFO)
    _, express = await registry.ask_thrice("/v2/")
    assert express == 1
    lines = [one for one in caplog.records if one.name == "registry.access"]
    assert {one.getMessage() for one in lines[-3:]} == {"GET /v2/ 200"}
    assert all(one.fields["address"].startswith("127.0.0.1:") for one in lines[-3:])


async def test_no_line_where_none_is_wanted(config, open_registry, caplog):
    caplog.set_level(logging.INFO)
    async with open_registry(dataclasses.replace(config, log=Log(accesslog=AccessLog(disabled=True)))) as registry:
        assert (await registry.ask_thrice("/v2/"))[1] == 1
    assert not [one for one in caplog.records if one.name == "registry.access"]


async def test_a_client_behind_a_trusted_proxy_goes_the_long_way(config, open_registry):
    """The line in the log names the client, which the connection does not tell."""
    http = HTTP(addr="127.0.0.1:0", trustedproxies=("127.0.0.0/8",))
    async with open_registry(dataclasses.replace(config, http=http)) as registry:
        assert (await registry.ask_thrice("/v2/", "X-Forwarded-For: 192.0.2.7"))[1] == 0
        assert (await registry.ask_thrice("/v2/"))[1] == 1


async def test_what_is_remembered_is_bounded(registry, pushed, monkeypatch):
    monkeypatch.setattr(remembered, "_MOST_ANSWER_BYTES", 5_000)
    monkeypatch.setattr(remembered, "_MOST_HEARD_BYTES", 5_000)
    monkeypatch.setattr(remembered, "_MOST_SEEN", 5)
    for number in range(30):
        await registry.ask_thrice(f"/v2/?number={number}")
    assert (await registry.ask_thrice("/v2/?number=29"))[1] == 3
    assert (await registry.ask_thrice("/v2/?number=0"))[1] == 1


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"HEAD /v2/ HTTP/1.1\r\nHost: x\r\nAccept: a\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nHost: x\r\n\r\n", False),
        (b"PUT / HTTP/1.1\r\nHost: x\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: x\r\ncontent-LENGTH : 5\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", False),
        (b"GET / HTTP/1.1\nHost: x\n\n\r\n\r\n", False),
        (b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: x\n\nContent-Length: 5\r\n\r\n", False),
    ],
)
def test_what_is_one_whole_request(data, expected):
    assert is_whole(data) is expected
