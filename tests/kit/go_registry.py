"""The Go registry of Debian's package, and ours, as the same kind of process: for tests of the two side by side."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.kit.http import get
from tests.kit.services import free_port, running_service

CONFIG = """
version: 0.1
storage:
  filesystem:
    rootdirectory: {folder}
  delete:
    enabled: true
http:
  addr: 127.0.0.1:{port}
"""
STOP_SECONDS = 20


@contextmanager
def serving(program: str, folder: Path, scratch: Path) -> Iterator[str]:
    """Serve the tree in `folder` with "ours" or "go", and yield the URL; `scratch` takes configuration and log."""
    port = free_port()
    config = scratch / f"{port}.yml"
    config.write_text(CONFIG.format(folder=folder, port=port))
    url = f"http://127.0.0.1:{port}"
    if program == "ours":
        command = [sys.executable, "-m", "registry_service", "serve", str(config)]
        with running_service(command, {}, scratch / f"{port}.log"):
            yield url
        return
    with (scratch / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=log)
    try:
        _wait_for(url)
        yield url
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def collect_garbage(folder: Path, scratch: Path) -> None:
    """Let the Go registry collect the garbage of a tree."""
    config = scratch / "collect.yml"
    config.write_text(CONFIG.format(folder=folder, port=0))
    subprocess.run(["docker-registry", "garbage-collect", config], check=True, capture_output=True)


def _wait_for(url: str) -> None:
    """Wait until the Go registry, which does not say when it is ready, answers."""
    for _ in range(100):
        try:
            get(f"{url}/v2/")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the Go registry does not answer")
