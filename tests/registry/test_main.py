"""The command line: what it starts, and the one line it says when it cannot."""

import os
import signal
import subprocess
import sys
from importlib.metadata import version

import pytest

COMMAND = [sys.executable, "-W", "error", "-m", "registry_service"]
GOOD = """
version: 0.1
storage:
  filesystem:
    rootdirectory: {folder}/data
http:
  addr: 127.0.0.1:0
"""


def run(*arguments, **environ):
    """Run the command, which must end by itself."""
    environment = os.environ | environ
    return subprocess.run(
        [*COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=20, check=False
    )


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "config.yml"
        path.write_text(text.format(folder=tmp_path))
        return str(path)

    return write


def token(bundle):
    return GOOD + (
        "auth:\n  token:\n    realm: http://localhost:8090/api/auth\n"
        f"    service: registry:5000\n    issuer: test\n    rootcertbundle: {bundle}\n"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [", "config.yml: is not valid YAML: line "),
        ("- a", "config.yml: must hold `key: value` lines"),
        ("version: 0.1", "config.yml: storage is missing"),
        ("version: 0.2\nstorage: {{inmemory: }}", "config.yml: version: must be 0.1"),
        ("storage: {{}}", "config.yml: storage: must have exactly one of filesystem and inmemory"),
        (
            "storage: {{inmemory: , s3: {{bucket: b}}}}",
            "config.yml: storage.s3 is not supported: use storage.filesystem",
        ),
        (
            "storage: {{inmemory: }}\nhtpp: {{}}",
            "config.yml: htpp: is not a key of the configuration; did you mean http?",
        ),
        ("storage: {{inmemory: }}\nhttp: {{addr: nowhere}}", "config.yml: http.addr: must have the form host:port"),
        ("storage: {{inmemory: }}\nhttp: {{addr: '127.0.0.1:99999'}}", "config.yml: http.addr: must have the form"),
        (
            "storage: {{inmemory: }}\nlog: {{level: loud}}",
            "config.yml: log.level: must be one of error, warn, info, debug",
        ),
        ("storage: {{inmemory: }}\nhttp: {{draintimeout: 5}}", "config.yml: http.draintimeout: 5 is not a duration"),
        ("storage: {{inmemory: }}\nauth: {{htpasswd: {{realm: a, path: b}}}}", "auth.htpasswd is not supported"),
        ("storage: {{filesystem: {{rootdirectory: /dev/null/x}}}}", "rootdirectory: cannot write to /dev/null/x"),
        (token("{folder}/none"), "none: auth.token.rootcertbundle: cannot be read: No such file or directory"),
        (token("{folder}/config.yml"), "config.yml: auth.token.rootcertbundle: holds no PEM certificate"),
        (
            GOOD + "notifications: {{endpoints: [{{name: a, url: 'http://x', tokenfile: /nowhere}}]}}",
            "/nowhere: notifications.endpoints (a): tokenfile: cannot be read",
        ),
        (
            GOOD + "notifications: {{endpoints: [{{name: a, url: x}}]}}",
            "notifications.endpoints[0].url: must start with",
        ),
    ],
)
@pytest.mark.parametrize("command", ["serve", "check-config"])
def test_a_configuration_that_cannot_be_used(write, text, expected, command):
    ran = run(command, write(text))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.count("\n") == 1
    assert ran.stderr.startswith("registry: ")
    assert expected in ran.stderr


def test_a_file_that_is_not_there():
    ran = run("serve", "/nowhere/config.yml")
    assert (ran.returncode, ran.stderr) == (
        2,
        "registry: /nowhere/config.yml: there is no such file; give the path of a configuration file\n",
    )


def test_no_file_at_all():
    ran = run("serve")
    assert ran.returncode == 2
    assert ran.stderr.startswith("registry: give the path of a configuration file")


def test_the_file_may_be_named_by_the_environment(write):
    ran = run("check-config", REGISTRY_CONFIGURATION_PATH=write(GOOD))
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "the configuration can be used\n", "")


def test_keys_of_the_go_registry_are_named_and_left_aside(write):
    ran = run("check-config", write(GOOD + "redis: {{addr: x}}\nhealth: {{storagedriver: {{enabled: true}}}}\n"))
    assert ran.returncode == 0
    assert "redis has no effect here and is ignored" in ran.stdout
    assert "health has no effect here and is ignored" in ran.stdout


GO_FILE = """
version: 0.1
log: {{formatter: logstash, fields: {{service: registry}}}}
storage:
  cache: {{blobdescriptor: inmemory}}
  filesystem: {{rootdirectory: {folder}/data}}
  redirect: {{disable: false}}
http:
  addr: 127.0.0.1:0
  secret: x
  tls: {{letsencrypt: {{}}, clientcas: []}}
middleware: {{registry: [], storage: []}}
proxy: {{remoteurl: ''}}
health: {{storagedriver: {{enabled: true, interval: 10s, threshold: 3}}}}
"""


def test_a_file_of_the_go_registry_starts_when_what_we_lack_is_switched_off(write):
    ran = run("check-config", write(GO_FILE))
    assert (ran.returncode, ran.stderr) == (0, "")
    for key in ("middleware", "proxy", "http.tls.letsencrypt", "http.secret", "storage.cache", "health", "log.fields"):
        assert f"{key} has no effect here and is ignored" in ran.stdout


@pytest.mark.parametrize(
    "setting",
    [
        "proxy: {{remoteurl: 'https://x'}}",
        "middleware: {{registry: [{{name: x}}]}}",
        "auth: {{token: {{realm: a, service: b, issuer: c, rootcertbundle: d, autoredirect: true}}}}",
    ],
)
def test_what_we_lack_and_a_file_asks_for_stops_the_start(write, setting):
    ran = run("check-config", write(f"{GOOD}{setting}\n"))
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert "is not supported: " in ran.stderr


def test_a_key_that_stands_twice(write):
    ran = run("check-config", write(GOOD + "version: 0.1\n"))
    assert ran.returncode == 2
    assert "the key 'version' stands there twice" in ran.stderr


def test_the_version():
    assert run("--version").stdout.strip() == version("cangku")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_when_it_is_ready_and_stops_cleanly(write, number):
    with subprocess.Popen(
        [*COMMAND, "serve", write(GOOD)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "registry ready address=http://127.0.0.1:" in line:
                break
        process.send_signal(number)
        rest, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    assert "registry stopped" in rest
    assert "auth is not configured" in lines[0]
