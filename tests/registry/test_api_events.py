"""Events of requests over the wire: each act leaves one, whoever it comes from, before its answer leaves."""

import asyncio
import dataclasses
import json

import pytest

from registry_service.app import create_parts, running
from registry_service.config import HTTP, Endpoint, Notifications
from tests.kit.content import image as make_image
from tests.kit.content import image_config
from tests.kit.sink import running_sink

NAME = "team/app"
HOSTILE = b"probe \xff\xfe " + b"x" * 3000


class Client:
    """Sends requests with a user agent that no client library would let through."""

    def __init__(self, address):
        self.host, port = address.removeprefix("http://").split(":")
        self.port = int(port)

    async def ask(self, method, path, body=b"", **headers):
        reader, writer = await asyncio.open_connection(self.host, self.port)
        lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head = "\r\n".join(lines).encode() + b"\r\nUser-Agent: " + HOSTILE + b"\r\n\r\n"
        writer.write(head + body)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        status, *fields = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        found = dict(line.split(": ", 1) for line in fields)
        return int(status.split()[1]), found.get("Location", "")


@pytest.fixture
async def pair(config):
    """A client of a registry, and the receiver of its events."""
    async with running_sink() as sink:
        notifications = Notifications((Endpoint("sink", sink.url),))
        config = dataclasses.replace(config, http=HTTP(addr="127.0.0.1:0"), notifications=notifications)
        async with running(await asyncio.to_thread(create_parts, config)) as address:
            yield Client(address), sink


async def push(client, **conditions):
    config = image_config()
    status, location = await client.ask("POST", f"/v2/{NAME}/blobs/uploads/")
    assert status == 202
    status, _ = await client.ask("PUT", f"{location}?digest={config.digest}", config.body)
    assert status == 201
    manifest = make_image([], config)
    headers = {"Content-Type": manifest.media_type, **conditions}
    status, _ = await client.ask("PUT", f"/v2/{NAME}/manifests/v1", manifest.body, **headers)
    assert status == 201
    return config, manifest


async def test_every_act_leaves_its_event_whatever_the_client_calls_itself(pair):
    client, sink = pair
    config, manifest = await push(client)
    for method, path, expected in (
        ("GET", f"/v2/{NAME}/manifests/v1", 200),
        ("GET", f"/v2/{NAME}/blobs/{config.digest}", 200),
        ("POST", f"/v2/other/blobs/uploads/?mount={config.digest}&from={NAME}", 201),
        ("DELETE", f"/v2/{NAME}/blobs/{config.digest}", 202),
        ("DELETE", f"/v2/{NAME}/manifests/{manifest.digest}", 202),
    ):
        status, _ = await client.ask(method, path)
        assert status == expected, path
    events = [received.event for received in await sink.wait_for(8)]
    told = [(event["action"], event["target"].get("tag", "")) for event in events]
    assert told == [
        ("push", ""),
        ("push", "v1"),
        ("pull", "v1"),
        ("pull", ""),
        ("mount", ""),
        ("delete", ""),
        ("delete", ""),
        ("delete", "v1"),
    ]
    for event in events:
        agent = event["request"]["useragent"]
        assert agent.startswith("probe \ufffd\ufffd ")
        assert len(agent) <= 1024
        json.dumps(event, ensure_ascii=False).encode()


@pytest.mark.parametrize("conditions", [{"If_None_Match": "*"}, {}], ids=["conditional", "plain"])
async def test_a_push_is_told_before_the_tag_moves(pair, conditions):
    client, sink = pair
    await push(client, **conditions)
    assert [one.event["target"].get("tag") for one in await sink.wait_for(2)] == [None, "v1"]


@pytest.mark.parametrize("path", ["manifests/v1", "manifests/sha256:" + "0" * 64, "blobs/sha256:" + "0" * 64])
async def test_what_was_not_there_is_not_told_to_be_deleted(pair, path):
    client, sink = pair
    status, _ = await client.ask("DELETE", f"/v2/{NAME}/{path}")
    assert status == 404
    await push(client)
    assert [one.event["action"] for one in await sink.wait_for(2)] == ["push", "push"]
