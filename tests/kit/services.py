"""Both services as real processes on free ports of this machine, each test with data and keys of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ADMIN_PASSWORD = "admin"
START_SECONDS = 20
STOP_SECONDS = 20
READY = re.compile(r"\bready\b")


@dataclass(frozen=True)
class Cangku:
    """A running pair: where each answers, and where each writes what it has to say."""

    registry: str
    console_url: str
    folder: Path

    @property
    def registry_url(self) -> str:
        return f"http://{self.registry}"

    @property
    def key(self) -> Path:
        return self.folder / "keys" / "auth.key"

    def log(self, service: str) -> str:
        return (self.folder / f"{service}.log").read_text()


@contextmanager
def running_services(
    folder: Path,
    *,
    registry_config: Path = ROOT / "conf/registry/config.yml",
    web_config: Path = ROOT / "conf/registry-web/config.yml",
    registry_environ: Mapping[str, str] | None = None,
    web_environ: Mapping[str, str] | None = None,
) -> Iterator[Cangku]:
    """Start both services and stop them by SIGTERM, after which each must have ended well."""
    registry_port, web_port = free_port(), free_port()
    pair = Cangku(f"localhost:{registry_port}", f"http://localhost:{web_port}", folder)
    generate_keys(folder / "keys")
    for_registry, for_web = _environments(pair, registry_port, web_port)
    with ExitStack() as running:
        for name, package, config, environ in (
            ("registry", "registry_service", registry_config, for_registry | dict(registry_environ or {})),
            ("registry-web", "web_service", web_config, for_web | dict(web_environ or {})),
        ):
            command = [sys.executable, "-m", package, "serve", str(config)]
            running.enter_context(running_service(command, environ, folder / f"{name}.log"))
        yield pair


@contextmanager
def running_service(command: list[str], environ: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start one service and wait for its line that says it is ready."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | dict(environ), stdout=output, stderr=output)
    try:
        _wait_for_readiness(process, log)
        yield process
        assert process.poll() is None, f"{command} ended by itself:\n{log.read_text()}"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
    assert code == 0, f"{command} ended with {code} on SIGTERM:\n{log.read_text()[-5000:]}"


def generate_keys(folder: Path, *arguments: str) -> None:
    """Make all key files in one folder, of the kind that is made fastest."""
    command = [sys.executable, "-m", "web_service", "generate-keys", "--type", "ec"]
    subprocess.run(
        [*command, "--web-conf", folder, "--registry-conf", folder, *arguments],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )


def free_port() -> int:
    """Return a port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environments(pair: Cangku, registry_port: int, web_port: int) -> tuple[dict[str, str], dict[str, str]]:
    keys = pair.folder / "keys"
    registry = {
        "REGISTRY_HTTP_ADDR": f"127.0.0.1:{registry_port}",
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": f"{pair.folder}/images",
        "REGISTRY_AUTH_TOKEN_REALM": f"{pair.console_url}/api/auth",
        "REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE": f"{keys}/auth.cert",
        "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL": f"{pair.console_url}/api/notification",
        "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_TOKENFILE": f"{keys}/notification.token",
    }
    web = {
        "REGISTRY_URL": f"{pair.registry_url}/v2",
        "REGISTRY_AUTH_KEY": f"{keys}/auth.key",
        "WEB_HTTP_ADDR": f"127.0.0.1:{web_port}",
        "WEB_DATABASE_URL": f"sqlite:///{pair.folder}/registry-web.db",
        "WEB_NOTIFICATIONS_TOKENFILE": f"{keys}/notification.token",
    }
    return registry, web


def _wait_for_readiness(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not READY.search(log.read_text()):
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"{process.args!r} does not become ready:\n{log.read_text()[-5000:]}")
        time.sleep(0.02)
