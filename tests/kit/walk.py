"""The walk that an administrator and two developers take on their first day, on any running pair of services."""

from dataclasses import dataclass
from pathlib import Path

from tests.kit.console import Console
from tests.kit.engine import Docker
from tests.kit.images import build_hello
from tests.kit.layouts import GREETING

WRITER, READER = "troylc", "reader"
PASSWORD = "a-long-enough-password"


@dataclass(frozen=True)
class Walk:
    """Where it leads: the registry as docker names it, the console, and two developers' docker commands."""

    registry: str
    console: Console
    writer: Docker
    reader: Docker
    folder: Path

    @property
    def image(self) -> str:
        return f"{self.registry}/hello-world:latest"

    async def whole(self, admin_password: str) -> None:
        await self.create_users(admin_password)
        self.push_remove_and_run()
        self.read_but_not_write()
        self.log_out()
        await self.look_and_delete()

    async def create_users(self, admin_password: str) -> None:
        """As the administrator: one user who may write, and one who may only read."""
        await self.console.sign_in("admin", admin_password)
        await self.console.create_user(WRITER, PASSWORD, roles=["write-all", "UI_USER", "UI_DELETE"])
        await self.console.create_user(READER, PASSWORD, roles=["read-all"])
        await self.console.sign_out()

    def push_remove_and_run(self) -> None:
        docker = self.writer
        build_hello(docker, "hello-world:latest", self.folder / "hello-world")
        assert "Login Succeeded" in docker.login(self.registry, WRITER, PASSWORD)
        docker("tag", "hello-world:latest", self.image)
        assert "latest: digest: sha256:" in docker("push", self.image)
        docker("rmi", "hello-world:latest", self.image)
        assert docker("images", "--quiet", self.image) == ""
        ran = docker("run", "--rm", self.image)
        assert "Unable to find image" in ran
        assert GREETING in ran
        docker("rmi", self.image)
        assert "Downloaded newer image" in docker("pull", self.image)
        assert docker("run", "--rm", self.image).strip() == GREETING

    def read_but_not_write(self) -> None:
        docker = self.reader
        told = docker.refused("login", self.registry, "--username", READER, "--password-stdin", stdin="wrong")
        assert "unauthorized: The user name or the password is wrong." in told
        assert "Login Succeeded" in docker.login(self.registry, READER, PASSWORD)
        assert "Image is up to date" in docker("pull", self.image)
        assert f"denied: push to hello-world is not permitted for {READER};" in docker.refused("push", self.image)

    def log_out(self) -> None:
        """Without a login nobody gets anything."""
        self.reader("logout", self.registry)
        assert "unauthorized: A user name and a password are needed" in self.reader.refused("pull", self.image)

    async def look_and_delete(self) -> None:
        """As the developer, in the browser: the image is there, is deleted, and the events tell the story."""
        console = self.console
        await console.sign_in(WRITER, PASSWORD)
        assert await console.repositories() == ["hello-world"]
        assert await console.tags("hello-world") == ["latest"]
        await console.delete("hello-world", "latest")
        assert await console.repositories() == []
        self.writer("rmi", self.image)
        assert f"manifest for {self.image} not found" in self.writer.refused("pull", self.image)
        events = await console.events()
        assert {(event.action, event.user) for event in events if event.image.startswith("hello-world")} == {
            ("push", WRITER),
            ("pull", WRITER),
            ("pull", READER),
            ("delete", WRITER),
        }
        assert all(event.address for event in events)
