"""The keys of the token server change in the middle of a push, and nothing is refused."""

import asyncio
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kit.console import browser_page
from tests.kit.content import blob, image, image_config
from tests.kit.http import get, request
from tests.kit.services import ADMIN_PASSWORD, ROOT, free_port, generate_keys, running_service
from tests.kit.walk import PASSWORD, WRITER

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

NAME = "team/app"
LOOKED_AT_SECONDS = 7
"""The registry looks at its files of keys every five."""


@dataclass(frozen=True)
class House:
    """Where both services answer, and the folder of their files, in which the keys lie by their names."""

    folder: Path
    registry_port: int
    web_port: int

    @property
    def registry(self) -> str:
        return f"http://localhost:{self.registry_port}"

    @property
    def console(self) -> str:
        return f"http://localhost:{self.web_port}"

    def trust(self, *names: str) -> None:
        """Give the registry the certificates of these keys."""
        new = self.folder / "bundle.new"
        new.write_bytes(b"".join((self.folder / name / "auth.cert").read_bytes() for name in names))
        new.replace(self.folder / "bundle.pem")

    @contextmanager
    def registry_running(self):
        environ = {
            "REGISTRY_HTTP_ADDR": f"127.0.0.1:{self.registry_port}",
            "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": f"{self.folder}/images",
            "REGISTRY_AUTH_TOKEN_REALM": f"{self.console}/api/auth",
            "REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE": f"{self.folder}/bundle.pem",
            "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_DISABLED": "true",
            "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_TOKENFILE": f"{self.folder}/old/notification.token",
        }
        command = [sys.executable, "-m", "registry_service", "serve", str(ROOT / "conf/registry/config.yml")]
        with running_service(command, environ, self.folder / "registry.log"):
            yield

    @contextmanager
    def console_running(self, key: str):
        """Serve the console with one of the keys; its users stay."""
        environ = {
            "REGISTRY_URL": f"{self.registry}/v2",
            "REGISTRY_AUTH_KEY": f"{self.folder}/{key}/auth.key",
            "WEB_HTTP_ADDR": f"127.0.0.1:{self.web_port}",
            "WEB_DATABASE_URL": f"sqlite:///{self.folder}/registry-web.db",
            "WEB_NOTIFICATIONS_TOKENFILE": f"{self.folder}/{key}/notification.token",
        }
        command = [sys.executable, "-m", "web_service", "serve", str(ROOT / "conf/registry-web/config.yml")]
        with running_service(command, environ, self.folder / f"registry-web-{key}.log"):
            yield

    def token(self) -> dict[str, str]:
        """Return the header with a token of the key that the console has now."""
        query = f"service=registry:5000&scope=repository:{NAME}:pull,push"
        answer = get(f"{self.console}/api/auth?{query}", login=(WRITER, PASSWORD))
        assert answer.status == 200, answer.body
        return {"Authorization": f"Bearer {answer.json['token']}"}

    def send(self, method: str, path: str, token: dict[str, str], content=b"", media_type="application/octet-stream"):
        headers = token | {"Content-Type": media_type}
        return request(method, f"{self.registry}{path}", body=content, headers=headers)


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path, free_port(), free_port())
    for name in ("old", "new"):
        generate_keys(tmp_path / name)
    house.trust("old")
    with house.registry_running():
        yield house


async def create_writer(house):
    async with browser_page(house.console, house.folder) as console:
        await console.sign_in("admin", ADMIN_PASSWORD)
        await console.create_user(WRITER, PASSWORD, roles=["write-all"])


def test_a_push_goes_on_while_the_key_is_replaced(house):
    layer, config = blob(), image_config()
    manifest = image([layer], config)
    with house.console_running("old"):
        asyncio.run(create_writer(house))
        old = house.token()
        begun = house.send("POST", f"/v2/{NAME}/blobs/uploads/", old)
        place = begun.headers["Location"]
        answers = [begun, house.send("PATCH", place, old, layer.body[:60])]
        house.trust("old", "new")
        time.sleep(LOOKED_AT_SECONDS)
        answers.append(house.send("GET", place, old, None))
    with house.console_running("new"):
        new = house.token()
        answers += [
            house.send("PATCH", place, old, layer.body[60:80]),
            house.send("PUT", f"{place}?digest={layer.digest}", old, layer.body[80:]),
            house.send("POST", f"/v2/{NAME}/blobs/uploads/?digest={config.digest}", new, config.body),
            house.send("PUT", f"/v2/{NAME}/manifests/v1", new, manifest.body, manifest.media_type),
            house.send("GET", f"/v2/{NAME}/manifests/v1", old, None),
        ]
        assert [answer.status for answer in answers] == [202, 202, 204, 202, 201, 201, 201, 200]
        house.trust("new")
        time.sleep(LOOKED_AT_SECONDS)
        assert house.send("GET", f"/v2/{NAME}/manifests/v1", new, None).body == manifest.body
        assert house.send("GET", f"/v2/{NAME}/blobs/{layer.digest}", new, None).body == layer.body
        refused = house.send("GET", f"/v2/{NAME}/manifests/v1", old, None)
        assert refused.status == 401
        assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]
