"""docker-compose in a fresh checkout: nothing before `up -d`, and then the whole walk."""

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kit.checkout import fresh_copy
from tests.kit.console import browser_page
from tests.kit.engine import Docker
from tests.kit.images import import_base, wheels
from tests.kit.services import free_port
from tests.kit.walk import Walk

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

BASE = "cangku-test-base"
FIRST_PASSWORD = "set-before-the-first-start"
SOMEBODY = 4321
SERVICES = {"registry": 5000, "registry-web": 8080}


@dataclass(frozen=True)
class Project:
    """A checkout with docker-compose's view of it."""

    folder: Path
    docker: Docker
    registry_port: int
    web_port: int

    def compose(self, *arguments: str) -> str:
        environ = self.docker.environ | {
            "BASE_IMAGE": BASE,
            "CANGKU_REGISTRY_PORT": f"127.0.0.1:{self.registry_port}",
            "CANGKU_WEB_PORT": f"127.0.0.1:{self.web_port}",
            "CANGKU_URL": f"http://localhost:{self.web_port}",
            "WEB_ADMIN_PASSWORD": FIRST_PASSWORD,
        }
        ran = subprocess.run(
            ["docker-compose", *arguments], cwd=self.folder, env=environ, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=400, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout[-5000:]
        return ran.stdout

    def inspect(self, container: str, form: str) -> str:
        return self.docker("inspect", "--format", form, container).strip()

    def until_healthy(self) -> None:
        deadline = time.monotonic() + 90
        for service in SERVICES:
            while self.inspect(service, "{{.State.Health.Status}}") != "healthy":
                assert time.monotonic() < deadline, self.compose("logs")[-5000:]
                time.sleep(0.2)


@pytest.fixture(scope="module")
def project(engine, tmp_path_factory):
    """A fresh checkout, somebody's who lets nobody else read it, after nothing but `docker-compose up -d`."""
    folder = fresh_copy(tmp_path_factory.mktemp("compose") / "cangku")
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode & 0o700)
        os.chown(path, SOMEBODY, SOMEBODY)
    shutil.copytree(wheels(), folder / "wheels")
    docker = Docker(engine, folder.parent / "docker")
    import_base(docker, BASE)
    project = Project(folder, docker, free_port(), free_port())
    try:
        project.compose("up", "-d")
        project.until_healthy()
        yield project
    finally:
        project.compose("down")


async def test_the_walk(project, tmp_path):
    console_url = f"http://localhost:{project.web_port}"
    async with browser_page(console_url, tmp_path) as console:
        reader = Docker(project.docker.host, tmp_path / "reader")
        walk = Walk(f"localhost:{project.registry_port}", console, project.docker, reader, tmp_path)
        await walk.whole(FIRST_PASSWORD)


@pytest.mark.parametrize("service", SERVICES)
def test_containers_are_as_the_document_has_them(project, service):
    assert project.inspect(service, "{{.HostConfig.RestartPolicy.Name}}") == "always"
    assert "TZ=Asia/Shanghai" in project.inspect(service, "{{.Config.Env}}")
    assert project.docker("exec", service, "date", "+%z").strip() == "+0800"
    assert "registry-net" in project.inspect(service, "{{.NetworkSettings.Networks}}")
    assert f"{SERVICES[service]}/tcp" in project.inspect(service, "{{.NetworkSettings.Ports}}")
    assert project.docker("exec", service, "id", "-u").strip() == "1000"


def test_keys_are_made_once_and_for_the_services_only(project):
    key = project.folder / "conf/registry-web/auth.key"
    made = (key.read_bytes(), key.stat().st_mtime_ns)
    assert (key.stat().st_mode & 0o777, key.stat().st_uid) == (0o600, 1000)
    project.compose("up", "-d")
    assert project.inspect("registry-keys", "{{.State.ExitCode}}") == "0"
    assert (key.read_bytes(), key.stat().st_mtime_ns) == made


def test_configuration_is_opened_to_the_services_and_to_no_one_else(project):
    for folder in ("registry", "registry-web"):
        status = (project.folder / "conf" / folder / "config.yml").stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (SOMEBODY, 1000, 0o640)


def test_images_are_small_and_hold_no_secret(project):
    base = int(project.inspect(BASE, "{{.Size}}"))
    for image, secret in (
        ("cangku-registry", "/etc/docker/registry/auth.cert"),
        ("cangku-registry-web", "/conf/auth.key"),
    ):
        assert int(project.inspect(image, "{{.Size}}")) - base < 100 << 20
        inside = project.docker("run", "--rm", "--entrypoint", "ls", image, os.path.dirname(secret))  # noqa: PTH120
        assert inside.split() == ["config.yml"]


def test_everything_survives_a_restart(project):
    project.compose("stop")
    assert [project.inspect(service, "{{.State.ExitCode}}") for service in SERVICES] == ["0", "0"]
    project.compose("start")
    project.until_healthy()
    assert (project.folder / "data/registry-web").stat().st_uid == 1000
    assert "Login Succeeded" in project.docker.login(
        f"localhost:{project.registry_port}", "troylc", "a-long-enough-password"
    )
