"""The programs that are measured: how each is configured, started and stopped."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

ROOT: Final = Path(__file__).resolve().parents[2]
ONE_WORKER: Final = "ours x1"
"""The column of ours with one worker, beside that of its default configuration."""
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 40.0

Kind = Literal["ours", "go", "olareg", "url", "signer"]

_CONFIG: Final = """\
version: 0.1
log:
  level: {level}
  accesslog:
    disabled: {silent}
storage:
  filesystem:
    rootdirectory: {folder}
  delete:
    enabled: true
  maintenance:
    uploadpurging:
      enabled: false
http:
  addr: 127.0.0.1:{port}
"""
_WORKERS: Final = "  workers: {workers}\n"
_AUTH: Final = """\
auth:
  token:
    realm: http://127.0.0.1/token
    service: bench
    issuer: bench
    rootcertbundle: {bundle}
"""


@dataclass(frozen=True)
class Program:
    """Something to measure: `where` is the command or the URL, `workers` the processes of ours."""

    name: str
    kind: Kind
    where: str
    workers: int = 1

    def version(self) -> str:
        """Return what the program says of itself, in one line."""
        if self.kind == "url":
            return self.where
        if self.kind == "ours":
            return f"this tree, {self.workers} worker{'s' if self.workers > 1 else ''}"
        command = [self.where, "version" if self.kind == "olareg" else "--version"]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        words = (ran.stdout or ran.stderr).split("\n")[0].split()
        numbers = [word for word in words if word.lstrip("v")[:1].isdecimal()]
        return " ".join([self.kind, *numbers])


@dataclass(frozen=True)
class Settings:
    """How a side is started: the access log off unless `log`; tokens of `bundle` demanded where it is given."""

    folder: Path
    log: bool = False
    bundle: Path | None = None


@dataclass
class Side:
    """A program that runs: where it answers, where it keeps its images."""

    program: Program
    url: str
    folder: Path | None
    process: subprocess.Popen[bytes] | None
    headers: dict[str, str] = field(default_factory=dict)
    started_after: float = 0.0

    @property
    def name(self) -> str:
        """Return the name of its column."""
        return self.program.name

    def stop(self) -> None:
        """End the process that was started for it, and wait until it has ended."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def resident_bytes(self) -> int:
        """Return the memory of the largest process of the side, as it is now."""
        if self.process is None:
            return 0
        return max((_resident(pid) for pid in _family(self.process.pid)), default=0)

    def forget_large_files(self, above: int) -> None:
        """Make room: remove the bytes of blobs above so many bytes."""
        for path in self.folder.rglob("*") if self.folder is not None else ():
            if path.is_file() and path.stat().st_size > above:
                path.unlink()


def start(program: Program, settings: Settings) -> Side:
    """Start a program, and return it when it has answered; raises RuntimeError when it does not."""
    if program.kind == "url":
        return Side(program, program.where.rstrip("/"), None, None)
    port = free_port()
    settings.folder.mkdir(parents=True, exist_ok=True)
    log = (settings.folder.parent / f"{program.name}-{port}.log").open("wb")
    environ = {key: value for key, value in os.environ.items() if not key.startswith("REGISTRY_")}
    began = time.perf_counter()
    with log:
        process = subprocess.Popen(  # noqa: S603
            _command(program, settings, port), cwd=ROOT, env=environ, stdout=log, stderr=subprocess.STDOUT
        )
    side = Side(program, f"http://127.0.0.1:{port}", settings.folder, process)
    try:
        until_answered(f"{side.url}/v2/", lambda: process.poll() is None)
    except RuntimeError:
        side.stop()
        raise RuntimeError(f"{program.name} does not answer; its log: {_tail(Path(log.name))}") from None
    side.started_after = time.perf_counter() - began
    return side


def _command(program: Program, settings: Settings, port: int) -> list[str]:
    if program.kind == "olareg":
        quiet = ["--verbosity", "info" if settings.log else "error"]
        where = ["--dir", str(settings.folder), "--addr", "127.0.0.1", "--port", str(port)]
        return [program.where, "serve", *where, *quiet]
    text = _CONFIG.format(
        folder=settings.folder,
        port=port,
        level="info" if settings.log else "error",
        silent="false" if settings.log else "true",
    )
    if program.kind == "ours":
        text += _WORKERS.format(workers=program.workers)
    if settings.bundle is not None:
        text += _AUTH.format(bundle=settings.bundle)
    config = settings.folder.parent / f"{program.name}-{port}.yml"
    config.write_text(text)
    ours = [sys.executable, "-m", "registry_service"]
    return [*(ours if program.kind == "ours" else [program.where]), "serve", str(config)]


def until_answered(url: str, alive: Callable[[], bool]) -> None:
    """Wait for any answer at a URL; raises RuntimeError when none comes, or `alive` says that none will."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and alive():
        try:
            with opener.open(url, timeout=5):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.005)
    raise RuntimeError(f"no answer at {url}")


def free_port() -> int:
    """Return a port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _family(pid: int) -> list[int]:
    """Return a process and those below it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(one for child in children for one in _family(int(child)))]


def _resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _tail(log: Path) -> str:
    return " | ".join(log.read_text(errors="replace").splitlines()[-3:])
