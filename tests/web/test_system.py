"""In front of the Go registry: its tokens, its notifications, its deletions."""

import asyncio
import dataclasses
import hashlib
import json
import shutil
import subprocess
import time
from pathlib import Path

import aiohttp
import jwt
import pytest

from shared.config import Secret
from web_service.config import NotificationsConfig
from web_service.events import Wanted

pytestmark = pytest.mark.system

PROGRAM = "/usr/bin/docker-registry"
SECRET = "between-the-two"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = """
version: 0.1
storage:
  filesystem:
    rootdirectory: {folder}
  delete:
    enabled: true
http:
  addr: {address}
  secret: fixed
auth:
  token:
    realm: http://127.0.0.1:{web_port}/api/auth
    service: registry:5000
    issuer: test
    rootcertbundle: {certificate}
log:
  level: error
  accesslog:
    disabled: true
notifications:
  endpoints:
    - name: listener
      url: http://127.0.0.1:{web_port}/api/notification
      headers:
        Authorization: [Bearer {secret}]
      timeout: 2s
      threshold: 5
      backoff: 1s
"""


@pytest.fixture(params=["x5c", "kid"])
def named_by(request):
    """How tokens name their key: by a chain of certificates, or auth.key alone by its libtrust id."""
    return request.param


@pytest.fixture
def key(named_by, keys, tmp_path):
    """The private key of the console, with its certificate beside it or without."""
    return keys.key if named_by == "x5c" else Path(shutil.copy(keys.key, tmp_path))


@pytest.fixture
async def walk(start, with_registry, unused_tcp_port, keys, key, tmp_path):
    """A console and the Go registry that know each other."""
    address = f"127.0.0.1:{unused_tcp_port}"
    config = with_registry(url=f"http://{address}/v2", auth={"key": key})
    console = await start(dataclasses.replace(config, notifications=NotificationsConfig(token=Secret(SECRET))))
    path = tmp_path / "registry.yml"
    values = {"folder": tmp_path / "store", "address": address, "web_port": console.server.port}
    path.write_text(CONFIG.format(**values, certificate=keys.certificates[0], secret=SECRET))
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "serve", str(path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    async with aiohttp.ClientSession(f"http://{address}") as session:
        for _ in range(200):
            try:
                async with session.get("/v2/") as response:
                    assert response.status == 401
                break
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)
        yield console, session
    process.terminate()
    await process.wait()


async def bearer(console, user, scope):
    response = await console.token(user=user, password="correct horse", service="registry:5000", scope=scope)
    return {"Authorization": f"Bearer {(await response.json())['token']}"}


async def push(session, headers, repository, tag, **config):
    blobs = []
    for body in (json.dumps({"os": "linux", "architecture": "amd64", **config}).encode(), b"a layer"):
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        async with session.post(f"/v2/{repository}/blobs/uploads/", headers=headers) as response:
            if response.status != 202:
                return response.status
            place = response.headers["Location"]
        async with session.put(f"{place}&digest={digest}", data=body, headers=headers) as response:
            assert response.status == 201
        blobs.append({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": len(body)})
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": blobs[0], "layers": blobs[1:]}
    url, body = f"/v2/{repository}/manifests/{tag}", json.dumps(document)
    async with session.put(url, data=body, headers={**headers, "Content-Type": MANIFEST}) as response:
        return response.status


async def seen(console, count):
    for _ in range(100):
        events = (await console.parts.events.page(Wanted())).events
        if len(events) >= count:
            return [(event.action, event.user, f"{event.repository}:{event.tag}") for event in events]
        await asyncio.sleep(0.05)
    raise AssertionError(events)


async def test_the_walk_push_see_pull_and_delete(walk, named_by):
    console, session = walk
    await console.user("writer", "write-all")
    headers = await bearer(console, "writer", "repository:team/app:pull,push")
    assert {named_by} == {"x5c", "kid"} & jwt.get_unverified_header(headers["Authorization"].split()[1]).keys()
    assert await push(session, headers, "team/app", "1.0", created="2026-01-02T03:04:05Z") == 201
    assert await push(session, headers, "team/app", "latest", created="2026-01-02T03:04:05Z") == 201
    async with session.get("/v2/team/app/manifests/1.0", headers={**headers, "Accept": MANIFEST}) as response:
        assert response.status == 200
    visitor = await console.member("deleter", "UI_USER", "read-all", "UI_DELETE")
    assert "team/app" in await visitor.text("/")
    page = await visitor.text("/repo/tags/team/app")
    assert "linux/amd64" in page
    assert "2026-01-02 03:04:05" in page
    confirmed = await visitor.text("/repo/delete/team/app/1.0")
    assert "<strong>latest</strong>" in confirmed
    digest = confirmed.split('name="digest" value="')[1].split('"')[0]
    response = await visitor.post("/repo/delete/team/app/1.0", digest=digest, tags="1.0 latest")
    assert (response.status, response.headers["Location"]) == (303, "/")
    events = await seen(console, 4)
    assert events[-3:] == [
        ("pull", "writer", "team/app:1.0"),
        ("push", "writer", "team/app:latest"),
        ("push", "writer", "team/app:1.0"),
    ]
    assert {(action, user) for action, user, _ in events[:-3]} == {("delete", "deleter")}
    assert "accepts our tokens" in await (await console.admin()).text("/status")


async def test_who_may_only_read_cannot_push_and_a_stranger_nothing(walk):
    console, session = walk
    await console.user("reader", "read-all")
    headers = await bearer(console, "reader", "repository:team/app:pull,push")
    assert await push(session, headers, "team/app", "1.0") == 401
    async with session.get("/v2/", headers=headers) as response:
        assert response.status == 200
    assert await push(session, {"Authorization": "Bearer made.up.token"}, "team/app", "1.0") == 401


async def test_a_token_is_good_until_it_expires(walk, monkeypatch):
    console, session = walk
    await console.user("writer", "write-all")
    scope = "repository:team/app:pull,push"
    assert await push(session, await bearer(console, "writer", scope), "team/app", "1.0") == 201
    monkeypatch.setattr(console.parts.settings.issuer, "_clock", lambda: time.time() - 3600)
    expired = await bearer(console, "writer", scope)
    assert await push(session, expired, "team/app", "2.0") == 401
    async with session.get("/v2/team/app/manifests/1.0", headers={**expired, "Accept": MANIFEST}) as response:
        assert response.status == 401
        assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
