"""scripts/run, as someone without Docker uses it, in a checkout of their own."""

import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kit.checkout import processes_of
from tests.kit.http import get
from tests.kit.services import ADMIN_PASSWORD, free_port

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

LAST_LINE = "Ctrl-C stops both."


class Run:
    """One start of the script, in a process group of its own as a shell would give it."""

    def __init__(self, checkout: Path, folder: Path, *options: str, **environ: str) -> None:
        self.checkout = checkout
        self.log = folder / f"run-{time.monotonic_ns()}.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [checkout / "scripts/run", *options], cwd="/", env=os.environ | environ, stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip

    @property
    def output(self) -> str:
        return self.log.read_text()

    def until_ready(self) -> str:
        while LAST_LINE not in self.output:
            assert self.process.poll() is None, self.output
            time.sleep(0.05)
        return self.output

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> int:
        """Press Ctrl-C, which reaches the whole process group, and return the exit code."""
        os.killpg(self.process.pid, number)
        return self.process.wait(30)

    def service(self, package: str) -> int:
        return next(pid for pid, command in processes_of(self.checkout).items() if package in command)


@pytest.fixture
def ports():
    return free_port(), free_port()


@pytest.fixture
def options(tmp_path, ports):
    return (
        "--registry-port", str(ports[0]), "--web-port", str(ports[1]), "--data", str(tmp_path / "data"),
        "--host", "127.0.0.1",
    )  # fmt: skip


@contextmanager
def running(checkout, folder, *options, **environ):
    run = Run(checkout, folder, *options, **environ)
    try:
        run.until_ready()
        yield run
    finally:
        if run.process.poll() is None:
            run.interrupt()
        assert processes_of(checkout) == {}


def test_first_start_sets_everything_up_and_ctrl_c_ends_it(checkout, tmp_path, options, ports):
    registry_port, web_port = ports
    with running(checkout, tmp_path, *options) as run:
        assert f"http://127.0.0.1:{web_port}   first login: admin / admin" in run.output
        assert f"docker login 127.0.0.1:{registry_port}" in run.output
        challenge = get(f"http://127.0.0.1:{registry_port}/v2/").headers["WWW-Authenticate"]
        assert f'realm="http://127.0.0.1:{web_port}/api/auth"' in challenge
        token = sign_in(ports, ADMIN_PASSWORD).json["token"]
        assert get(f"http://127.0.0.1:{registry_port}/v2/", token=token).status == 200
        assert run.interrupt() == 0
    assert not any(answers(port) for port in ports)


def test_second_start_is_fast_and_keeps_all_data(checkout, tmp_path, options, ports):
    with running(checkout, tmp_path, *options, WEB_ADMIN_PASSWORD="first-secret") as run:
        assert "first login: admin and the password of WEB_ADMIN_PASSWORD" in run.output
        assert "first-secret" not in run.output
    key = (tmp_path / "data/keys/auth.key").read_bytes()

    start = time.monotonic()
    with running(checkout, tmp_path, *options) as run:
        assert time.monotonic() - start < 8
        assert "first login" not in run.output
        assert sign_in(ports, "first-secret").status == 200
        assert sign_in(ports, ADMIN_PASSWORD).status == 401
    assert (tmp_path / "data/keys/auth.key").read_bytes() == key


@pytest.mark.parametrize("package", ["registry_service", "web_service"])
def test_neither_service_stays_without_the_other(checkout, tmp_path, options, package):
    with running(checkout, tmp_path, *options) as run:
        os.kill(run.service(package), signal.SIGKILL)
        assert run.process.wait(30) != 0
        assert "has ended (exit code -9), so both stop" in run.output


def test_termination_of_the_script_alone_ends_both(checkout, tmp_path, options):
    with running(checkout, tmp_path, *options) as run:
        run.process.terminate()
        assert run.process.wait(30) == 0


def test_port_in_use_is_told_in_one_line(checkout, tmp_path, options, ports):
    with socket.create_server(("127.0.0.1", ports[1])):
        run = Run(checkout, tmp_path, *options)
        assert run.process.wait(30) == 2
    assert run.output == f"run: 127.0.0.1 port {ports[1]}: Address already in use; --web-port names another\n"


def sign_in(ports, password):
    registry_port, web_port = ports
    url = f"http://127.0.0.1:{web_port}/api/auth?service=127.0.0.1:{registry_port}&account=admin"
    return get(url, login=("admin", password))


def answers(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def refusal(checkout, folder, *options, **environ):
    """Return the exit code of a start that fails, and what it said."""
    run = Run(checkout, folder, *options, **environ)
    return run.process.wait(60), run.output


def test_what_the_options_get_wrong_is_told_in_one_line_that_names_the_option(checkout, tmp_path, options):
    (tmp_path / "file").write_text("")
    for more, words in (
        (("--host", "nosuch.invalid"), "run: --host nosuch.invalid: "),
        (("--host", "192.0.2.1"), "run: --host 192.0.2.1: "),
        (("--data", str(tmp_path / "file")), f"run: {tmp_path}/file: is not a folder; --data names another\n"),
    ):
        code, said = refusal(checkout, tmp_path, *options, *more)
        assert (code, said.count("\n")) == (2, 1)
        assert said.startswith(words)
    for port in ("http", "0", "65536"):
        code, said = refusal(checkout, tmp_path, *options, "--web-port", port)
        assert code == 2
        assert f"argument --web-port: must be a number from 1 to 65535, not {port!r}" in said


@pytest.mark.parametrize("variable", ["REGISTRY_LOG_LEVEL", "WEB_LOG_LEVEL"])
def test_the_exit_code_is_that_of_the_service_that_failed_first(checkout, tmp_path, options, variable):
    code, said = refusal(checkout, tmp_path, *options, **{variable: "loud"})
    assert "has ended (exit code 2), so both stop" in said
    assert code == 2


def test_what_the_console_keeps_is_for_its_owner_only(checkout, tmp_path, options):
    with running(checkout, tmp_path, *options):
        folder = tmp_path / "data" / "registry-web"
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {one.stat().st_mode & 0o777 for one in folder.iterdir()} == {0o600}
