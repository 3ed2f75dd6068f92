"""A registry that is killed in the middle of a push, and one that is replaced by the next version."""

import http.client
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.kit.content import blob
from tests.kit.go_registry import CONFIG
from tests.kit.http import request
from tests.kit.services import free_port

pytestmark = pytest.mark.system

NAME = "team/app"


class Registry:
    """A registry process that can be started, killed and started again."""

    def __init__(self, folder):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = folder / "config.yml"
        self.config.write_text(CONFIG.format(folder=folder / "tree", port=self.port))
        self.process = None

    def start(self):
        command = [sys.executable, "-m", "registry_service", "serve", str(self.config)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if "registry ready" in line:
                threading.Thread(target=self.process.stdout.read, daemon=True).start()
                return

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        code = self.process.wait(20)
        self.process.stdout.close()
        return code


@pytest.fixture
def registry(tmp_path):
    registry = Registry(tmp_path)
    registry.start()
    yield registry
    if registry.process.poll() is None:
        registry.stop()


def begin_patch(registry, location, total):
    connection = http.client.HTTPConnection("127.0.0.1", registry.port, timeout=20)
    connection.putrequest("PATCH", location)
    connection.putheader("Content-Length", str(total))
    connection.putheader("Content-Type", "application/octet-stream")
    connection.endheaders()
    return connection


def received(folder):
    """Return how many bytes of the only upload lie on the disk."""
    files = list(folder.glob("tree/docker/registry/v2/repositories/team/app/_uploads/*/data"))
    return files[0].stat().st_size if files else 0


def test_an_upload_goes_on_after_the_registry_was_killed(registry, tmp_path):
    content = blob(6_000_000)
    location = request("POST", f"{registry.url}/v2/{NAME}/blobs/uploads/").headers["Location"]
    connection = begin_patch(registry, location, len(content.body))
    connection.send(content.body[:4_000_000])
    deadline = time.monotonic() + 10
    while received(tmp_path) < 3_000_000 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert registry.stop(signal.SIGKILL) == -signal.SIGKILL
    connection.close()
    registry.start()
    answer = request("GET", registry.url + location)
    arrived = int(answer.headers["Range"].partition("-")[2]) + 1
    assert (answer.status, arrived) == (204, received(tmp_path))
    assert arrived >= 3_000_000
    headers = {
        "Content-Range": f"{arrived}-{len(content.body) - 1}",
        "Content-Type": "application/octet-stream",
    }
    closing = f"{registry.url}{location}?digest={content.digest}"
    assert request("PUT", closing, body=content.body[arrived:], headers=headers).status == 201
    assert request("GET", f"{registry.url}/v2/{NAME}/blobs/{content.digest}").body == content.body


def test_an_upload_under_way_is_finished_before_the_registry_ends(registry):
    content = blob(3_000_000)
    location = request("POST", f"{registry.url}/v2/{NAME}/blobs/uploads/").headers["Location"]
    connection = begin_patch(registry, location, len(content.body))
    connection.send(content.body[:1_500_000])
    time.sleep(0.2)
    registry.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    with pytest.raises(OSError, match="refused"):
        request("GET", f"{registry.url}/v2/")
    connection.send(content.body[1_500_000:])
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Range"]) == (202, f"0-{len(content.body) - 1}")
    connection.close()
    assert registry.process.wait(20) == 0
    registry.process.stdout.close()
    registry.start()
    assert request("PUT", f"{registry.url}{location}?digest={content.digest}").status == 201
