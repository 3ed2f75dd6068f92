"""Plain questions that come for the first time are answered as on the long way, or go it."""

import asyncio
import dataclasses
import itertools
import json
import logging
import random
import re

import pytest

from registry_service.api.answering import Fresh
from registry_service.api.express import Express
from registry_service.api.remembered import Answer
from registry_service.config import HTTP, AccessLog, Auth, Endpoint, Log, Notifications, Token
from registry_service.manifests import DOCKER_LIST
from registry_service.storage import filesystem
from shared.logs import configure
from tests.kit.certificates import (
    ISSUER,
    REALM,
    SERVICE,
    claims,
    issue,
    private_key,
    repository_access,
    sign,
    write_bundle,
)
from tests.kit.content import Content, blob, index
from tests.kit.lane import opener
from tests.kit.push import push_blob, push_image, put_manifest

NAME = "team/app"
LONG_WAY = "X_Y: z"
"""A header that the lane does not read."""
NUMBERS = itertools.count(1)
LARGE = 200_000


@pytest.fixture
def open_registry(monkeypatch):
    return opener(monkeypatch)


@pytest.fixture
def config(config):
    return dataclasses.replace(config, http=HTTP(addr="127.0.0.1:0"))


@pytest.fixture
async def registry(config, open_registry):
    async with open_registry(config) as registry:
        await pushed(registry)
        yield registry


async def pushed(registry):
    """Push an image with a small and a large layer, and a list that names it."""
    layers = [blob(1000), blob(LARGE), blob(b"")]
    registry.manifest = await push_image(registry, NAME, "v1", layers)
    registry.list = Content(index([registry.manifest], mediaType=DOCKER_LIST).body, DOCKER_LIST)
    assert (await put_manifest(registry, NAME, "list", registry.list)).status == 201
    registry.small, registry.large, registry.empty = (layer.digest for layer in layers)


async def both_ways(registry, path, *lines, **more):
    """Return the answer to a question that nobody has asked, and whether it was found anew: the long way agrees."""
    path = f"{path}{'&' if '?' in path else '?'}n={next(NUMBERS)}"
    before = len(registry.counted.anew)
    answer = await registry.ask(path, *lines, **more)
    is_anew = len(registry.counted.anew) > before
    assert answer == await registry.ask(path, *lines, LONG_WAY, **more)
    return answer, is_anew


def paths(registry):
    return {
        "tag": f"/v2/{NAME}/manifests/v1",
        "digest": f"/v2/{NAME}/manifests/{registry.manifest.digest}",
        "list by digest": f"/v2/{NAME}/manifests/{registry.list.digest}",
        "small blob": f"/v2/{NAME}/blobs/{registry.small}",
        "empty blob": f"/v2/{NAME}/blobs/{registry.empty}",
        "no tag": f"/v2/{NAME}/manifests/v2",
        "no manifest": f"/v2/{NAME}/manifests/sha256:{'0' * 64}",
        "no blob": f"/v2/{NAME}/blobs/sha512:{'0' * 128}",
        "no repository": f"/v2/{NAME}2/manifests/v1",
        "manifest as blob": f"/v2/{NAME}/blobs/{registry.manifest.digest}",
    }


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_is_plain_is_answered_anew_as_on_the_long_way(registry, method):
    for what, path in paths(registry).items():
        answer, is_anew = await both_ways(registry, path, method=method)
        assert is_anew, what
        status = b"404 Not Found" if what.startswith(("no ", "manifest as")) else b"200 OK"
        assert b"HTTP/1.1 " + status + b"\n" in answer, what


async def test_a_large_blob_is_told_of_anew_and_sent_the_long_way(registry):
    path = f"/v2/{NAME}/blobs/{registry.large}"
    answer, is_anew = await both_ways(registry, path, method="HEAD")
    assert is_anew
    assert b"\nContent-Length: 200000\n" in answer
    assert (await both_ways(registry, path))[1] is False


@pytest.mark.parametrize(
    "lines",
    [
        ["If-None-Match: *"],
        ['If-None-Match: "x"'],
        ["Range: bytes=0-9"],
        ["If-Range: x"],
        ["Range: bytes=0-9", "If-Range: x"],
        ["Connection: close"],
    ],
)
async def test_what_has_conditions_goes_the_long_way(registry, lines):
    for path in (f"/v2/{NAME}/manifests/v1", f"/v2/{NAME}/blobs/{registry.small}"):
        assert (await both_ways(registry, path, *lines))[1] is False


@pytest.mark.parametrize(
    "path",
    [
        "/v2/",
        "/v2/_catalog",
        f"/v2/{NAME}/tags/list",
        f"/v2/{NAME}/manifests/",
        f"/v2/{NAME}/manifests/.v1",
        f"/v2/{NAME}/manifests/a/b",
        f"/v2/{NAME}/manifests/sha256:ab",
        f"/v2/{NAME}/blobs/v1",
        f"/v2/{NAME}/blobs/uploads/",
        f"/v2/{NAME}/blobs/uploads/7f2e2a3c-1ad0-4d7e-8f1a-0f43a8dc6d0e",
        f"/v2/{NAME}/blobs/sha1:{'0' * 40}",
        "/v2/UPPER/manifests/v1",
        "/v2/a//b/manifests/v1",
        "/v2//manifests/v1",
        "/v2/manifests/v1",
        "/manifests/v1",
        "/v1/team/app/manifests/v1",
        f"/v2/{NAME}/manifests/v1?from=a/b",
        f"/v2/{NAME}/manifests/v1?from=A",
        f"/v2/{NAME}/manifests/v1?fr%6fm=A",
        f"/v2/{NAME}/referrers/sha256:{'0' * 64}",
    ],
)
async def test_what_is_not_plain_goes_the_long_way(registry, path):
    assert (await both_ways(registry, path))[1] is False


async def test_a_list_by_its_tag_is_for_those_who_know_lists(registry):
    path = f"/v2/{NAME}/manifests/list"
    for lines, told in (([], registry.manifest), ([f"Accept: {DOCKER_LIST}"], registry.list)):
        answer, is_anew = await both_ways(registry, path, *lines)
        assert (told.digest.encode() in answer, is_anew) == (True, False)


async def test_any_path_is_answered_as_on_the_long_way(registry):
    """Paths are put together from what makes some of them good; seeds are fixed, so a failure comes again."""
    chance = random.Random(5)
    parts = ["v2", "team", "app", "manifests", "blobs", "uploads", "tags", "list", "v1", "", ".", "..", "_oci", "a-b",
             registry.manifest.digest, registry.small, "sha256:0", "referrers"]  # fmt: skip
    found = set()
    for _ in range(400):
        middle = [NAME] if chance.random() < 0.6 else []
        pieces = ["v2", *middle, *chance.choices(parts, k=chance.randint(0, 3))]
        answer, is_anew = await both_ways(registry, f"/{'/'.join(pieces)}", method=chance.choice(["GET", "HEAD"]))
        found.add((answer.split(b" ")[1] if answer.startswith(b"HTTP") else b"", is_anew))
    assert {is_anew for _, is_anew in found} == {True, False}


async def test_the_headers_of_the_operator_are_in_it(config, open_registry):
    http = dataclasses.replace(
        config.http, prefix="/cr/", warnings=("read the news",), headers={"etag": ("mine",), "X-A": ("1", "2")}
    )
    async with open_registry(dataclasses.replace(config, http=http)) as registry:
        for path in (f"/cr/v2/{NAME}/manifests/v1", f"/cr/v2/{NAME}/blobs/sha256:{'0' * 64}"):
            answer, is_anew = await both_ways(registry, path)
            assert is_anew
            for line in (b"etag: mine", b"X-A: 1", b"X-A: 2", b'Warning: 299 - "read the news"'):
                assert b"\n" + line in answer
        assert (await both_ways(registry, f"/v2/{NAME}/manifests/v1"))[1] is False


async def test_who_may_not_ask_hears_why_on_the_long_way(config, open_registry, tmp_path):
    signer = issue(private_key("P-256"))
    auth = Auth(Token(REALM, SERVICE, ISSUER, write_bundle(tmp_path / "auth.cert", signer)))

    def bearer(*access, **changes):
        return f"Authorization: Bearer {sign(claims(*access, jti=str(next(NUMBERS)), **changes), signer.key)}"

    async with open_registry(dataclasses.replace(config, auth=auth)) as registry:
        everything = bearer(repository_access(NAME, "pull", "push", "delete"))
        registry.session.headers["Authorization"] = everything.partition(": ")[2]
        await pushed(registry)
        for path in paths(registry).values():
            name = path.split("/")[2] + "/" + path.split("/")[3]
            assert (await both_ways(registry, path, bearer(repository_access(name, "pull"))))[1]
            for lines in (
                [],
                [bearer()],
                [bearer(repository_access(name, "push"))],
                [bearer(repository_access("team/other", "pull"))],
                [bearer(repository_access(name, "pull"), exp=1000)],
                [bearer(repository_access(name, "pull")) + "x"],
                ["Authorization: Basic YTpi"],
            ):
                answer, is_anew = await both_ways(registry, path, *lines)
                assert (b"HTTP/1.1 401 Unauthorized\n" in answer, is_anew) == (True, False)


async def test_what_is_to_be_recorded_goes_the_long_way(config, open_registry, registry):
    endpoint = Endpoint("a", "http://127.0.0.1:9/", backoff=60.0, threshold=1)
    wanting = dataclasses.replace(config, notifications=Notifications((endpoint,)))
    async with open_registry(wanting) as listening:
        for path in (f"/v2/{NAME}/manifests/v1", f"/v2/{NAME}/blobs/{registry.small}"):
            assert (await both_ways(listening, path))[1] is False
        assert (await both_ways(listening, f"/v2/{NAME}/manifests/v2"))[1]


async def test_what_would_have_to_wait_goes_the_long_way_and_has_begun_nothing(registry, monkeypatch):
    monkeypatch.setattr(filesystem, "read_at_once", lambda path: None)
    hops, hop = [], asyncio.to_thread

    async def counting(call, *arguments):
        hops.append(call.__name__)
        return await hop(call, *arguments)

    monkeypatch.setattr(asyncio, "to_thread", counting)
    before = len(registry.counted.anew)
    assert b"HTTP/1.1 404 " in await registry.ask(f"/v2/{NAME}/manifests/v2")
    assert (hops, len(registry.counted.anew)) == (["_read"], before)


async def test_what_fails_fails_the_long_way(registry, monkeypatch, caplog):
    def broken(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(filesystem, "read_at_once", broken)
    answer = await registry.ask(f"/v2/{NAME}/manifests/v1")
    assert b"HTTP/1.1 500 " in answer
    assert json.loads(answer[answer.index(b"{") :])["errors"][0]["code"] == "UNKNOWN"
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == ["request failed"]


async def test_no_more_is_announced_than_is_sent(registry, monkeypatch):
    """Somebody cuts the file of a blob off, between the look at its size and the reading."""
    read = filesystem.read_at_once
    monkeypatch.setattr(filesystem, "read_at_once", lambda path: read(path)[:100])
    answer = await registry.ask(f"/v2/{NAME}/blobs/{registry.small}")
    assert len(registry.counted.anew) == 1
    assert b"\nContent-Length: 100\n" in answer


async def test_what_comes_again_is_remembered(registry):
    await asyncio.sleep(0.06)
    path = f"/v2/{NAME}/manifests/v1"
    for expected in (0, 0, 1):
        before = len(registry.counted)
        await registry.ask(path, f"X-Number: {next(NUMBERS)}")
        assert len(registry.counted) - before == expected


def test_bytes_whose_answer_is_not_remembered_take_no_room():
    answer, raw = Answer((), (), b"", b"", None), b"GET /v2/a/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n"
    lane = Express(None, None, lambda question: Fresh(answer, None, None), by_meaning=True)
    for _ in range(4):
        question = lane.read(raw)
        assert lane.find_anew(question) == (answer, None)
        lane.hear(raw, question, None, None)
    assert (lane.find(raw), lane._memory.weight) == (None, 0)


async def test_a_tag_that_moves_is_seen_at_once(registry):
    for size in range(2000, 2006):
        moved = await push_image(registry, NAME, "v1", [blob(size)])
        assert moved.digest.encode() in (await both_ways(registry, f"/v2/{NAME}/manifests/v1"))[0]


async def test_a_blob_that_comes_is_there_at_once(registry):
    for size in range(3000, 3006):
        content = blob(size)
        path = f"/v2/{NAME}/blobs/{content.digest}"
        assert b"HTTP/1.1 404 " in await registry.ask(path, method="HEAD")
        await push_blob(registry, NAME, content)
        assert b"HTTP/1.1 200 " in await registry.ask(path, method="HEAD")


@pytest.fixture
def log_settings():
    """Puts back what a test changes of the log."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


@pytest.mark.usefixtures("log_settings")
async def test_both_ways_leave_the_same_line_in_the_log(config, open_registry, capsys):
    async with open_registry(dataclasses.replace(config, log=Log(accesslog=AccessLog(disabled=False)))) as registry:
        await pushed(registry)
        configure("info")
        capsys.readouterr()
        await both_ways(registry, f"/v2/{NAME}/manifests/v1", "User-Agent: docker/27 (linux)")
        await both_ways(registry, f"/v2/{NAME}/manifests/v2", method="HEAD")
    lines = [re.sub(r"^\S+ |ms=\S+|:\d+", "", line) for line in capsys.readouterr().out.splitlines() if "v2" in line]
    assert len(lines) == 4
    assert lines[0] == lines[1]
    assert lines[2] == lines[3]
