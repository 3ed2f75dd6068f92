"""The express lane for whoever asks: what was answered before is asked in other bytes, with another token."""

import asyncio
import dataclasses
import itertools
import json
import logging
import re

import pytest

from registry_service.api import express, remembered
from registry_service.api.express import Express
from registry_service.api.questions import question_of
from registry_service.config import HTTP, Auth, Endpoint, Notifications, Token
from registry_service.manifests import DOCKER_IMAGE, DOCKER_LIST
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
from tests.kit.content import Content, blob
from tests.kit.lane import SETTLED_SECONDS, opener
from tests.kit.push import push_image, put_manifest

NAME = "team/app"
TAG = f"/v2/{NAME}/manifests/v1"
LONG_WAY = "X_Y: z"
"""A header that the lane does not read."""
NUMBERS = itertools.count(1)


@pytest.fixture
def open_registry(monkeypatch):
    return opener(monkeypatch)


@pytest.fixture
def config(config):
    return dataclasses.replace(config, http=HTTP(addr="127.0.0.1:0"))


@pytest.fixture
def signer():
    return issue(private_key("P-256"))


@pytest.fixture
def guarded(config, tmp_path, signer):
    """A registry that asks for tokens."""
    bundle = write_bundle(tmp_path / "auth.cert", signer)
    return dataclasses.replace(config, auth=Auth(Token(REALM, SERVICE, ISSUER, bundle)))


@pytest.fixture
async def registry(config, open_registry):
    async with open_registry(config) as registry:
        await pushed(registry)
        yield registry


@pytest.fixture
async def asking(guarded, open_registry, signer):
    async with open_registry(guarded) as registry:
        token = bearer(signer, repository_access(NAME, "pull", "push", "delete"))
        registry.session.headers["Authorization"] = token.partition(": ")[2]
        await pushed(registry)
        yield registry


async def pushed(registry):
    registry.manifest = await push_image(registry, NAME, "v1", [blob(1000)])
    registry.config = json.loads(registry.manifest.body)["config"]["digest"]
    await asyncio.sleep(SETTLED_SECONDS)


def bearer(signer, *access, **changes):
    """Return the line of a token that nobody has seen yet."""
    changes.setdefault("jti", str(next(NUMBERS)))
    return f"Authorization: Bearer {sign(claims(*access, **changes), signer.key)}"


def pulling(signer, **changes):
    return bearer(signer, repository_access(NAME, "pull"), **changes)


def other():
    """Return a header that nobody has sent yet."""
    return f"X-Request-Id: {next(NUMBERS)}"


async def learn(registry, path, *lines, **more):
    """Ask twice, so that a question is known."""
    return [await registry.ask(path, *lines, other(), **more) for _ in range(2)]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("what", ["ping", "tag", "digest", "blob", "tags"])
async def test_who_asks_does_not_matter_to_the_answer(asking, signer, method, what):
    if (method, what) == ("HEAD", "tags"):
        return
    path = {
        "ping": "/v2/",
        "tag": TAG,
        "digest": f"/v2/{NAME}/manifests/{asking.manifest.digest}",
        "blob": f"/v2/{NAME}/blobs/{asking.config}",
        "tags": f"/v2/{NAME}/tags/list?n=5",
    }[what]
    for _ in range(2):
        assert not (await asking.ask_by_lane(path, pulling(signer), method=method))[1]
    token = pulling(signer)
    for lines in (
        [pulling(signer)],
        [pulling(signer, sub="bob"), "User-Agent: docker/27"],
        [bearer(signer, repository_access(NAME, "*"))],
        [token, "traceparent: 00-1-2-01", "Accept-Encoding: gzip", "Cookie: a=b"],
        [other(), token.replace("Authorization: Bearer", "AUTHORIZATION:  bearer"), "Connection: keep-alive"],
    ):
        answer, by_lane = await asking.ask_by_lane(path, *lines, method=method)
        assert by_lane
        assert (answer, False) == await asking.ask_by_lane(path, *lines, LONG_WAY, method=method)
        assert b"HTTP/1.1 200 OK\n" in answer


async def test_who_may_not_ask_hears_why_on_the_long_way(asking, signer):
    await learn(asking, TAG, pulling(signer))
    assert (await asking.ask_by_lane(TAG, pulling(signer)))[1]
    for lines in (
        [],
        ["Authorization: "],
        ["Authorization: Bearer"],
        ["Authorization: Basic YTpi"],
        ["Authorization: Bearer x.y.z"],
        [bearer(signer)],
        [bearer(signer, repository_access(f"{NAME}2", "pull"))],
        [bearer(signer, repository_access(NAME, "push"))],
        [pulling(signer, exp=1000)],
        [pulling(signer, nbf=1 << 40)],
        [pulling(signer, aud="other")],
        [pulling(issue(private_key("P-256", "other")))],
        [f"{pulling(signer)}x"],
    ):
        answer, by_lane = await asking.ask_by_lane(TAG, *lines)
        assert not by_lane
        assert b"HTTP/1.1 401 Unauthorized\n" in answer
        assert answer == await asking.ask(TAG, *lines, LONG_WAY)
    assert (await asking.ask_by_lane(TAG, pulling(signer)))[1]


async def test_a_token_that_has_expired_meanwhile_is_refused(asking, signer, monkeypatch):
    token = pulling(signer)
    await learn(asking, TAG, token)
    assert (await asking.ask_by_lane(TAG, token, other()))[1]
    monkeypatch.setattr("registry_service.auth.LEEWAY_SECONDS", -(10**6))
    answer, by_lane = await asking.ask_by_lane(TAG, token, other())
    assert (b"HTTP/1.1 401 " in answer, by_lane) == (True, False)


async def test_what_an_old_key_proved_counts_no_more(asking, signer, tmp_path):
    await learn(asking, TAG, pulling(signer))
    successor = issue(private_key("P-256", "other"))
    write_bundle(tmp_path / "auth.cert", successor)
    assert await asyncio.to_thread(asking.parts.auth.reload)
    assert b"HTTP/1.1 401 " in await asking.ask(TAG, pulling(signer))
    answer, by_lane = await asking.ask_by_lane(TAG, pulling(successor))
    assert (b"HTTP/1.1 200 " in answer, by_lane) == (True, True)


async def test_the_right_to_mount_is_asked_for_as_on_the_long_way(asking, signer):
    """An odd question, but the route answers it by what the token permits."""
    path, both = f"{TAG}?from=a/b", (repository_access(NAME, "pull"), repository_access("a/b", "pull"))
    await learn(asking, path, bearer(signer, *both))
    assert (await asking.ask_by_lane(path, bearer(signer, *both)))[1]
    assert b"HTTP/1.1 401 " in await asking.ask(path, pulling(signer))


async def test_a_tag_that_moves_is_seen_at_once(registry):
    await learn(registry, TAG)
    assert (await registry.ask_by_lane(TAG, other()))[1]
    for size in range(2000, 2010):
        moved = await push_image(registry, NAME, "v1", [blob(size)])
        answers = [await registry.ask(TAG, other()) for _ in range(4)]
        assert all(moved.digest.encode() in answer for answer in answers)


async def test_what_is_deleted_is_gone(registry):
    paths = (TAG, f"/v2/{NAME}/manifests/{registry.manifest.digest}", f"/v2/{NAME}/blobs/{registry.config}")
    for path in paths:
        await learn(registry, path)
        assert (await registry.ask_by_lane(path, other()))[1]
    for path in paths[1:]:
        async with registry.delete(path) as answer:
            assert answer.status == 202
    for path in paths:
        assert b"HTTP/1.1 404 Not Found" in await registry.ask(path, other())


async def test_a_folder_that_changes_is_read_anew(registry, tmp_path):
    tags = f"/v2/{NAME}/tags/list"
    await learn(registry, tags)
    answer, by_lane = await registry.ask_by_lane(tags, other())
    assert (answer.endswith(b'"tags":["v1"]}\n'), by_lane) == (True, True)
    (tmp_path / "registry/docker/registry/v2/repositories" / NAME / "_manifests/tags/v2").mkdir()
    assert (await registry.ask(tags, other())).endswith(b'"tags":["v1","v2"]}\n')


async def test_the_catalog_is_what_its_reader_may_see(asking, signer):
    catalog, access = "/v2/_catalog", {"type": "registry", "name": "catalog", "actions": ["list"]}
    for name, expected in ((NAME, [NAME]), ("other", [])):
        for _ in range(4):
            lines = [bearer(signer, access, repository_access(name, "pull"))]
            answer, by_lane = await asking.ask_by_lane(catalog, *lines)
            assert json.loads(answer[answer.index(b"{") :]) == {"repositories": expected}
            assert not by_lane
        assert (await asking.ask_thrice(catalog, *lines))[1] == 2  # the very same bytes go by the lane


async def test_another_host_is_another_question(registry):
    await learn(registry, TAG)
    assert (await registry.ask_by_lane(TAG, other()))[1]
    assert not (await registry.ask_by_lane(TAG, other(), host="y"))[1]


async def test_the_answer_fits_what_is_accepted(registry):
    entry = {**registry.manifest.descriptor, "platform": {"os": "linux", "architecture": "amd64"}}
    document = {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [entry]}
    content = Content(json.dumps(document).encode(), DOCKER_LIST)
    assert (await put_manifest(registry, NAME, "v1", content)).status == 201
    await asyncio.sleep(SETTLED_SECONDS)
    old, new = [f"Accept: {DOCKER_IMAGE}"], [f"Accept: {DOCKER_IMAGE}", f"Accept: {DOCKER_LIST}"]
    for lines, digest in ((new, content.digest), (old, registry.manifest.digest), ([], registry.manifest.digest)) * 4:
        assert f"Docker-Content-Digest: {digest}\n".encode() in await registry.ask(TAG, *lines, other())
    assert (await registry.ask_by_lane(TAG, *new, other()))[1]


async def test_a_part_is_not_the_whole(registry):
    path = f"/v2/{NAME}/blobs/{registry.config}"
    whole = (await learn(registry, path))[0]
    assert (await registry.ask_by_lane(path, other())) == (whole, True)
    for _ in range(3):
        answer, by_lane = await registry.ask_by_lane(path, "Range: bytes=1-3", other())
        assert (b"HTTP/1.1 206 " in answer, by_lane) == (True, False)
    changed = ("Range: bytes=1-3", 'If-Range: "old"')
    await learn(registry, path, *changed)
    assert await registry.ask_by_lane(path, *changed, other()) == (whole, True)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_a_client_has_already_is_not_sent_again(registry, method):
    for path, digest in ((TAG, registry.manifest.digest), (f"/v2/{NAME}/blobs/{registry.config}", registry.config)):
        condition = f'If-None-Match: "{digest}"'
        first = (await learn(registry, path, condition, method=method))[0]
        assert b"HTTP/1.1 304 Not Modified\n" in first
        assert await registry.ask_by_lane(path, condition, other(), method=method) == (first, True)
        answer, by_lane = await registry.ask_by_lane(path, 'If-None-Match: "old"', other(), method=method)
        assert (b"HTTP/1.1 200 OK\n" in answer, by_lane) == (True, False)


async def test_get_and_head_are_two_questions(registry):
    await learn(registry, TAG)
    answer, by_lane = await registry.ask_by_lane(TAG, other(), method="HEAD")
    assert (answer.endswith(registry.manifest.body), by_lane) == (False, False)


@pytest.mark.parametrize("form", ["text", "json"])
async def test_the_line_is_of_this_request(asking, signer, form, capsys):
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    asked = [
        [pulling(signer, sub=user), *agent]
        for user in ("alice", "bob c=1", "")
        for agent in ([], ["User-Agent: a"], ['User-Agent: b "c" d=1 '], ["user-agent:"])
    ]
    await learn(asking, TAG, pulling(signer))  # with the log as tests have it: what makes lines is found anew
    try:
        configure("info", form)
        by_lane = [(await asking.ask_by_lane(TAG, *lines))[1] for lines in asked]
        await asyncio.sleep(0.01)
        long_way = [(await asking.ask_by_lane(TAG, *lines, LONG_WAY))[1] for lines in asked]
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    assert (set(by_lane), set(long_way)) == ({True}, {False})
    lines = [one for one in capsys.readouterr().out.splitlines() if f"GET {TAG}" in one]
    lines = [re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", one) for one in lines]
    lines = [re.sub(r'(ms=|"ms": )[\d.]+', "MS", one) for one in lines]
    lines = [re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", "TIME", one) for one in lines]
    assert lines[: len(asked)] == lines[len(asked) :]
    assert len(set(lines)) == len(asked)
    assert all("ADDRESS" in one and "MS" in one and "TIME" in one for one in lines)


async def test_two_who_share_a_connection_have_each_their_line(asking, signer, caplog):
    caplog.set_level(logging.INFO)
    await learn(asking, TAG, pulling(signer))
    reader, writer = await asyncio.open_connection(*asking.url.removeprefix("http://").split(":"))
    for user, agent in (("a", "x"), ("b", "x"), ("b", "y"), ("b", "y"), ("a", "x")):
        lines = (f"GET {TAG} HTTP/1.1", "Host: x", f"User-Agent: {agent}", pulling(signer, sub=user), other())
        writer.write("".join(f"{line}\r\n" for line in (*lines, "")).encode())
        await reader.readuntil(asking.manifest.body)
    writer.close()
    await writer.wait_closed()
    told = [one.fields for one in caplog.records if one.name == "registry.access"][-5:]
    assert [(one["user"], one["agent"]) for one in told] == [("a", "x"), ("b", "x"), ("b", "y"), ("b", "y"), ("a", "x")]
    assert len(asking.counted) == 5


async def test_behind_a_trusted_proxy_nothing_goes_by_meaning(config, open_registry):
    http = HTTP(addr="127.0.0.1:0", trustedproxies=("127.0.0.0/8",))
    async with open_registry(dataclasses.replace(config, http=http)) as registry:
        for _ in range(4):
            assert not (await registry.ask_by_lane("/v2/", other()))[1]
        assert (await registry.ask_thrice("/v2/"))[1] == 1


async def test_an_event_that_is_wanted_sends_each_request_the_long_way(config, open_registry):
    endpoint = Endpoint("a", "http://127.0.0.1:9/", backoff=60.0, threshold=1)
    async with open_registry(dataclasses.replace(config, notifications=Notifications((endpoint,)))) as registry:
        await pushed(registry)
        assert not any([(await registry.ask_by_lane(TAG, other()))[1] for _ in range(4)])


async def test_bytes_that_come_again_are_remembered_too(registry, monkeypatch):
    read = []
    monkeypatch.setattr(express, "question_of", lambda head: read.append(head) or question_of(head))
    await learn(registry, TAG)
    line = other()
    for expected in (1, 2, 2, 2):
        answer, by_lane = await registry.ask_by_lane(TAG, line)
        assert (answer.endswith(registry.manifest.body), by_lane) == (True, True)
        assert len(read) == 2 + expected
    await push_image(registry, NAME, "v1", [blob(2000)])
    answer, by_lane = await registry.ask_by_lane(TAG, line)
    assert (answer.endswith(registry.manifest.body), by_lane) == (False, False)


async def test_all_that_is_remembered_is_bounded(registry, monkeypatch):
    memories = []

    def checked(method):
        def add(self, *arguments):
            method(self, *arguments)
            memories.append(self)
            answers, heard = (sum(one.weight for one in index.values()) for index in (self.answers, self.heard))
            assert (answers <= 20_000, heard <= 10_000) == (True, True)
            assert self.weight == answers + heard

        return add

    for name in ("add_answer", "add_heard"):
        monkeypatch.setattr(remembered.Memory, name, checked(getattr(remembered.Memory, name)))
    monkeypatch.setattr(remembered, "_MOST_ANSWER_BYTES", 20_000)
    monkeypatch.setattr(remembered, "_MOST_HEARD_BYTES", 10_000)
    for number in range(30):
        path = f"{TAG}?number={number}"
        await learn(registry, path)
        line = other()
        for _ in range(3):
            assert (await registry.ask_by_lane(path, line))[1]
    assert not (await registry.ask_by_lane(f"{TAG}?number=0", other()))[1]
    # Bytes without end leave the answers where they are.
    for _ in range(30):
        line = other()
        for _ in range(3):
            assert (await registry.ask_by_lane(path, line))[1]
    (memory,) = set(memories)
    assert len(memory.answers) >= 3
    for asked in [*memory.answers, *memory.heard]:
        memory.forget(asked)
    assert memory.weight == 0


def test_nothing_is_read_when_connections_are_to_end():
    lane = Express(None, None, lambda question: None, by_meaning=True)
    head = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    assert lane.read(head) is not None
    lane.closed = True
    assert lane.read(head) is None
