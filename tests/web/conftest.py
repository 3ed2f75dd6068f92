"""A console on real parts: a database file, real keys, and a small registry that really listens."""

import asyncio
import contextlib
import dataclasses
import hashlib
import json
import re

import aiohttp
import pytest
from aiohttp import encode_basic_auth, web
from argon2 import PasswordHasher
from hypothesis import settings

from shared.config import Secret
from tests.kit.actors import ADMIN
from tests.kit.postgres import running_postgres
from web_service import passwords
from web_service.app import create_app, load_settings
from web_service.config import AuthConfig, Config, DatabaseConfig, NotificationsConfig, RegistryConfig
from web_service.db import Database
from web_service.keygen import Places, Wanted, generate
from web_service.roles import Roles
from web_service.users import Users
from web_service.views.routing import PARTS

settings.register_profile(
    "web", deadline=None
)  # the first example pays for imports; the time of the rest is no subject
settings.load_profile("web")

PASSWORD = "correct horse"
_CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
_HASH = _CHEAP.hash(PASSWORD)
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch):
    """Make new password hashes cheap; what they cost is a matter of test_passwords."""
    monkeypatch.setattr(passwords, "_HASHER", _CHEAP)


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """The key files of an installation."""
    folder = tmp_path_factory.mktemp("keys")
    places = Places(folder / "web", folder / "registry")
    generate(places, Wanted(kind="ec"), "refuse")
    return places


class FakeRegistry:
    """The endpoints of a registry that the console reads, over HTTP; it remembers what it was asked."""

    def __init__(self):
        self.url = ""
        self.tags = {}
        self.manifests = {}
        self.blobs = {}
        self.requests = []
        self.page_size = 100
        self.failure = None
        self.deletes = True

    def app(self):
        app = web.Application()
        app.router.add_route("*", "/v2/{path:.*}", self.answer)
        return app

    def add_image(self, repository, *tags, platform="linux/amd64", config=None, size=1000, media_type=OCI_MANIFEST):
        os, architecture = platform.split("/")
        document = {"os": os, "architecture": architecture, "created": "2026-01-02T03:04:05Z", **(config or {})}
        blob = json.dumps(document).encode()
        config_digest = self._digest(blob)
        self.blobs[repository, config_digest] = blob
        layer = {
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
            "size": size,
            "digest": "sha256:" + "a" * 64,
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": config_digest,
                "size": len(blob),
            },
            "layers": [layer],
        }
        return self.add_manifest(repository, manifest, media_type, *tags)

    def add_index(self, repository, tag, children):
        entries = []
        for digest, platform in children:
            os, architecture = platform.split("/")
            entry = {"mediaType": OCI_MANIFEST, "digest": digest, "size": 100}
            entries.append(entry | {"platform": {"os": os, "architecture": architecture}})
        manifest = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
        return self.add_manifest(repository, manifest, OCI_INDEX, tag)

    def add_manifest(self, repository, manifest, media_type, *tags):
        body = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
        digest = self._digest(body)
        self.manifests[repository, digest] = (media_type, body)
        self.tags.setdefault(repository, {}).update(dict.fromkeys(tags, digest))
        return digest

    @staticmethod
    def _digest(body):
        return f"sha256:{hashlib.sha256(body).hexdigest()}"

    async def answer(self, request):
        path = request.match_info["path"]
        self.requests.append((request.method, path, request.headers.copy()))
        if self.failure:
            status, code, *message = self.failure
            message = message[0] if message else "no <luck>"
            return web.json_response({"errors": [{"code": code, "message": message}]}, status=status)
        if not path:
            return web.json_response({})
        if path == "_catalog":
            return self._list(request, "repositories", sorted(self.tags))
        name, kind, reference = re.fullmatch(r"(.+)/(tags|manifests|blobs)/([^/]+)", path).groups()
        if kind == "tags":
            return self._list(request, "tags", list(self.tags[name])) if name in self.tags else self._missing()
        if kind == "blobs":
            body = self.blobs.get((name, reference))
            return web.Response(body=body, content_type="application/octet-stream") if body else self._missing()
        return self._manifest(request, name, reference)

    def _manifest(self, request, name, reference):
        digest = self.tags.get(name, {}).get(reference, reference)
        found = self.manifests.get((name, digest))
        if found is None or (request.method != "DELETE" and found[0] not in request.headers.get("Accept", "")):
            return self._missing()
        if request.method == "DELETE":
            if not self.deletes:
                return web.json_response({"errors": [{"code": "UNSUPPORTED"}]}, status=405)
            del self.manifests[name, digest]
            self.tags[name] = {tag: held for tag, held in self.tags[name].items() if held != digest}
            return web.Response(status=202)
        headers = {"Content-Type": found[0], "Docker-Content-Digest": digest}
        return web.Response(body=b"" if request.method == "HEAD" else found[1], headers=headers)

    def _list(self, request, key, names):
        size = int(request.query.get("n", self.page_size))
        size = min(size, self.page_size)
        last = request.query.get("last")
        start = names.index(last) + 1 if last else 0
        page = names[start : start + size]
        headers = {}
        if start + size < len(names):
            headers["Link"] = f'<{request.path}?last={page[-1]}&n={size}>; rel="next"'
        return web.json_response({key: page}, headers=headers)

    @staticmethod
    def _missing():
        return web.json_response({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "unknown"}]}, status=404)


@pytest.fixture
async def registry(aiohttp_server):
    fake = FakeRegistry()
    server = await aiohttp_server(fake.app())
    fake.url = str(server.make_url("/v2"))
    return fake


@pytest.fixture
def config(keys, registry, tmp_path):
    """The configuration of the published walk, on this machine."""
    return Config(
        registry=RegistryConfig(
            url=registry.url,
            name="registry:5000",
            readonly=False,
            auth=AuthConfig(enabled=True, key=keys.key, issuer="test"),
        ),
        database=DatabaseConfig(url=Secret(f"sqlite:///{tmp_path}/web.db")),
        notifications=NotificationsConfig(),
    )


@pytest.fixture
def with_registry(config):
    """Return a function that changes keys below `registry`."""

    def change(*, auth=None, **keys):
        registry = dataclasses.replace(config.registry, **keys)
        if auth:
            registry = dataclasses.replace(registry, auth=dataclasses.replace(registry.auth, **auth))
        return dataclasses.replace(config, registry=registry)

    return change


class Visitor:
    """A browser: keeps cookies, and takes the form token from the page before it sends a form."""

    def __init__(self, client):
        self.client = client

    async def get(self, path, **keys):
        return await self.client.get(path, allow_redirects=False, **keys)

    async def text(self, path, **keys):
        response = await self.get(path, **keys)
        assert response.status == 200, (path, response.status)
        return await response.text()

    async def csrf(self):
        page = await (await self.client.get("/account")).text()  # anonymous visitors land on the sign-in page
        return re.search(r'name="csrf" value="([0-9a-f]+)"', page)[1]

    async def post(self, path, headers=None, **fields):
        data = {"csrf": await self.csrf(), **fields}
        return await self.client.post(path, data=data, headers=headers, allow_redirects=False)

    async def sign_in(self, name, password=PASSWORD, **fields):
        return await self.post("/login", name=name, password=password, **fields)


class Console:
    """A running console with a way to make users and visitors."""

    def __init__(self, server, parts, new_client):
        self.server = server
        self.parts = parts
        self.new_client = new_client

    async def user(self, name, *roles, enabled=True):
        user = await self.parts.users.create(name, _HASH, enabled=enabled, by=ADMIN)
        ids = {role.name: role.id for role in await self.parts.roles.all()}
        for role in roles:
            await self.parts.users.grant(user.id, ids[role], by=ADMIN)
        return await self.parts.users.get(user.id)

    async def open_to_everybody(self, *rules):
        """Enable the role anonymous with rules."""
        role = next(role for role in await self.parts.roles.all() if role.is_anonymous)
        for rule in rules:
            await self.parts.roles.add_rule(role.id, rule, by=ADMIN)
        await self.parts.roles.set_enabled(role.id, enabled=True, by=ADMIN)

    async def member_with(self, name, *rules, roles=("UI_USER",)):
        """Return the visitor of a new user with a role that holds these rules."""
        role = await self.parts.roles.create(f"role of {name}", by=ADMIN)
        for rule in rules:
            await self.parts.roles.add_rule(role.id, rule, by=ADMIN)
        return await self.member(name, *roles, role.name)

    async def visitor(self, name="", password=PASSWORD):
        visitor = Visitor(await self.new_client(self.server))
        if name:
            response = await visitor.sign_in(name, password)
            assert response.status == 303, await response.text()
        return visitor

    async def member(self, name, *roles):
        await self.user(name, *roles)
        return await self.visitor(name)

    async def admin(self):
        return await self.visitor("admin", "admin")

    async def raw(self, *lines, body=b""):
        """Send a request as it stands and return the status and the whole answer."""
        reader, writer = await asyncio.open_connection(self.server.host, self.server.port)
        head = [*lines, b"Host: console", b"Connection: close", b"Content-Length: %d" % len(body), b"", body]
        writer.write(b"\r\n".join(head))
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return int(answer.split()[1]), answer

    async def token(self, *, user="admin", password="admin", **query):
        client = await self.new_client(self.server)
        headers = {"Authorization": encode_basic_auth(user, password, encoding="utf-8")} if user else {}
        return await client.get("/api/auth", params=query, headers=headers)


@pytest.fixture
def start(aiohttp_client, aiohttp_server):
    """Return a function that starts a console with a configuration."""

    async def start(config):
        app = await asyncio.to_thread(lambda: create_app(load_settings(config)))
        server = await aiohttp_server(app)
        return Console(server, app[PARTS], aiohttp_client)

    return start


@pytest.fixture
async def visit():
    """Return a function that opens a browser, or a window of one, at the URL of a console in another process."""
    async with contextlib.AsyncExitStack() as sessions:

        async def visit(url, window_of=None):
            jar = window_of.client.cookie_jar if window_of else aiohttp.CookieJar(unsafe=True)
            session = aiohttp.ClientSession(url, cookie_jar=jar)
            return Visitor(await sessions.enter_async_context(session))

        yield visit


@pytest.fixture
async def console(start, config):
    return await start(config)


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server; tests that ask for it bear the mark `system`."""
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.system)])
def database_url(request, tmp_path):
    """An empty database of either kind; whatever uses it runs on both."""
    if request.param == "sqlite":
        return Secret(f"sqlite:///{tmp_path}/test.db")
    return Secret(request.getfixturevalue("postgres").new_database())


@pytest.fixture
async def database(database_url):
    database = Database(database_url)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def users(database):
    users = Users(database)
    await users.seed("admin")
    return users


@pytest.fixture
def roles(database, users):
    return Roles(database)
