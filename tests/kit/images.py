"""Images made here, of what Debian's packages bring: no test pulls anything."""

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

from tests.kit.engine import Docker
from tests.kit.layouts import BUSYBOX, GREETING

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
DEBIAN_PYTHON = "/usr/bin/python3"
"""The Python that a base image of the same Debian release has, so that wheels made with the one fit the other."""


def build_hello(docker: Docker, tag: str, folder: Path, *, layers: int = 0, layer_bytes: int = 1 << 20) -> None:
    """Build an image that prints GREETING, from scratch; each further layer holds random bytes."""
    folder.mkdir(parents=True)
    shutil.copy(BUSYBOX, folder / "busybox")
    lines = ["FROM scratch", "COPY busybox /bin/busybox"]
    for number in range(layers):
        (folder / f"layer{number}").write_bytes(os.urandom(layer_bytes))
        lines.append(f"COPY layer{number} /layers/{number}")
    lines.append(f'CMD ["/bin/busybox", "echo", "{GREETING}"]')
    (folder / "Dockerfile").write_text("\n".join(lines))
    docker("build", "--tag", tag, folder)


def import_base(docker: Docker, tag: str) -> None:
    """Import a Debian with Python, which stands for the official Python image."""
    with _base_archive().open("rb") as archive:
        subprocess.run(["docker", "import", "-", tag], stdin=archive, env=docker.environ, check=True, timeout=120)


def _base_archive() -> Path:
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    bootstrap = ["debootstrap", "--variant=minbase", "--include=python3,python3-venv", release]
    archive = CACHE / f"base-{_key(*bootstrap)}.tar"
    if not archive.exists():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            system = Path(folder, "system")
            _run([*bootstrap, str(system)])
            unneeded = ["--exclude=./var/cache/apt/*", "--exclude=./var/lib/apt/lists/*"]
            _run(["tar", "--directory", str(system), *unneeded, "--create", "--file", f"{folder}/base.tar", "."])
            Path(folder, "base.tar").rename(archive)
    return archive


def wheels() -> Path:
    """Return a folder with every wheel that the images are built from, for a build that reaches no package index."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]["postgres"]
    wanted = [*project["project"]["dependencies"], *extras, *project["build-system"]["requires"]]
    folder = CACHE / f"wheels-{_key(DEBIAN_PYTHON, *wanted)}"
    if not folder.exists():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as made:
            _run([DEBIAN_PYTHON, "-m", "venv", f"{made}/venv"])
            _run([f"{made}/venv/bin/pip", "wheel", "--wheel-dir", f"{made}/wheels", *wanted])
            Path(made, "wheels").rename(folder)
    return folder


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _run(command: list[str]) -> None:
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert ran.returncode == 0, f"{' '.join(command)}: exit {ran.returncode}\n{ran.stdout[-5000:]}"
