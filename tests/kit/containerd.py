"""A real containerd of our own: the one that belongs to a Docker Engine is the engine's business."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONFIG = """
version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri"]
root = "{folder}/root"
state = "{folder}/state"
[grpc]
address = "{folder}/socket"
"""
START_SECONDS = 30
STOP_SECONDS = 30


@contextmanager
def running_containerd() -> Iterator[Path]:
    """Yield the path of its socket."""
    # Not below pytest's folders: a socket's path may be no longer than about a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="cangku-containerd-"))
    (folder / "config.toml").write_text(CONFIG.format(folder=folder))
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(["containerd", "--config", folder / "config.toml"], stdout=log, stderr=log)
    try:
        _wait_for(daemon, folder)
        yield folder / "socket"
    finally:
        daemon.terminate()
        daemon.wait(STOP_SECONDS)
        shutil.rmtree(folder)


def _wait_for(daemon: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    ask = ["ctr", "--address", folder / "socket", "--connect-timeout", "1s", "version"]
    while subprocess.run(ask, capture_output=True, check=False).returncode:
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"containerd does not come up:\n{(folder / 'log').read_text()[-5000:]}")
        time.sleep(0.05)
