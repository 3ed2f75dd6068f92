"""The command line: what an administrator types, and what is said when something is wrong."""

import asyncio
import os
import signal
import socket
import subprocess
import sys

import pytest

from web_service.cli import run

CONFIG = """registry:
   url: http://registry:5000/v2
   name: registry:5000
   readonly: false
   auth:
     enabled: true
     key: {key}
     issuer: test
"""


@pytest.fixture
def config_file(tmp_path, keys):
    path = tmp_path / "config.yml"
    path.write_text(CONFIG.format(key=keys.key))
    return path


@pytest.fixture
def environ(tmp_path, unused_tcp_port):
    return {
        "WEB_HTTP_ADDR": f"127.0.0.1:{unused_tcp_port}",
        "WEB_DATABASE_URL": f"sqlite:///{tmp_path}/data/web.db",
    }


def refused(capsys, code):
    """Return the one line that was said."""
    said = capsys.readouterr().err
    assert code == 2
    assert said.startswith("registry-web: ")
    assert said.count("\n") == 1
    assert "Traceback" not in said
    return said


def test_a_good_configuration_is_ok(config_file, capsys):
    assert run(["check-config", str(config_file)], {"REGISTRY_CONTEXT_PATH": "/x"}) == 0
    said = capsys.readouterr().out
    assert f"{config_file}: ok" in said
    assert "warning: environment variable REGISTRY_CONTEXT_PATH" in said


@pytest.mark.parametrize("command", ["serve", "check-config"])
@pytest.mark.parametrize(
    ("content", "variables", "names"),
    [
        (None, {}, ["config.yml", "no such file"]),
        ("registry: [", {}, ["config.yml", "not valid YAML"]),
        ("registry: {urll: x}", {}, ["registry.urll", "did you mean url"]),
        (CONFIG.format(key="/nowhere/auth.key"), {}, ["/nowhere/auth.key", "registry.auth.key", "no such file"]),
        ("", {"REGISTRY_READONLY": "perhaps"}, ["REGISTRY_READONLY", "registry.readonly"]),
        ("", {"WEB_NOTIFICATIONS_TOKENFILE": "/nowhere/token"}, ["/nowhere/token", "notifications.tokenfile"]),
        ("http: {addr: nowhere}", {}, ["http.addr", "host:port"]),
    ],
)
def test_a_wrong_configuration_is_one_line_and_exit_code_2(config_file, capsys, command, content, variables, names):
    if content is None:
        config_file.unlink()
    else:
        config_file.write_text(content)
    said = refused(capsys, run([command, str(config_file)], variables))
    for name in names:
        assert name in said


def test_a_key_and_a_certificate_that_do_not_match_are_one_line(config_file, tmp_path, capsys):
    for name in ("one", "two"):
        run(
            [
                "generate-keys",
                "--web-conf",
                f"{tmp_path}/{name}",
                "--registry-conf",
                f"{tmp_path}/{name}",
                "--type",
                "ec",
            ],
            {},
        )
    capsys.readouterr()
    variables = {
        "REGISTRY_AUTH_KEY": f"{tmp_path}/one/auth.key",
        "REGISTRY_AUTH_CERTIFICATE": f"{tmp_path}/two/auth.cert",
    }
    said = refused(capsys, run(["serve", str(config_file)], variables))
    assert "two/auth.cert" in said
    assert "one/auth.key" in said


def test_a_port_in_use_is_one_line(config_file, environ, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environ["WEB_HTTP_ADDR"] = f"127.0.0.1:{taken.getsockname()[1]}"
        said = refused(capsys, run(["serve", str(config_file)], environ))
    assert "http.addr" in said
    assert "Address already in use" in said


def test_a_data_folder_that_cannot_be_written_is_one_line(config_file, environ, tmp_path, capsys):
    (tmp_path / "data").write_text("a file, not a folder")
    said = refused(capsys, run(["serve", str(config_file)], environ))
    assert "database.url" in said


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["serve"],
        ["generate-keys", "--web-conf", "x"],
        ["generate-keys", "--web-conf", "x", "--registry-conf", "x", "--type", "dsa"],
        ["generate-keys", "--web-conf", "x", "--registry-conf", "x", "--days", "0"],
        ["generate-keys", "--web-conf", "x", "--registry-conf", "x", "--owner", "root"],
        ["generate-keys", "--web-conf", "x", "--registry-conf", "x", "--force", "--if-missing"],
    ],
)
def test_wrong_use_is_exit_code_2(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        run(arguments, {})
    assert caught.value.code == 2
    assert "registry-web" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_keys_are_made_and_not_overwritten(tmp_path, capsys):
    arguments = ["generate-keys", "--web-conf", f"{tmp_path}/w", "--registry-conf", f"{tmp_path}/r", "--type", "ec"]
    assert run(arguments, {}) == 0
    assert capsys.readouterr().out.count("written ") == 5
    assert "auth.key: exists already" in refused(capsys, run(arguments, {}))
    assert run([*arguments, "--if-missing"], {}) == 0
    assert "nothing was changed" in capsys.readouterr().out
    assert run([*arguments, "--force"], {}) == 0


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as caught:
        run(["--version"], {})
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("cangku ")


async def test_the_program_serves_until_it_is_told_to_stop(config_file, environ, tmp_path):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "web_service",
        "serve",
        str(config_file),
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    lines = []
    while not lines or "registry-web ready" not in lines[-1]:
        line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        assert line, (await process.communicate())[1].decode()
        lines.append(line)
    address = environ["WEB_HTTP_ADDR"]
    assert f"address={address}" in lines[-1]
    assert sum("events are accepted from anyone" in line for line in lines) == 1
    reader, writer = await asyncio.open_connection(*address.split(":"))
    writer.write(b"POST /api/notification HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n\r\n")
    await writer.drain()
    await asyncio.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert "stops" in (await process.stdout.readline()).decode()
    writer.write(b'{"events": []}')
    answer = await asyncio.wait_for(reader.readline(), 10)
    assert answer.startswith(b"HTTP/1.1 200")
    _, errors = await asyncio.wait_for(process.communicate(), 20)
    writer.close()
    assert (process.returncode, errors) == (0, b"")
