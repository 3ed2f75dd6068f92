"""A PostgreSQL server of our own: a private cluster in a folder, on a free port of this machine, gone afterwards."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.kit.services import free_port

PROGRAMS = Path("/usr/lib/postgresql")
USER = "cangku"
PASSWORD = "p@ss:word/ß"
ESCAPED = "p%40ss%3Aword%2F%C3%9F"
SECONDS = 30


@dataclass
class Postgres:
    """A running server; `stop` and `start` may be called at any time."""

    folder: Path
    port: int
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(10**6)))

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "fsync": "off",
        }
        options = " ".join(f"-c {key}={value}" for key, value in settings.items())
        self._control("start", "-l", str(self.folder / "log"), "-o", options)

    def stop(self) -> None:
        """Stop the server at once, whoever is connected."""
        self._control("stop", "-m", "fast")

    def kill(self) -> None:
        """End the server as a power cut would: without a word to anybody."""
        pid = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        self._wait_until_gone(pid)

    def is_running(self) -> bool:
        """Return whether the server was started and not stopped since."""
        command = [str(_bin() / "pg_ctl"), "status", "-D", str(self.folder / "data")]
        return _as_postgres(command, log=self.folder / "pg_ctl.log") == 0

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"test_{next(self._numbers)}"
        self.query(f"CREATE DATABASE {name}", database="postgres")
        return self.url(name)

    def url(self, name: str, password: str = ESCAPED) -> str:
        """Return the URL of a database."""
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{name}"

    def query(self, statement: str, *, database: str) -> str:
        """Return what psql prints for a statement, or for several."""
        command = ["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER]
        ran = subprocess.run(
            [*command, database],
            input=statement,
            env=os.environ | {"PGPASSWORD": PASSWORD},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def _control(self, *arguments: str) -> None:
        # The server inherits its output; a pipe would stay open as long as it runs.
        command = [str(_bin() / "pg_ctl"), "-w", "-s", "-t", str(SECONDS), "-D", str(self.folder / "data"), *arguments]
        ran = _as_postgres(command, log=self.folder / "pg_ctl.log")
        assert ran == 0, (self.folder / "pg_ctl.log").read_text()

    @staticmethod
    def _wait_until_gone(pid: int) -> None:
        deadline = time.monotonic() + SECONDS
        while Path(f"/proc/{pid}/stat").exists() and time.monotonic() < deadline:
            time.sleep(0.02)


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Make a cluster, start its server, and remove both at the end."""
    folder = Path(tempfile.mkdtemp(prefix="cangku-postgres-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        secret = folder / "password"
        secret.write_text(PASSWORD, encoding="utf-8")
        secret.chmod(0o644)
        command = [str(_bin() / "initdb"), "-D", str(folder / "data"), "-U", USER, "-A", "scram-sha-256"]
        made = _as_postgres(
            [*command, f"--pwfile={secret}", "-E", "UTF8", "--locale=C.UTF-8", "-N"], log=folder / "initdb.log"
        )
        assert made == 0, (folder / "initdb.log").read_text()
        server = Postgres(folder, free_port())
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _bin() -> Path:
    """Return the folder with the programs of the newest version that is installed."""
    return max(PROGRAMS.iterdir(), key=lambda version: int(version.name)) / "bin"


def _as_postgres(command: Sequence[str], *, log: Path) -> int:
    """Run a command as the user postgres, for PostgreSQL refuses to run as root, and return its exit code."""
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with log.open("ab") as output:
        return subprocess.run(
            [*prefix, *command],
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            timeout=2 * SECONDS,
            check=False,
        ).returncode
