"""A token must not become dearer: calls of Python functions on the event loop are counted, not timed.

A change that needs more of them than recorded fails here. Where that is meant, or where it needs fewer, run

    CANGKU_RECORD_HOT_PATHS=1 .venv/bin/pytest tests/web/test_hot_paths.py

and commit the changed tests/web/hot_paths.json with the reason.
"""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

from tests.kit.counting import counting
from tests.kit.services import free_port, running_service

RECORD = "CANGKU_RECORD_HOT_PATHS"
RECORDED = Path(__file__).with_name("hot_paths.json")
MARGIN = 1.10
"""How much more than recorded is let through: other versions of the framework and of Python differ a little."""
WARM_UPS, REQUESTS = 3, 50
CONFIG = """
registry: {{name: 'registry:5000', auth: {{enabled: true, key: '{key}'}}}}
http: {{addr: "127.0.0.1:{port}"}}
database: {{url: 'sqlite:///{folder}/web.db'}}
"""
COUNTING = counting("""
from web_service.__main__ import main
sys.argv = ["registry-web", "serve", sys.argv[2]]
main()
""")


class Client:
    """One connection over which tokens are asked for with one credential."""

    def __init__(self, port, name, secret):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        credential = base64.b64encode(f"{name}:{secret}".encode()).decode()
        self.headers = f"Host: x\r\nAuthorization: Basic {credential}\r\n\r\n"

    def ask(self, scope):
        query = f"service=registry:5000{f'&scope={quote(scope)}' if scope else ''}"
        self.socket.sendall(f"GET /api/auth?{query} HTTP/1.1\r\n{self.headers}".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.received()
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.split()[1] == b"200", answer
        while len(body) < int(re.search(rb"(?i)content-length: (\d+)", head)[1]):
            body += self.received()
        return json.loads(body)["token"]

    def received(self):
        data = self.socket.recv(1 << 16)
        assert data, "the server has closed the connection"
        return data


def registry_web(config, noun, verb, *arguments):
    """Return what a command says."""
    command = [sys.executable, "-m", "web_service", noun, verb, "--config", config, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def access_token(config):
    """Let the first administrator push, and return an access token of his."""
    registry_web(config, "user", "grant", "admin", "write-all")
    return re.search(r"ckp_\w+", registry_web(config, "token", "add", "admin", "ci"))[0]


def settle():
    """Let what a start and a sign-in leave to be done be over."""
    signal.sigtimedwait([], 0.1)


def paths(secret):
    """Return the hot paths: name, password or access token, and the scope of the request of each number."""
    return {
        "the same scope again": ("admin", lambda _: "repository:team/app:pull,push"),
        "another scope each time": ("admin", lambda number: f"repository:team/app-{number}:pull,push"),
        "docker login": ("admin", lambda _: ""),
        "by an access token": (secret, lambda _: "repository:team/app:pull,push"),
    }


def calls_per_request(process, result, client, scope):
    """Return how many Python functions a request calls, once those before it have warmed everything up."""
    for number in range(WARM_UPS):
        client.ask(scope(-1 - number))
    process.send_signal(signal.SIGUSR1)
    settle()
    for number in range(REQUESTS):
        client.ask(scope(number))
    result.unlink(missing_ok=True)
    process.send_signal(signal.SIGUSR2)
    while not (result.exists() and result.read_text()):
        assert process.poll() is None
        time.sleep(0.01)
    return round(int(result.read_text()) / REQUESTS)


def test_no_token_needs_more_python_calls_than_recorded(keys, tmp_path):
    result, config, port = tmp_path / "calls", tmp_path / "config.yml", free_port()
    config.write_text(CONFIG.format(key=keys.key, port=port, folder=tmp_path))
    command = [sys.executable, "-c", COUNTING, str(result), str(config)]
    with running_service(command, {}, tmp_path / "log") as process:
        found = {}
        for name, (secret, scope) in paths(access_token(config)).items():
            client = Client(port, "admin", secret)
            found[name] = calls_per_request(process, result, client, scope)
            client.socket.close()
    if os.environ.get(RECORD):
        RECORDED.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
        return
    record = json.loads(RECORDED.read_text())
    assert found.keys() == record.keys()
    dearer = {name: (record[name], number) for name, number in found.items() if number > record[name] * MARGIN + 1}
    assert not dearer, f"recorded and now; if that is meant, {RECORD}=1 records it anew (see this file)"
