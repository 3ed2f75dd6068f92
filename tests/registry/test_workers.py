"""Several workers as real processes: they share a port, die, are exchanged and end, and no request is lost."""

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from registry_service.config import HTTP, Config, Filesystem, InMemory, Storage, worker_count
from tests.kit.content import blob
from tests.kit.services import free_port
from tests.kit.sink import running_sink
from tests.registry.test_main import COMMAND, run

NAME = "team/app"
CONFIG = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/images}}}}
http: {{addr: "127.0.0.1:{port}", workers: {workers}, draintimeout: 10s}}
"""


class Service:
    """A running registry: its supervisor, its port, its log."""

    def __init__(self, folder: Path, workers: int, more: str = "") -> None:
        self.folder, self.port = folder, free_port()
        self.config, self.log = folder / "config.yml", folder / "registry.log"
        self.configure(workers, more)

    def configure(self, workers: int, more: str = "") -> None:
        self.config.write_text(CONFIG.format(folder=self.folder, port=self.port, workers=workers) + more)

    @contextmanager
    def running(self, expected_end: int = 0) -> Iterator["Service"]:
        """Run it until the end of the context, or until a test has ended it."""
        with self.log.open("wb") as output:
            self.process = subprocess.Popen([*COMMAND, "serve", self.config], stdout=output, stderr=output)
        try:
            self.until_logged("registry ready")
            yield self
        finally:
            self.process.terminate()
            try:
                code = self.process.wait(30)
            finally:
                self.process.kill()
        assert code == expected_end, self.log.read_text()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def children(self, pid: int = 0) -> list[int]:
        """Return the processes below the first one: the keeper, then the workers."""
        pid = pid or self.process.pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def until_logged(self, text: str, times: int = 1) -> None:
        self.until(lambda: self.log.read_text().count(text) >= times, f"{text!r} in {self.log.read_text()}")

    def until(self, condition, what: str) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, f"never: {what}"
            time.sleep(0.02)


@pytest.fixture
def service(tmp_path):
    with Service(tmp_path, 2).running() as service:
        yield service


class Asking(threading.Thread):
    """Asks again and again over one connection at a time, as long as it lives, and remembers what went wrong."""

    def __init__(self, service: Service) -> None:
        super().__init__(daemon=True)
        self.service = service
        self.answers, self.lost = 0, []
        self._over = threading.Event()

    def run(self) -> None:
        connection = self.service.connect()
        while not self._over.is_set():
            try:
                connection.request("GET", "/v2/")
                answer = connection.getresponse()
                assert answer.read() == b"{}"
                self.answers += 1
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(repr(error))
                connection.close()
        connection.close()

    def finish(self) -> None:
        self._over.set()
        self.join(20)


@contextmanager
def asking(service: Service, number: int = 8) -> Iterator[list[Asking]]:
    """Keep a load of requests on the registry while inside."""
    askers = [Asking(service) for _ in range(number)]
    for one in askers:
        one.start()
    service.until(lambda: all(one.answers > 10 for one in askers), "answers")
    try:
        yield askers
    finally:
        for one in askers:
            one.finish()


def test_one_worker_needs_no_supervisor(tmp_path):
    with Service(tmp_path, 1).running() as service:
        assert service.children() == []
        connection = service.connect()
        connection.request("GET", "/v2/")
        assert connection.getresponse().status == 200
        connection.close()
        service.signal(signal.SIGHUP)
        service.until_logged("SIGHUP exchanges the workers, and there are none")


def test_several_workers_answer_on_one_port(service):
    keeper, *workers = service.children()
    assert len(workers) == 2
    with asking(service):
        held = [len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in workers]
        assert min(held) > len(list(Path(f"/proc/{keeper}/fd").iterdir()))
    assert "registry ready address=http://127.0.0.1:" in service.log.read_text()
    assert "workers=2" in service.log.read_text()


def test_requests_go_on_when_a_worker_is_killed(service):
    keeper, *workers = service.children()
    with asking(service) as askers:
        os.kill(workers[0], signal.SIGKILL)
        service.until_logged("a process has died and is replaced")
        service.until(lambda: len(service.children()) == 3, "a new worker")
        before = [one.answers for one in askers]
        service.until(lambda: all(one.answers > n + 10 for one, n in zip(askers, before, strict=True)), "more answers")
    assert workers[0] not in service.children()
    assert {keeper, workers[1]} < set(service.children())
    # Whoever was connected to the killed one lost one request at most; no one else lost any.
    assert all(len(one.lost) <= 1 for one in askers), [one.lost for one in askers]
    assert 'role="worker 1"' in service.log.read_text()
    assert "killed by SIGKILL" in service.log.read_text()


def test_a_worker_that_dies_again_and_again_is_waited_for(service):
    for times in range(1, 4):
        _, *workers = service.children()
        os.kill(workers[-1], signal.SIGKILL)
        service.until_logged("a process has died and is replaced", times)
        service.until(lambda: len(service.children()) == 3, "a new worker")
    assert "pause=0.4" in service.log.read_text()
    assert "pause=0.8" in service.log.read_text()


def test_the_workers_end_when_their_supervisor_is_gone(tmp_path):
    service = Service(tmp_path, 2)
    with service.running(expected_end=-signal.SIGKILL):
        children = service.children()
        service.signal(signal.SIGKILL)
        service.process.wait()
        service.until(lambda: not any(is_running(pid) for pid in children), "their end")


def is_running(pid: int) -> bool:
    """Tell whether a process lives; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Upload:
    """An upload whose body is sent in two halves."""

    def __init__(self, service: Service, size: int) -> None:
        self.content = blob(size)
        connection = service.connect()
        connection.request("POST", f"/v2/{NAME}/blobs/uploads/", headers={"Content-Length": "0"})
        answer = connection.getresponse()
        answer.read()
        self.location = answer.headers["Location"]
        connection.close()
        self.socket = socket.create_connection(("127.0.0.1", service.port), timeout=20)
        head = f"PATCH {self.location} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
        self.socket.sendall(head + self.content.body[: size // 2])

    def finish(self) -> bytes:
        self.socket.sendall(self.content.body[len(self.content.body) // 2 :])
        with self.socket, self.socket.makefile("rb") as answer:
            return answer.readline()

    def close_with_digest(self, service: Service) -> int:
        connection = service.connect()
        headers = {"Content-Length": "0"}
        connection.request("PUT", f"{self.location}?digest={self.content.digest}", headers=headers)
        status = connection.getresponse().status
        connection.close()
        return status


def test_uploads_in_flight_on_all_workers_are_finished_at_the_end(tmp_path):
    service = Service(tmp_path, 3)
    with service.running():
        uploads = [Upload(service, 100_000 + i) for i in range(12)]
        time.sleep(0.2)  # the workers have begun with the bodies
        service.signal(signal.SIGTERM)
        time.sleep(0.3)
        answers = [one.finish() for one in uploads]
        assert service.process.wait(20) == 0
        assert {one[:13] for one in answers} == {b"HTTP/1.1 202 "}
    with service.running():  # what was received is there, for any worker
        assert [one.close_with_digest(service) for one in uploads] == [201] * 12


def test_a_reload_loses_no_request(service):
    before = service.children()
    with asking(service) as askers:
        for times in range(1, 4):
            service.signal(signal.SIGHUP)
            service.until_logged("registry reloaded", times)
            service.until(lambda: len(service.children()) == 3, "the end of those before")
    assert [one.lost for one in askers] == [[]] * len(askers)
    assert not set(before) & set(service.children())


def test_an_upload_in_flight_outlives_a_reload(service):
    uploads = [Upload(service, 100_000 + i) for i in range(6)]
    time.sleep(0.2)
    service.signal(signal.SIGHUP)
    service.until_logged("registry reloaded")
    assert {one.finish()[:13] for one in uploads} == {b"HTTP/1.1 202 "}
    assert [one.close_with_digest(service) for one in uploads] == [201] * 6


def test_a_reload_reads_the_configuration_again(service):
    service.config.write_text("a: [")
    service.signal(signal.SIGHUP)
    service.until_logged("the configuration cannot be used, and the one before stays")
    before = service.children()
    service.configure(3, "log: {level: info, formatter: json}\n")
    service.signal(signal.SIGHUP)
    service.until_logged('"msg": "registry reloaded", "address": ')
    service.until(lambda: len(service.children()) == 4, "three workers and the keeper")
    assert not set(before) & set(service.children())


def test_a_reload_may_move_to_another_port(service):
    before, service.port = service.port, free_port()
    service.configure(2)
    service.signal(signal.SIGHUP)
    service.until_logged(f"registry reloaded address=http://127.0.0.1:{service.port}")
    service.until(lambda: len(service.children()) == 3, "the end of those before")
    with asking(service, 2):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", before))


def test_a_start_that_cannot_be_ends_with_one_line(tmp_path):
    endpoint = "notifications: {endpoints: [{name: a, url: 'http://127.0.0.1:9/'}]}\n"
    service = Service(tmp_path, 2, endpoint)
    (tmp_path / "images").mkdir()
    (tmp_path / "images/cangku").write_text("no folder")
    ran = run("serve", str(service.config))
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert "notifications: the events waiting in" in ran.stderr


def test_memory_belongs_to_one_process(tmp_path):
    path = tmp_path / "config.yml"
    path.write_text("version: 0.1\nstorage: {inmemory: {}}\nhttp: {workers: 2}\n")
    ran = run("check-config", str(path))
    assert ran.returncode == 2
    assert "http.workers: must be 0 or 1 with storage.inmemory" in ran.stderr


@pytest.mark.parametrize(
    ("storage", "workers", "cores", "expected"),
    [
        (Storage(filesystem=Filesystem()), 0, 1, 1),
        (Storage(filesystem=Filesystem()), 0, 3, 3),
        (Storage(filesystem=Filesystem()), 0, 64, 4),
        (Storage(filesystem=Filesystem()), 7, 2, 7),
        (Storage(inmemory=InMemory()), 0, 8, 1),
    ],
)
def test_how_many_there_are(monkeypatch, storage, workers, cores, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert worker_count(Config(storage=storage, http=HTTP(workers=workers))) == expected


async def test_one_keeper_delivers_all_events_in_order(tmp_path):
    """Eight clients push through two workers; whoever takes an event, each client's come once and in its order."""
    async with running_sink() as sink:
        endpoint = f"notifications: {{endpoints: [{{name: a, url: '{sink.url}', timeout: 5s}}]}}\n"
        service = Service(tmp_path, 2, endpoint)
        entered = service.running()
        await asyncio.to_thread(entered.__enter__)
        try:
            await asyncio.gather(*(asyncio.to_thread(push_many, service, client, 15) for client in range(8)))
            await sink.wait_for(8 * 15, 20)
        finally:
            await asyncio.to_thread(entered.__exit__, None, None, None)
    events = [event for one in sink.received for event in json.loads(one.body)["events"]]
    assert len({event["id"] for event in events}) == len(events) == 8 * 15
    for client in range(8):
        own = [event for event in events if event["target"]["repository"] == f"client/{client}"]
        assert [event["target"]["size"] for event in own] == list(range(1, 16))
    assert len({event["source"]["instanceID"] for event in events}) == 2, "both workers have recorded some"


def push_many(service, client, number):
    """Push blobs of 1, 2, 3 ... bytes, each over a connection of its own."""
    for size in range(1, number + 1):
        content = blob(size)
        connection = service.connect()
        connection.request("POST", f"/v2/client/{client}/blobs/uploads/?digest={content.digest}", content.body)
        assert connection.getresponse().status == 201
        connection.close()


async def until_six_events(sink):
    """Wait for six different events: the one under way when the keeper died comes twice."""
    count = 6
    while len(set(sink.event_ids)) < 6:
        await sink.wait_for(count)
        count = len(sink.received) + 1


async def test_another_keeper_goes_on_when_one_is_killed(tmp_path):
    async with running_sink() as sink:
        endpoint = f"notifications: {{endpoints: [{{name: a, url: '{sink.url}', timeout: 5s}}]}}\n"
        service = Service(tmp_path, 2, endpoint)
        entered = service.running()
        await asyncio.to_thread(entered.__enter__)
        try:
            await asyncio.to_thread(push_many, service, 0, 3)
            os.kill(service.children()[0], signal.SIGKILL)
            await asyncio.to_thread(push_many, service, 1, 3)
            async with asyncio.timeout(20):
                await until_six_events(sink)
        finally:
            await asyncio.to_thread(entered.__exit__, None, None, None)
    assert "role=keeper" in service.log.read_text()
