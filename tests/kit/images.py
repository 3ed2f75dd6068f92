"""Images made here, of what Debian's packages bring: no test pulls anything."""

import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

from tests.kit.content import CONFIG_TYPE, LAYER_TYPE, Content, image
from tests.kit.engine import Docker

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
GREETING = "Hello from Cangku!"
DEBIAN_PYTHON = "/usr/bin/python3"
"""The Python that a base image of the same Debian release has, so that wheels made with the one fit the other."""


def build_hello(docker: Docker, tag: str, folder: Path, *, layers: int = 0, layer_bytes: int = 1 << 20) -> None:
    """Build an image that prints GREETING, from scratch; each further layer holds random bytes."""
    folder.mkdir(parents=True)
    shutil.copy("/bin/busybox", folder / "busybox")
    lines = ["FROM scratch", "COPY busybox /bin/busybox"]
    for number in range(layers):
        (folder / f"layer{number}").write_bytes(os.urandom(layer_bytes))
        lines.append(f"COPY layer{number} /layers/{number}")
    lines.append(f'CMD ["/bin/busybox", "echo", "{GREETING}"]')
    (folder / "Dockerfile").write_text("\n".join(lines))
    docker("build", "--tag", tag, folder)


def write_layout(folder: Path, tag: str = "latest") -> Path:
    """Write an image with one small layer as an OCI image layout, which every client but Docker's can read."""
    layer = Content(_tar({"bin/busybox": Path("/bin/busybox").read_bytes()}), LAYER_TYPE)
    started = {"Cmd": ["/bin/busybox", "echo", GREETING]}
    file_system = {"type": "layers", "diff_ids": [layer.digest]}
    config = {"architecture": platform_architecture(), "os": "linux", "config": started, "rootfs": file_system}
    config_content = Content(json.dumps(config).encode(), CONFIG_TYPE)
    manifest = image([layer], config_content)
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for content in (layer, config_content, manifest):
        (blobs / content.digest.removeprefix("sha256:")).write_bytes(content.body)
    named = manifest.descriptor | {"annotations": {"org.opencontainers.image.ref.name": tag}}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


def platform_architecture() -> str:
    """Return this machine's architecture as images name it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _tar(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, body in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(body), 0o755
            archive.addfile(entry, io.BytesIO(body))
    return packed.getvalue()


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
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
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
