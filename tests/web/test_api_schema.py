"""The real service under schemathesis: whatever is sent, the answers are those that the description promises."""

import base64
import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.kit.services import ROOT, free_port, generate_keys, running_service
from web_service.api import OPERATIONS

SECONDS = 240
CONFIG = """
seed = 20261124
warnings = false

[generation]
max-examples = 12
deterministic = true
database = "none"
no-shrink = true

[dictionaries]
names = { values = ["anna", "bert", "ci", "no-such"] }
roles = { values = ["read-all", "some role", "UI_USER", "anonymous"] }
groups = { values = ["developers"] }
numbers = { values = [1, 2, 3, 4] }

[parameters]
"path.name" = { dictionary = "names", probability = 0.8 }
"path.role" = { dictionary = "roles", probability = 0.8 }
"path.group" = { dictionary = "groups", probability = 0.8 }
"path.id" = { dictionary = "numbers", probability = 0.8 }

[checks]
# Whoever shows wrong credentials ten times has to wait, the administrator at the same address in the end as well.
# What is answered without credentials, or with wrong ones, test_api_rights asks of every operation.
ignored_auth.enabled = false
# A name or a glob may have the form that the schema asks for, and still be none: 422.
positive_data_acceptance.expected-statuses = ["2xx", 403, 404, 409, 422]
"""
HOOKS = '''
"""Give the administrator the known password back when the new one was accepted."""

import base64
import json
import urllib.request

import schemathesis


@schemathesis.hook
def after_call(context, case, response):
    own = case.operation.path.endswith("/user/password") or case.path_parameters.get("name") == "admin"
    if response.status_code == 204 and own and case.operation.path.endswith("/password"):
        address = response.request.url.partition("/api/v1/")[0] + "/api/v1/user/password"
        token = base64.b64encode(f"admin:{case.body['password']}".encode()).decode()
        headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        body = json.dumps({"password": "PASSWORD"}).encode()
        urllib.request.urlopen(urllib.request.Request(address, body, headers, method="PUT"), timeout=10).close()
'''
PASSWORD = "long enough"


@pytest.fixture
def service(tmp_path):
    """The URL of a service of its own, with something of everything in it."""
    port, keys = free_port(), tmp_path / "keys"
    generate_keys(keys)
    environ = {
        "REGISTRY_URL": f"http://127.0.0.1:{free_port()}/v2",
        "REGISTRY_AUTH_KEY": f"{keys}/auth.key",
        "WEB_HTTP_ADDR": f"127.0.0.1:{port}",
        "WEB_DATABASE_URL": f"sqlite:///{tmp_path}/web.db",
        "WEB_NOTIFICATIONS_TOKENFILE": f"{keys}/notification.token",
        "WEB_ADMIN_PASSWORD": PASSWORD,
    }
    command = [sys.executable, "-m", "web_service", "serve", str(ROOT / "conf/registry-web/config.yml")]
    with running_service(command, environ, tmp_path / "web.log"):
        url = f"http://127.0.0.1:{port}/api/v1"
        furnish(url)
        yield url


def ask(url, path, method="GET", document=None):
    token = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
    body = None if document is None else json.dumps(document).encode()
    with urllib.request.urlopen(urllib.request.Request(url + path, body, headers, method=method)) as response:
        return response.read()


def furnish(url):
    for path, document in (
        ("/users", {"name": "anna", "password": "correct horse"}),
        ("/users", {"name": "bert"}),
        ("/robots", {"name": "ci", "rules": ["team/**:push"], "token": {"name": "first"}}),
        ("/roles", {"name": "some role"}),
        ("/roles/some%20role/rules", {"repository": "team/{user}/**", "level": "push"}),
        ("/groups", {"name": "developers"}),
        ("/user/tokens", {"name": "mine", "api": "read"}),
        ("/users/anna/tokens", {"name": "hers"}),
    ):
        ask(url, path, "POST", document)
    ask(url, "/groups/developers/members/anna", "PUT")


def answered_well(log: Path) -> set[str]:
    """Return the operations that did at least once what they are for."""
    return set(re.findall(r" status=2\d\d .* operation=(\w+)", log.read_text()))


@pytest.mark.timeout(SECONDS + 60)
def test_answers_are_as_described_whatever_is_sent(service, tmp_path):
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    (tmp_path / "hooks.py").write_text(HOOKS.replace("PASSWORD", PASSWORD))
    program = [Path(sys.executable).with_name("schemathesis"), "--config-file", tmp_path / "schemathesis.toml"]
    ran = subprocess.run(
        [*program, "run", f"{service}/openapi.json", "--auth", f"admin:{PASSWORD}", "--continue-on-failure"],
        cwd=tmp_path,
        env={"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
    assert int(re.search(r"(\d+) generated", ran.stdout)[1]) > 1000
    assert len(answered_well(tmp_path / "web.log")) > len(OPERATIONS) * 0.7
