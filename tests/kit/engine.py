"""A real Docker Engine, and the `docker` command as one of its users types it."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 60
STOP_SECONDS = 60


class Docker:
    """The `docker` command of one user: its logins are kept in a folder of its own."""

    def __init__(self, host: str, config: Path) -> None:
        config.mkdir(parents=True, exist_ok=True)
        self.host = host
        self.config = config
        # The classic builder is the one that every engine has.
        self.environ = os.environ | {"DOCKER_HOST": host, "DOCKER_CONFIG": str(config), "DOCKER_BUILDKIT": "0"}

    def __call__(self, *arguments: str | Path, stdin: str = "") -> str:
        """Run the command, which must succeed, and return all that it printed."""
        ran = self._run(*arguments, stdin=stdin)
        assert ran.returncode == 0, f"docker {' '.join(map(str, arguments))}: exit {ran.returncode}\n{ran.stdout}"
        return ran.stdout

    def refused(self, *arguments: str | Path, stdin: str = "") -> str:
        """Run the command, which must fail, and return the message that its user reads."""
        ran = self._run(*arguments, stdin=stdin)
        assert ran.returncode != 0, f"docker {' '.join(map(str, arguments))} was not refused\n{ran.stdout}"
        return ran.stdout

    def login(self, registry: str, user: str, password: str) -> str:
        return self("login", registry, "--username", user, "--password-stdin", stdin=password)

    def image_ids(self) -> set[str]:
        return set(self("images", "--quiet", "--no-trunc").split())

    def _run(self, *arguments: str | Path, stdin: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", *arguments],
            input=stdin,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )


@contextmanager
def running_engine() -> Iterator[str]:
    """Yield the address of an engine: the one that already runs here, since two would share a bridge, or our own."""
    present = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if _answers(present):
        yield present
        return
    # Not below pytest's folders: a socket's path may be no longer than about a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="cangku-engine-"))
    (folder / "daemon.json").write_text("{}")
    host = f"unix://{folder}/socket"
    with (folder / "log").open("wb") as log:
        command = ["dockerd", "--config-file", f"{folder}/daemon.json", "--host", host, "--pidfile", f"{folder}/pid"]
        folders = ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"]
        daemon = subprocess.Popen([*command, *folders], stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_for(daemon, host, folder / "log")
        yield host
    finally:
        daemon.terminate()
        daemon.wait(STOP_SECONDS)
        _unmount_below(folder)
        shutil.rmtree(folder)


def _wait_for(daemon: subprocess.Popen[bytes], host: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(host):
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"dockerd does not come up:\n{log.read_text(errors='replace')[-5000:]}")
        time.sleep(0.1)


def _unmount_below(folder: Path) -> None:
    """Take away what an engine leaves mounted: its data folder upon itself, where the root mount is a private one."""
    targets = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for target in reversed([target for target in targets if target.startswith(f"{folder}/")]):
        subprocess.run(["umount", target], check=True)


def _answers(host: str) -> bool:
    asked = subprocess.run(["docker", "--host", host, "info"], capture_output=True, check=False)
    return asked.returncode == 0
