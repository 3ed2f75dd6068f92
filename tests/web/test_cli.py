"""The command line: what an administrator types, and what is said when something is wrong."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from shared.config import Secret
from tests.kit.actors import ADMIN
from web_service.cli import run
from web_service.db import Database
from web_service.roles import Roles, RuleDraft
from web_service.users import Users

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
        (
            "",
            {"WEB_DATABASE_URL": "postgresql://me:hush@db/web?odd=1"},
            ["postgresql://me@db/web: database.url", "odd"],
        ),
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
    assert "hush" not in said


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


@pytest.mark.parametrize("kind", ["ec", "ed25519"])
def test_the_kind_of_key_that_was_asked_for_is_made_and_serves(config_file, tmp_path, kind):
    places = ["--web-conf", f"{tmp_path}/{kind}", "--registry-conf", f"{tmp_path}/{kind}"]
    assert run(["generate-keys", *places, "--type", kind], {}) == 0
    variables = {"REGISTRY_AUTH_ENABLED": "true", "REGISTRY_AUTH_KEY": f"{tmp_path}/{kind}/auth.key"}
    for naming in ("libtrust", "rfc7638"):
        assert run(["check-config", str(config_file)], variables | {"WEB_TOKENS_KEYID": naming}) == 0
    assert run(["check-config", str(config_file)], variables | {"WEB_TOKENS_KEYID": "other"}) == 2


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
        ["generate-keys", "--web-conf", "x", "--registry-conf", "x", "--days", "ten"],
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


@pytest.mark.parametrize("name", ["", "x" * 65])
def test_a_name_that_no_certificate_holds_is_one_line_and_exit_code_2(tmp_path, capsys, name):
    places = ["--web-conf", f"{tmp_path}/w", "--registry-conf", f"{tmp_path}/r"]
    assert run(["generate-keys", *places, "--cn", name], {}) == 2
    assert capsys.readouterr().err == "registry-web: --cn: the common name of a certificate has 1 to 64 bytes\n"


def test_a_number_of_days_is_asked_for_in_words(capsys):
    with pytest.raises(SystemExit):
        run(["generate-keys", "--web-conf", "x", "--registry-conf", "x", "--days", "ten"], {})
    assert "argument --days: must be between 1 and 36500" in capsys.readouterr().err


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


@pytest.fixture
def asked(config_file, environ, tmp_path):
    """Return a function that runs `explain` on a database with a user dev, who may pull team/** from 10.0.0.0/8."""

    async def fill():
        database = Database(Secret(environ["WEB_DATABASE_URL"]))
        await database.open()
        users, roles = Users(database), Roles(database)
        await users.seed("admin")
        role = await roles.create("team", by=ADMIN)
        await roles.add_rule(role.id, RuleDraft("10.0.0.0/8", "team/**", "pull"), by=ADMIN)
        await roles.add_rule(role.id, RuleDraft("*", "team/secret", "deny"), by=ADMIN)
        await users.grant((await users.create("dev", "hash", by=ADMIN)).id, role.id, by=ADMIN)
        await database.close()

    asyncio.run(fill())
    return lambda *arguments: run(["explain", "--config", str(config_file), *arguments], environ)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["dev", "team/app", "pull", "--from", "10.1.2.3"], 0, "A rule of the role team grants it."),
        (["dev", "team/app", "pull"], 1, "No rule grants it."),
        (["dev", "team/app", "push", "--from", "10.1.2.3"], 1, "applies, but does not include the action"),
        (["dev", "team/secret", "pull", "--from", "10.1.2.3"], 1, "A rule of the role team denies it"),
        (["dev", "team/app", "ui-delete"], 1, "does not include the console"),
        (["-", "team/app", "pull"], 1, "The role anonymous is disabled"),
    ],
)
def test_a_decision_is_explained(asked, capsys, arguments, code, words):
    assert asked(*arguments) == code
    said = capsys.readouterr().out
    assert said.startswith("allowed: " if code == 0 else "refused: ")
    assert words in said


def test_a_decision_is_explained_in_json(asked, capsys):
    assert asked("dev", "team/secret", "pull", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    findings = [
        ("team/**", "10.0.0.0/8", "pull", "other address"),
        ("team/secret", "*", "deny", "denies"),
    ]
    keys = ("repository", "address", "level", "effect")
    assert [tuple(one[key] for key in keys) for one in told.pop("findings")] == findings
    assert told == {
        "user": "dev",
        "repository": "team/secret",
        "action": "pull",
        "address": "127.0.0.1",
        "allowed": False,
        "reason": "A rule of the role team denies it, whatever others allow.",
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["eve", "team/app", "pull"], "There is no user named eve."),
        (["def", "team/app", "pull"], "There is no user named def. Did you mean dev?"),
        (["dev", "Team//app", "pull"], "a repository name has"),
        (["dev", "team/app", "fly"], "'fly' is none of pull, push, delete, *, ui-delete"),
        (["dev", "team/app", "pull", "--from", "10.0.0.0/8"], "10.0.0.0/8"),
    ],
)
def test_a_question_that_makes_no_sense_is_one_line(asked, capsys, arguments, words):
    assert words in refused(capsys, asked(*arguments))


def test_a_console_that_is_read_only_is_explained(config_file, environ, asked, capsys):
    environ["REGISTRY_READONLY"] = "true"
    assert asked("admin", "team/app", "ui-delete") == 1
    assert "read-only" in capsys.readouterr().out


def test_the_configuration_is_found_by_its_variable_and_no_database_is_made(config_file, environ, tmp_path, capsys):
    environ["CANGKU_WEB_CONFIG"] = str(config_file)
    assert "has the service ever run?" in refused(capsys, run(["explain", "dev", "a", "pull"], environ))
    assert not (tmp_path / "data").exists()
    environ["CANGKU_WEB_CONFIG"] = "/nowhere.yml"
    assert "/nowhere.yml" in refused(capsys, run(["explain", "dev", "a", "pull"], environ))
