"""What clients ask most must not become dearer: calls of Python functions and of the system are counted, not timed.

A change that needs more of them than recorded fails here. Where that is meant, or where it needs fewer, run

    CANGKU_RECORD_HOT_PATHS=1 .venv/bin/pytest tests/registry/test_hot_paths.py

and commit the changed tests/registry/hot_paths.json with the reason.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

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
from tests.kit.content import blob, image, image_config
from tests.kit.counting import counting
from tests.kit.services import free_port

RECORD = "CANGKU_RECORD_HOT_PATHS"
RECORDED = Path(__file__).with_name("hot_paths.json")
MARGIN = {"python calls": 1.10, "python calls, tokens": 1.10, "system calls": 1.10}
"""How much more than recorded is let through: other versions of the framework and of Python differ a little."""
SLACK = {"python calls": 6, "python calls, tokens": 6, "system calls": 1}
"""How much a short path differs from run to run, as requests fall into rounds of the loop."""
WARM_UPS, REQUESTS = 3, 50
CONFIG = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/images}}, maintenance: {{uploadpurging: {{enabled: false}}}}}}
http: {{addr: "127.0.0.1:{port}", workers: 1}}
"""
TOKENS = f"""
auth:
  token: {{{{realm: "{REALM}", service: "{SERVICE}", issuer: "{ISSUER}", rootcertbundle: {{folder}}/auth.cert}}}}
"""
SERVING = """
import sys
from registry_service.__main__ import main
from registry_service.storage import writing
writing.waiting_bytes = lambda: 1 << 60  # whatever else waits for the disk, each file is synced by itself
sys.exit(main(["serve", sys.argv[-1]]))
"""
COUNTING = counting(SERVING)
HOUSEKEEPING = {"restart_syscall", "rt_sigreturn", "futex", "getpid", "write", "read", "epoll_wait", "epoll_pwait"}
"""Calls that the measurement itself makes, or whose number depends on how requests fall into rounds of the loop."""


class Client:
    """One connection over which the same request goes again and again, with `always` in each."""

    def __init__(self, port, *always):
        self.always = always
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)

    def ask(self, method, path, *more, lines=(), body=b"", expected=b"200"):
        head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *self.always, *lines, *more, "", ""])
        self.socket.sendall(head.encode() + body)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.received()
        head, _, rest = answer.partition(b"\r\n\r\n")
        assert head.split()[1] == expected, answer
        length = int((re.search(rb"(?i)content-length: (\d+)", head) or [0, 0])[1])
        while method != "HEAD" and len(rest) < length:
            rest += self.received()
        return head

    def received(self):
        data = self.socket.recv(1 << 16)
        assert data, "the registry has closed the connection"
        return data

    def upload(self, name, content):
        """Push as clients do: open an upload, and close it with all bytes."""
        head = self.ask("POST", f"/v2/{name}/blobs/uploads/", "Content-Length: 0", expected=b"202")
        path = re.search(rb"(?i)location: (?:http://[^/]+)?(\S+)", head)[1].decode()
        self.ask("PUT", f"{path}?digest={content.digest}", f"Content-Length: {len(content.body)}",
                 body=content.body, expected=b"201")  # fmt: skip

    def push(self, name, content):
        self.ask("POST", f"/v2/{name}/blobs/uploads/?digest={content.digest}", f"Content-Length: {len(content.body)}",
                 body=content.body, expected=b"201")  # fmt: skip


@contextmanager
def registry(folder, command, text=CONFIG):
    """Run a registry by a command that gets its configuration, and yield process and port."""
    port = free_port()
    config, log = folder / "config.yml", folder / "registry.log"
    config.write_text(text.format(folder=folder, port=port))
    with log.open("wb") as output:
        process = subprocess.Popen([*command, config], stdout=output, stderr=output)
    try:
        while "registry ready" not in log.read_text():
            assert process.poll() is None, log.read_text()
        yield process, port
    finally:
        for pid in children(process.pid) or [process.pid]:  # strace ends with what it traces
            os.kill(pid, signal.SIGTERM)
        process.wait(20)


def children(pid):
    """Return the processes below one."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def paths(port, *always):
    """Push what the hot paths read over a connection of its own, and return them: name, method, path."""
    client = Client(port, *always)
    config, layer = image_config(), blob(1000)
    manifest = image([layer], config)
    client.push("team/app", config)
    client.push("team/app", layer)
    client.ask("PUT", "/v2/team/app/manifests/v1", f"Content-Type: {manifest.media_type}",
               f"Content-Length: {len(manifest.body)}", body=manifest.body, expected=b"201")  # fmt: skip
    client.socket.close()
    return {
        "/v2/": ("GET", "/v2/"),
        "manifest by tag": ("GET", "/v2/team/app/manifests/v1"),
        "manifest by digest": ("GET", f"/v2/team/app/manifests/{manifest.digest}"),
        "HEAD blob": ("HEAD", f"/v2/team/app/blobs/{layer.digest}"),
        "GET small blob": ("GET", f"/v2/team/app/blobs/{config.digest}"),
    }


def hot_paths(port):
    """Return for each path what is asked again and again, the first of it to warm up.

    The same request goes by the express lane, and so does the same question with another header; another question is
    answered anew, and one with a condition goes the long way. One at a time, so each push is synced by itself.
    """
    found, accepted, numbers = {}, "Accept: */*", range(WARM_UPS + REQUESTS)
    for name, (method, path) in paths(port).items():
        ask = partial(Client.ask, method=method)
        found[f"{name}, again"] = [partial(ask, path=path, lines=(accepted,))] * len(numbers)
        found[f"{name}, another header"] = [
            partial(ask, path=path, lines=(accepted, f"X-Number: {i:06}")) for i in numbers
        ]
        found[f"{name}, anew"] = [partial(ask, path=f"{path}?number={i:06}", lines=(accepted,)) for i in numbers]
        found[f"{name}, the long way"] = [
            partial(ask, path=path, lines=(accepted, f'If-None-Match: "{i:06}"')) for i in numbers
        ]
    blobs = [blob(1000) for _ in numbers]
    found["small blob pushed"] = [partial(Client.upload, name="team/app", content=one) for one in blobs]
    return found


def paths_of_tokens(port, signer):
    """Return likewise what is asked with the same token and with another each time."""
    access = repository_access("team/app", "pull", "push")
    tokens = [
        f"Authorization: Bearer {sign(claims(access, jti=str(i)), signer.key)}" for i in range(WARM_UPS + REQUESTS)
    ]
    method, path = paths(port, tokens[0])["manifest by tag"]
    ask = partial(Client.ask, method=method, path=path)
    return {
        "manifest by tag, again": [partial(ask, lines=tokens[:1])] * len(tokens),
        "manifest by tag, another token": [partial(ask, lines=[one]) for one in tokens],
    }


def settle():
    """Let what was pushed become old enough to be remembered."""
    signal.sigtimedwait([], 0.1)


def counted(what, found):
    """Hold what was counted per request against the record, or record it."""
    if os.environ.get(RECORD):
        record = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
        record[what] = found
        RECORDED.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
        return
    record = json.loads(RECORDED.read_text())[what]
    assert found.keys() == record.keys()
    dearer = {
        name: (record[name], number)
        for name, number in found.items()
        if number > record[name] * MARGIN[what] + SLACK[what]
    }
    assert not dearer, (
        f"{what} per request, recorded and now: {dearer}; if that is meant, {RECORD}=1 records it anew (see this file)"
    )


def calls(folder, text, paths):
    """Return how many Python calls each of the paths needs that a registry of a configuration has."""
    result = folder / "calls"
    found = {}
    with registry(folder, [sys.executable, "-c", COUNTING, result], text) as (process, port):
        table = paths(port)
        settle()
        client = Client(port)
        for name, requests in table.items():
            for request in requests[:WARM_UPS]:
                request(client)
            process.send_signal(signal.SIGUSR1)
            settle()
            for request in requests[WARM_UPS:]:
                request(client)
            result.unlink(missing_ok=True)
            process.send_signal(signal.SIGUSR2)
            while not (result.exists() and result.read_text()):
                assert process.poll() is None
            found[name] = round(int(result.read_text()) / REQUESTS)
        client.socket.close()
    return found


def test_no_path_needs_more_python_calls_than_recorded(tmp_path):
    counted("python calls", calls(tmp_path, CONFIG, hot_paths))


def test_no_token_needs_more_python_calls_than_recorded(tmp_path):
    signer = issue(private_key("P-256"))
    write_bundle(tmp_path / "auth.cert", signer)
    counted("python calls, tokens", calls(tmp_path, CONFIG + TOKENS, partial(paths_of_tokens, signer=signer)))


@pytest.mark.system
def test_no_path_needs_more_system_calls_than_recorded(tmp_path):
    traced = tmp_path / "trace"
    command = [
        "strace",
        "-f",
        "-qq",
        "-e",
        "signal=none",
        "-o",
        traced,
        sys.executable,
        "-c",
        SERVING,
    ]
    marks = {}
    with registry(tmp_path, command) as (_, port):
        table = hot_paths(port)
        settle()
        client = Client(port)
        for name, requests in table.items():
            for request in requests[:WARM_UPS]:
                request(client)
            before = lines_when_quiet(traced)
            for request in requests[WARM_UPS:]:
                request(client)
            marks[name] = (before, lines_when_quiet(traced))
        client.socket.close()
    lines = traced.read_text().splitlines()
    counted(
        "system calls",
        {name: round(system_calls(lines[start:end]) / REQUESTS, 1) for name, (start, end) in marks.items()},
    )


def lines_when_quiet(traced):
    """Return how many lines the trace has once it grows no more."""
    before = -1
    while (now := traced.read_bytes().count(b"\n")) != before:
        before = now
        settle()
    return now


def system_calls(lines):
    names = Counter(match[1] for line in lines if (match := re.match(r"\d+ +(\w+)\(", line)))
    return sum(number for name, number in names.items() if name not in HOUSEKEEPING)
