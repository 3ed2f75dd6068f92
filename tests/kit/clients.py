"""Registry clients, each with the commands that its users type for the same few wishes.

An image is named by repository and tag; the registry is the client's. Before a pull all is forgotten that a client has
of its own, so that what it has then comes from the registry.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from tests.kit.commands import run
from tests.kit.layouts import Layout


@dataclass(frozen=True)
class Client(ABC):
    """One user with one client. `folder`, whose path must be short for podman, keeps what the client keeps."""

    registry: str
    folder: Path
    user: str
    password: str
    daemon: str = ""

    resumes: ClassVar[bool] = False
    """Whether every version goes on with a pull where a broken connection left it."""
    wrong_password: ClassVar[str] = "invalid username/password"
    denied: ClassVar[str] = "denied: "
    unknown: ClassVar[str] = "manifest unknown"

    def at(self, registry: str) -> Self:
        """Return the same user's client of another registry."""
        return replace(self, registry=registry)

    @abstractmethod
    def login(self, password: str = "") -> str:
        """Log in, with another password if one is given, and return what the client says to it."""

    @abstractmethod
    def push(self, layout: Layout, image: str) -> None:
        """Push an image or an index with all its images."""

    @abstractmethod
    def pull(self, image: str, architecture: str = "") -> set[str]:
        """Pull an image, for another architecture if one is given, and return the ids of all images held then."""


class Docker(Client):
    """docker with the Docker Engine at `daemon`, which may have other users: it forgets only what it has pushed."""

    resumes = True
    wrong_password = "unauthorized: The user name or the password is wrong."

    def docker(self, *arguments: str | Path, stdin: str = "") -> str:
        environ = {"DOCKER_HOST": self.daemon, "DOCKER_CONFIG": str(self.folder / "docker"), "DOCKER_BUILDKIT": "0"}
        return run(["docker", *arguments], stdin=stdin, environ=environ)

    def login(self, password: str = "") -> str:
        return self.docker(
            "login", "--username", self.user, "--password-stdin", self.registry, stdin=password or self.password
        )

    def push(self, layout: Layout, image: str) -> None:
        with self._loaded(layout):
            if len(layout.images) == 1:
                self._push_one(layout.image.id, image)
                return
            parts = [f"{image}-{one.architecture}" for one in layout.images]
            for one, part in zip(layout.images, parts, strict=True):
                self._push_one(one.id, part)
            names = [f"{self.registry}/{name}" for name in (image, *parts)]
            self.docker("manifest", "create", "--insecure", *names)
            self.docker("manifest", "push", "--insecure", "--purge", names[0])

    def pull(self, image: str, architecture: str = "") -> set[str]:
        name = f"{self.registry}/{image}"
        self.docker("pull", *(("--platform", f"linux/{architecture}") if architecture else ()), name)
        try:
            return {self.docker("image", "inspect", "--format", "{{.Id}}", name).strip()}
        finally:
            self.docker("rmi", "--force", name)

    def build(self, folder: Path, image: str) -> None:
        """Build and push the image of a folder with a Dockerfile."""
        name = f"{self.registry}/{image}"
        self.docker("build", "--pull", "--tag", name, folder)
        try:
            self.docker("push", name)
        finally:
            self.docker("rmi", "--force", name)

    @contextmanager
    def _loaded(self, layout: Layout) -> Iterator[None]:
        self.docker("load", "--input", layout.archive)
        try:
            yield
        finally:
            self.docker("rmi", "--force", *(one.id for one in layout.images))

    def _push_one(self, identity: str, image: str) -> None:
        name = f"{self.registry}/{image}"
        self.docker("tag", identity, name)
        self.docker("push", name)


class Skopeo(Client):
    """skopeo, which has no storage of its own: it pulls into a folder."""

    @property
    def command(self) -> tuple[str, ...]:
        return ("skopeo",)

    def __call__(self, *arguments: str | Path, stdin: str = "") -> str:
        return run([*self.command, *arguments], stdin=stdin, environ={"REGISTRY_AUTH_FILE": f"{self.folder}/auth.json"})

    def login(self, password: str = "") -> str:
        arguments = ("--tls-verify=false", "--username", self.user, "--password-stdin", self.registry)
        return self("login", *arguments, stdin=password or self.password)

    def push(self, layout: Layout, image: str) -> None:
        whole = ("--all", "--preserve-digests")  # else it compresses
        self("copy", *whole, "--dest-tls-verify=false", layout.oci, f"docker://{self.registry}/{image}")

    def pull(self, image: str, architecture: str = "") -> set[str]:
        target = self.folder / f"pulled-{len(list(self.folder.iterdir()))}"
        chosen = ("--override-arch", architecture) if architecture else ()
        self(*chosen, "copy", "--src-tls-verify=false", f"docker://{self.registry}/{image}", f"oci:{target}:latest")
        return {_image_in(target)}


class Podman(Skopeo):
    """podman, with a storage below `folder`."""

    program: ClassVar[str] = "podman"

    @property
    def command(self) -> tuple[str, ...]:
        places = ("--root", f"{self.folder}/{self.program}", "--runroot", f"{self.folder}/{self.program}-run")
        return (self.program, *places, "--storage-driver", "vfs")

    def push(self, layout: Layout, image: str) -> None:
        target = f"docker://{self.registry}/{image}"
        if len(layout.images) == 1:
            self("pull", layout.oci)
            self("push", "--tls-verify=false", layout.image.id, target)
        else:
            self("manifest", "create", "pushed")
            self("manifest", "add", "--all", "pushed", layout.oci)
            self("manifest", "push", "--all", "--tls-verify=false", "pushed", target)

    def pull(self, image: str, architecture: str = "") -> set[str]:
        self("rmi", "--all", "--force")
        chosen = ("--arch", architecture) if architecture else ()
        self("pull", "--tls-verify=false", *chosen, f"{self.registry}/{image}")
        return set(self("images", "--quiet", "--no-trunc").split())

    def build(self, folder: Path, image: str) -> None:
        """Build and push the image of a folder with a Dockerfile."""
        name = f"{self.registry}/{image}"
        self("build", "--tls-verify=false", "--pull", "--tag", name, folder)
        self("push", "--tls-verify=false", name)


class Buildah(Podman):
    """buildah, which pushes and pulls as podman does."""

    program = "buildah"


class Ctr(Client):
    """containerd's ctr with the containerd at `daemon`; it has no login, but takes name and password each time."""

    resumes = True
    wrong_password = "401 Unauthorized"
    denied = "insufficient_scope: authorization failed"
    unknown = "not found"

    def ctr(self, *arguments: str | Path) -> str:
        return run(["ctr", "--address", self.daemon, "--namespace", "cangku", *arguments])

    def login(self, password: str = "") -> str:
        if password:
            replace(self, password=password).pull("absent:latest")
        return "Login Succeeded"

    def push(self, layout: Layout, image: str) -> None:
        repository, _, _ = image.partition(":")
        self.ctr(
            "images", "import", "--no-unpack", "--all-platforms", "--base-name", f"{self.registry}/{repository}",
            layout.archive,
        )  # fmt: skip
        name = f"{self.registry}/{image}"
        if not image.endswith(":latest"):
            self.ctr("images", "tag", "--force", f"{self.registry}/{repository}:latest", name)
        self.ctr("images", "push", *self._how, name)

    def pull(self, image: str, architecture: str = "") -> set[str]:
        if held := self.ctr("images", "ls", "--quiet").split():
            self.ctr("images", "rm", "--sync", *held)
        chosen = ("--platform", f"linux/{architecture}") if architecture else ()
        self.ctr("images", "pull", "--snapshotter", "native", *self._how, *chosen, f"{self.registry}/{image}")
        return set(self.ctr("content", "ls", "--quiet").split())

    @property
    def _how(self) -> tuple[str, ...]:
        return ("--plain-http", "--user", f"{self.user}:{self.password}")


CLIENTS: tuple[type[Client], ...] = (Docker, Podman, Buildah, Skopeo, Ctr)


def _image_in(folder: Path) -> str:
    """Return the id of the only image in a layout."""

    def read(path: str) -> dict[str, Any]:
        return json.loads((folder / path).read_text())

    (entry,) = read("index.json")["manifests"]
    return read(f"blobs/{entry['digest'].replace(':', '/')}")["config"]["digest"]
