"""The running service on a real socket: bodies that break off, expectations, TLS, the end."""

import asyncio
import dataclasses
import logging
import socket
import ssl
import struct
import subprocess
import sys

import aiohttp
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from registry_service import app
from registry_service.api import interruptions
from registry_service.api.requests import Parts
from registry_service.app import create_parts, running
from registry_service.config import HTTP, TLS, Auth, Maintenance, Token, UploadPurging
from registry_service.errors import RegistryError
from registry_service.listening import reason_of
from shared.config import ConfigError
from tests.kit.certificates import ISSUER, REALM, SERVICE, claims, issue, private_key, sign, write_bundle
from tests.kit.content import blob

NAME = "team/app"


@pytest.fixture
def config(config):
    return dataclasses.replace(config, http=HTTP(addr="127.0.0.1:0"))


@pytest.fixture
async def address(parts: Parts):
    async with running(parts) as url:
        yield url


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


async def raw(address: str):
    host, port = address.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def wait_for_range(session, url, expected):
    """Ask for an upload's status until the server has noticed what happened."""
    async with asyncio.timeout(5):
        while True:
            async with session.get(url) as answer:
                if answer.headers.get("Range") == expected:
                    return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
async def test_what_came_before_a_broken_connection_is_kept(address, session, framing):
    content = blob(100)
    async with session.post(f"{address}/v2/{NAME}/blobs/uploads/") as opened:
        location = opened.headers["Location"]
    _, writer = await raw(address)
    body = content.body[:40] if "Length" in framing else b"28\r\n" + content.body[:40] + b"\r\n"
    writer.write(f"PATCH {location} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode() + body)
    await asyncio.sleep(0.1)  # the server has read it
    writer.close()
    await writer.wait_closed()
    await wait_for_range(session, address + location, "0-39")
    rest = {"data": content.body[40:], "headers": {"Content-Range": "40-99"}}
    async with session.put(address + location, params={"digest": content.digest}, **rest) as answer:
        assert answer.status == 201


async def test_a_download_that_the_client_breaks_off_is_no_failure(address, session, caplog):
    caplog.set_level(logging.INFO)
    content = blob(30_000_000)
    async with session.post(f"{address}/v2/{NAME}/blobs/uploads/") as opened:
        location = opened.headers["Location"]
    async with session.put(address + location, params={"digest": content.digest}, data=content.file) as answer:
        assert answer.status == 201
    for reset in (True, False):
        reader, writer = await raw(address)
        writer.write(f"GET /v2/{NAME}/blobs/{content.digest} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await reader.readexactly(100_000)
        if reset:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
    async with asyncio.timeout(5):
        await until_logged(caplog, "GET", 499, 2)
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING] == []


async def until_logged(caplog, method, status, count):
    """Wait for lines of the access log, and see that they name the client."""
    while True:
        lines = [one for one in caplog.records if one.name == "registry.access"]
        found = [one for one in lines if one.getMessage().startswith(method) and one.getMessage().endswith(str(status))]
        if len(found) == count:
            assert all(one.fields["address"].startswith("127.0.0.1:") for one in found)
            return
        await asyncio.sleep(0.01)


async def test_an_upload_that_the_client_breaks_off_is_logged_with_its_address(address, session, caplog):
    caplog.set_level(logging.INFO)
    async with session.post(f"{address}/v2/{NAME}/blobs/uploads/") as opened:
        location = opened.headers["Location"]
    _, writer = await raw(address)
    writer.write(f"PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc".encode())
    await asyncio.sleep(0.1)  # the server has read it
    writer.transport.abort()
    async with asyncio.timeout(5):
        await until_logged(caplog, "PATCH", 499, 1)


async def test_a_body_that_falls_silent_does_not_hang(address, session, monkeypatch):
    monkeypatch.setattr(interruptions, "IDLE_SECONDS", 0.05)
    async with session.post(f"{address}/v2/{NAME}/blobs/uploads/") as opened:
        location = opened.headers["Location"]
    reader, writer = await raw(address)
    writer.write(f"PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc".encode())
    async with asyncio.timeout(5):
        assert await reader.readline() == b"HTTP/1.1 408 Request Timeout\r\n"
    writer.close()
    await writer.wait_closed()
    await wait_for_range(session, address + location, "0-2")


@pytest.mark.parametrize(
    "message",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: -5\r\n\r\nabc",
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"Content-Length: 5x\r\n\r\nabcde",
        b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n",
        b"Transfer-Encoding: gzip\r\n\r\nabc",
    ],
)
async def test_a_body_that_lies_about_its_length_is_refused(address, session, message):
    async with session.post(f"{address}/v2/{NAME}/blobs/uploads/") as opened:
        location = opened.headers["Location"]
    reader, writer = await raw(address)
    writer.write(f"PATCH {location} HTTP/1.1\r\nHost: x\r\n".encode() + message)
    async with asyncio.timeout(5):
        answer = await reader.read()
    assert answer.startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 "))
    assert b"Traceback" not in answer
    writer.close()
    await writer.wait_closed()
    await wait_for_range(session, address + location, "0-0")


async def test_a_body_is_asked_for_only_when_it_is_wanted(address, session):
    async with session.post(f"{address}/v2/{NAME}/blobs/uploads/") as opened:
        location = opened.headers["Location"]
    head = "Host: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    reader, writer = await raw(address)
    writer.write(f"PATCH {location} HTTP/1.1\r\n{head}".encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"abc")
    assert (await reader.readline()).startswith(b"HTTP/1.1 202 ")
    writer.close()
    await writer.wait_closed()
    reader, writer = await raw(address)
    writer.write(f"PATCH {location[:-1]}x HTTP/1.1\r\n{head}".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 404 ")
    writer.close()
    await writer.wait_closed()


async def test_requests_in_flight_are_finished_at_the_end(parts):
    content = blob(1000)
    async with aiohttp.ClientSession() as session:
        async with running(parts) as address:
            async with session.post(f"{address}/v2/{NAME}/blobs/uploads/") as opened:
                location = opened.headers["Location"]
            reader, writer = await raw(address)
            target = f"{location}?digest={content.digest}"
            writer.write(f"PUT {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode())
            writer.write(content.body[:500])
            await asyncio.sleep(0.1)  # the server has begun with the request
            rest = asyncio.create_task(finish(reader, writer, content.body[500:]))
        assert (await rest).startswith(b"HTTP/1.1 201 ")


async def finish(reader, writer, rest):
    await asyncio.sleep(0.2)
    writer.write(rest)
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return line


async def test_a_port_in_use_is_named(parts, config, address):
    port = address.rpartition(":")[2]
    other = dataclasses.replace(parts, config=dataclasses.replace(config, http=HTTP(addr=f"127.0.0.1:{port}")))
    with pytest.raises(ConfigError, match=rf"^http\.addr: cannot listen on 127.0.0.1:{port}: "):
        async with running(other):
            pass


async def test_an_upload_that_nobody_finished_is_purged_at_the_start(config):
    purging = Maintenance(uploadpurging=UploadPurging(age=0.0))
    storage = dataclasses.replace(config.storage, maintenance=purging)
    parts = await asyncio.to_thread(create_parts, dataclasses.replace(config, storage=storage))
    upload = await parts.uploads.start(NAME)
    await asyncio.sleep(1.1)
    async with running(parts), asyncio.timeout(5):
        await until_unknown(parts, upload)


async def until_unknown(parts, upload):
    """Wait until the upload is gone; raises TimeoutError of the caller when it stays."""
    while True:
        try:
            await parts.uploads.get(NAME, upload.id)
        except RegistryError:
            return
        await asyncio.sleep(0.01)


@pytest.fixture
def tls(tmp_path):
    """A server certificate, and a client's view of it."""
    issued = issue(private_key("P-256"))
    certificate, key = tmp_path / "tls.cert", tmp_path / "tls.key"
    certificate.write_bytes(issued.pem)
    key.write_bytes(issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False
    return TLS(certificate, key), context


async def test_tls(config, tls, session):
    server, context = tls
    http = HTTP(addr="127.0.0.1:0", tls=server, relativeurls=False)
    parts = await asyncio.to_thread(create_parts, dataclasses.replace(config, http=http))
    content = blob(200_000)
    async with running(parts) as url:
        assert url.startswith("https://")
        async with session.post(f"{url}/v2/{NAME}/blobs/uploads/", ssl=context) as opened:
            location = opened.headers["Location"]
            assert location.startswith("https://127.0.0.1:")
        async with session.put(location, params={"digest": content.digest}, data=content.body, ssl=context) as answer:
            assert answer.status == 201
        async with session.get(answer.headers["Location"], ssl=context) as answer:
            assert await answer.read() == content.body


@pytest.mark.parametrize("broken", ["missing", "swapped"])
async def test_tls_files_that_cannot_be_used_are_named(config, tls, broken):
    good, _ = tls
    bad = TLS(good.key, good.certificate) if broken == "swapped" else TLS(good.certificate, good.key.with_name("x"))
    parts = await asyncio.to_thread(create_parts, dataclasses.replace(config, http=HTTP("127.0.0.1:0", tls=bad)))
    with pytest.raises(ConfigError, match=r"^http\.tls: "):
        async with running(parts):
            pass


def test_the_reason_of_the_system_is_short():
    assert reason_of(OSError(98, "error while attempting to bind on address: address already in use")) == (
        "address already in use"
    )


def replace_bundle(path, *issued):
    """Put another bundle in the place of one, as a whole; none at all is a damaged one."""
    write_bundle(path.with_suffix(".new"), *issued).replace(path)


async def test_keys_are_rotated_while_the_registry_runs(config, tmp_path, session, monkeypatch, caplog):
    """Old and new side by side, then the new alone; a bundle that is damaged meanwhile changes nothing."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(app, "BUNDLE_SECONDS", 0.02)
    old, new = issue(private_key("P-256")), issue(private_key("P-384"))
    path = await asyncio.to_thread(write_bundle, tmp_path / "auth.cert", old)
    auth = Auth(Token(REALM, SERVICE, ISSUER, path))
    parts = await asyncio.to_thread(create_parts, dataclasses.replace(config, auth=auth))
    async with running(parts) as url:

        async def accepted(one):
            headers = {"Authorization": f"Bearer {sign(claims(), one.key)}"}
            async with session.get(f"{url}/v2/", headers=headers) as answer:
                return answer.status == 200

        async def until(expected):
            async with asyncio.timeout(5):
                while True:
                    if [await accepted(one) for one in (old, new)] == expected:
                        return
                    await asyncio.sleep(0.01)

        await until([True, False])
        await asyncio.to_thread(replace_bundle, path, old, new)
        await until([True, True])
        await asyncio.to_thread(replace_bundle, path)
        await asyncio.sleep(0.2)
        await until([True, True])
        await asyncio.to_thread(replace_bundle, path, new)
        await until([False, True])
    told = [one.getMessage() for one in caplog.records if "keys of the token" in one.getMessage()]
    changed = "the keys of the token server have changed and are in force"
    assert told == [changed, "the keys of the token server have changed and cannot be used", changed]


def test_a_signal_while_the_loop_closes_leaves_no_line_in_the_log():
    program = """
import asyncio, os, signal
from asyncio.selector_events import BaseSelectorEventLoop
from registry_service.app import _listening_to_signals

close = BaseSelectorEventLoop._close_self_pipe

def closing(loop):
    close(loop)
    os.kill(os.getpid(), signal.SIGTERM)

BaseSelectorEventLoop._close_self_pipe = closing

async def main():
    with _listening_to_signals():
        pass

asyncio.run(main())
print("closed")
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "closed\n", "")
