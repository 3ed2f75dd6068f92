"""Users, groups, robots and tokens in the shell."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import time

import aiohttp
import pytest
from aiohttp import encode_basic_auth

from tests.kit.services import free_port, running_service
from tests.kit.shell import seeded
from web_service.actors import SYSTEM
from web_service.refresh_tokens import RefreshTokens

PASSWORD = "correct horse"


@pytest.fixture
def environ(tmp_path, keys):
    config = tmp_path / "config.yml"
    config.write_text(f"registry: {{name: 'registry:5000', auth: {{enabled: true, key: '{keys.key}'}}}}\n")
    return {"CANGKU_WEB_CONFIG": str(config), "WEB_DATABASE_URL": f"sqlite:///{tmp_path}/web.db"}


@pytest.fixture
def shell(environ, capsys, monkeypatch):
    return seeded(environ, capsys, monkeypatch)


@pytest.fixture
def dev(shell):
    """The user dev."""
    return shell.json("user", "add", "dev", stdin=f"{PASSWORD}\n")


def test_a_user_is_added_changed_and_deleted(shell):
    added = shell.json("user", "add", "dev", "--role", "read-all", "--role", "UI_USER", stdin=f"{PASSWORD}\nmore\n")
    assert (added["name"], added["enabled"], added["robot"], added["admin"]) == ("dev", True, False, False)
    assert [role["name"] for role in added["roles"]] == ["UI_USER", "read-all"]
    assert shell.text("user", "rename", "dev", "李雷") == ["dev is now 李雷"]
    assert shell.text("user", "disable", "李雷") == ["李雷 is disabled"]
    assert shell.json("user", "show", "李雷")["enabled"] is False
    assert shell.text("user", "enable", "李雷") == ["李雷 is enabled"]
    assert shell.text("user", "grant", "李雷", "write-all") == ["李雷 has the role write-all"]
    assert shell.text("user", "revoke", "李雷", "read-all") == ["李雷 has not the role read-all"]
    assert [role["name"] for role in shell.json("user", "show", "李雷")["roles"]] == ["UI_USER", "write-all"]
    assert shell.json("user", "delete", "李雷", "--yes")["name"] == "李雷"
    assert [user["name"] for user in shell.json("user", "list")["items"]] == ["admin"]


def test_a_user_may_be_added_disabled(shell):
    assert shell.json("user", "add", "dev", "--disabled", stdin=PASSWORD)["enabled"] is False


def test_users_are_listed_in_columns_also_with_chinese_names(shell):
    shell.text("user", "add", "李雷", "--role", "read-all", stdin=PASSWORD)
    lines = shell.text("user", "list")
    assert lines[0].split() == ["NAME", "STATE", "CREATED", "GROUPS", "ROLES"]
    assert lines[1].startswith("admin  enabled")
    assert lines[2].startswith("李雷   enabled")  # two columns a character
    assert lines[2].endswith("-       read-all")


def test_a_user_is_shown_with_what_counts(shell, dev):
    for command in (
        "role add team",
        "rule add team --repository team/** --level push --from 10.0.0.0/8",
        "group add ops",
        "group grant ops team",
        "group join ops dev",
        "role add old",
        "role disable old",
        "user grant dev old",
    ):
        shell.text(*command.split())
    lines = shell.text("user", "show", "dev")
    assert lines[0] == "name     dev"
    assert "roles    old (disabled), team (by ops)" in lines
    assert "groups   ops" in lines
    assert lines[-2:] == ["REPOSITORY  LEVEL  FROM        ROLE", "team/**     push   10.0.0.0/8  team"]
    assert shell.text("user", "revoke", "dev", "team") == ["dev still has the role team, by the group ops"]


@pytest.mark.parametrize(
    ("command", "stdin", "words"),
    [
        ("user show eve", "", "There is no user named eve."),
        ("user show Admim", "", "There is no user named Admim. Did you mean admin?"),
        ("user grant admin red-all", "", "There is no role named red-all. Did you mean read-all?"),
        ("user grant admin anonymous", "", "granted to nobody"),
        ("user add dev --role anonymous", PASSWORD, "granted to nobody"),
        ("user add dev --role nothing", PASSWORD, "There is no role named nothing."),
        ("user add admin", PASSWORD, "There is already a user named admin."),
        ("user add -- -x", PASSWORD, "A user name has"),
        ("user add dev", "", "There is no password on stdin"),
        ("user add dev", "short", "at least 8 characters"),
        ("user add developer", "Developer\n", "must not be the user name"),
        ("user set-password admin", "admin\n", "at least 8 characters"),
        ("user disable admin", "", "This is the last administrator"),
        ("user delete admin --yes", "", "This is the last administrator"),
        ("user delete admin", "", "Nothing was deleted: there is no terminal to ask at; say --yes."),
        ("group show ops", "", "There is no group named ops."),
        ("group join ops admin", "", "There is no group named ops."),
        ("group delete ops --yes", "", "There is no group named ops."),
        ("robot show admin", "", "admin is no robot but a person"),
        ("robot delete ci --yes", "", "There is no robot named ci."),
        ("robot add ci --from 10.0.0.0/8", "", "give --allow as well"),
        ("robot add ci --allow team/[:push", "", "The repository team/[ cannot be used"),
        ("robot add admin", "", "There is already a user named admin."),
        ("token add admin laptop --limit team/**", "", "A limit has the form repository:level"),
        ("token add admin laptop --limit team/**:pull --api write", "", "cannot be limited"),
        ("token list eve", "", "There is no user named eve."),
        ("token revoke admin laptop", "", "admin has no token named laptop."),
        ("token revoke-client admin 1", "", "admin has no client 1"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_changes_nothing(shell, command, stdin, words):
    assert words in shell.refusal(*command.split(), stdin=stdin)
    assert shell.json("audit")["items"] == []
    assert [user["name"] for user in shell.json("user", "list")["items"]] == ["admin"]
    assert shell.json("robot", "list")["items"] == []


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("user", "COMMAND"),
        ("user dance", "invalid choice: 'dance'"),
        ("user add", "NAME"),
        ("robot add ci --allow team/**", "has not the form repository:level, as in team/**:push"),
        ("robot add ci --allow team/**:fly", "has not the form repository:level, as in team/**:push"),
        ("robot add ci --days 3651", "must be between 0 and 3650"),
        ("token add admin x --api all", "invalid choice: 'all'"),
    ],
)
def test_wrong_use_is_told_by_the_parser(shell, capsys, command, words):
    with pytest.raises(SystemExit) as caught:
        shell.run(*command.split())
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_groups_are_made_joined_and_deleted(shell, dev):
    assert shell.json("group", "add", "开发", "--comment", "谁都行")["comment"] == "谁都行"
    assert shell.text("group", "join", "开发", "dev") == ["dev is in the group 开发"]
    assert shell.text("group", "grant", "开发", "read-all") == ["the group 开发 has the role read-all"]
    assert shell.text("group", "list") == ["NAME  MEMBERS  ROLES     COMMENT", "开发  1        read-all  谁都行"]
    shown = shell.json("group", "show", "开发")
    assert shown == {"name": "开发", "comment": "谁都行", "members": ["dev"], "roles": ["read-all"]}
    assert shell.json("group", "rename", "开发", "ops")["comment"] == "谁都行"
    assert shell.json("group", "rename", "ops", "ops", "--comment", "")["comment"] == ""
    assert shell.text("group", "show", "ops") == ["name     ops", "members  dev", "roles    read-all"]
    assert shell.json("group", "leave", "ops", "dev")["members"] == []
    assert shell.json("group", "revoke", "ops", "read-all")["roles"] == []
    assert shell.text("group", "delete", "ops", "--yes") == ["the group ops was deleted"]
    assert shell.text("group", "list") == ["no groups"]


def test_a_robot_gets_a_role_and_a_token_whose_secret_is_printed_once(shell):
    rules = ("--allow", "team/**:push", "--allow", "base/*:pull", "--from", "10.0.0.0/8")
    lines = shell.text("robot", "add", "ci", *rules)
    assert lines[0] == "the robot ci was added"
    assert re.fullmatch(r"secret  ckr_\w{40}", lines[1])
    assert re.fullmatch(r" {8}shown this once; it expires \d{4}-\d\d-\d\d \d\d:\d\d", lines[2])
    assert lines[3:] == ["login   docker login registry:5000 --username ci"]
    shown = shell.text("robot", "show", "ci")
    assert "team/**     push   10.0.0.0/8  robot ci" in shown
    assert "base/*      pull   10.0.0.0/8  robot ci" in shown
    assert f"ci    default  {lines[1][8:16]}…  -       none" in shown[-1]
    assert lines[1][8:] not in "\n".join([*shown, *shell.text("robot", "list"), *shell.text("audit")])


def test_a_robot_in_json_and_without_a_token(shell):
    made = shell.json("robot", "add", "ci", "--days", "0")
    assert (made["robot"]["robot"], made["token"]["expires"]) == (True, None)
    assert made["token"]["secret"].startswith(made["token"]["hint"])
    assert shell.json("robot", "add", "cd", "--no-token")["token"] is None
    assert [one["name"] for one in shell.json("robot", "list")["items"]] == ["cd", "ci"]
    assert [line.split()[:2] for line in shell.text("robot", "list")[1:]] == [["cd", "enabled"], ["ci", "enabled"]]
    assert shell.text("robot", "disable", "ci") == ["ci is disabled"]
    assert shell.json("robot", "show", "ci")["enabled"] is False
    assert shell.json("robot", "enable", "ci")["enabled"] is True
    assert "A robot has no password" in shell.refusal("user", "set-password", "ci", stdin=PASSWORD)


def test_a_robot_goes_with_its_role(shell):
    shell.text("robot", "add", "ci", "--allow", "**:pull")
    shell.text("user", "rename", "ci", "runner")
    assert shell.text("robot", "delete", "runner", "--yes") == ["runner was deleted"]
    assert not [role for role in shell.json("role", "list")["items"] if role["name"].startswith("robot ")]


def test_access_tokens_are_made_listed_and_revoked(shell, dev):
    made = shell.json("token", "add", "dev", "laptop", "--limit", "team/**:pull", "--api", "read", "--days", "30")
    assert made["secret"].startswith("ckp_")
    assert (made["owner"], made["limits"], made["api"]) == ("dev", ["team/**:pull"], "read")
    lines = shell.text("token", "add", "dev", "ci", "--days", "0")
    assert lines[0] == "dev has the token ci"
    assert lines[2] == "        shown this once; it never expires"
    listed = shell.json("token", "list")
    assert [one["name"] for one in listed["access_tokens"]] == ["ci", "laptop"]
    assert shell.json("token", "list", "dev") == listed
    assert shell.json("token", "list", "admin") == {"access_tokens": [], "refresh_tokens": []}
    text = shell.text("token", "list", "dev")
    assert text[0].split()[:5] == ["USER", "TOKEN", "SECRET", "LIMITS", "API"]
    assert re.match(r"dev   laptop  ckp_\w{4}…  team/\*\*:pull  read  \d{4}-\d\d-\d\d \d\d:\d\d  never", text[2])
    assert text[-1] == "no clients that stay signed in"
    assert "Did you mean laptop?" in shell.refusal("token", "revoke", "dev", "laptap")
    assert shell.text("token", "revoke", "dev", "laptop") == ["the token laptop of dev was revoked"]
    assert shell.json("token", "revoke", "dev", "ci")["name"] == "ci"
    assert shell.json("token", "list")["access_tokens"] == []


def test_an_expired_token_is_called_so(shell, monkeypatch):
    shell.text("token", "add", "admin", "old", "--days", "1")
    in_two_days = time.time() + 2 * 24 * 3600
    monkeypatch.setattr(time, "time", lambda: in_two_days)
    assert "  expired 2" in shell.text("token", "list")[1]


def test_clients_that_stay_signed_in_are_listed_and_revoked(shell):
    shell.fill(lambda database: RefreshTokens(database, 3600).create(1, "docker\x1b[2J\u202e", by=SYSTEM))
    (client,) = shell.json("token", "list", "admin")["refresh_tokens"]
    assert (client["owner"], client["client"]) == ("admin", "docker\x1b[2J\u202e")
    number = str(client["id"])
    assert re.match(rf"admin  {number}   docker�\[2J�  \d", shell.text("token", "list")[-1])
    assert shell.text("token", "revoke-client", "admin", number) == [
        "the client docker�[2J� of admin has to sign in again"
    ]
    assert shell.json("token", "list")["refresh_tokens"] == []


def test_the_account_on_the_server_is_recorded(shell, dev, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)  # an account without a name, as in many containers
    shell.text("user", "delete", "dev", "--yes")
    deleted, created = shell.json("audit")["items"]
    assert (deleted["actor"], deleted["via"], deleted["action"]) == ("4000000000", "shell", "user.delete")
    assert (created["via"], created["action"], created["subject"]) == ("shell", "user.create", "dev")


class Typist:
    """Somebody at a real terminal in which a command runs."""

    def __init__(self, environ, *arguments):
        self.master, slave = pty.openpty()
        command = ["setsid", "--ctty", sys.executable, "-m", "web_service", *arguments]
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=os.environ | environ)
        os.close(slave)
        self.seen = ""

    def types(self, prompt, text):
        """Wait for a prompt and answer it."""
        start = len(self.seen)
        while prompt not in self.seen[start:]:
            self._read()
        os.write(self.master, text.encode())

    def ends(self):
        """Return the exit code, when all was said."""
        while self._read():
            pass
        os.close(self.master)
        return self.process.wait(10)

    def _read(self):
        ready, _, _ = select.select([self.master], [], [], 20)
        assert ready, self.seen
        try:
            read = os.read(self.master, 4096).decode()
        except OSError:  # the other end is closed
            read = ""
        self.seen += read
        return read


@pytest.mark.parametrize(
    ("answers", "code", "says"),
    [
        ((f"{PASSWORD}\n", f"{PASSWORD}\n"), 0, "admin has a new password"),
        ((f"{PASSWORD}\n", "correct cow\n"), 2, "registry-web: The two passwords differ; nothing was changed."),
        (("\x04", None), 2, "registry-web: No password was entered."),
        (("\x03", None), 130, ""),
    ],
)
def test_a_password_is_typed_twice_and_not_shown(shell, environ, answers, code, says):
    typist = Typist(environ, "user", "set-password", "admin")
    typist.types("New password of admin: ", answers[0])
    if answers[1]:
        typist.types("Once more: ", answers[1])
    assert typist.ends() == code
    assert says in typist.seen
    assert "correct" not in typist.seen
    assert "Traceback" not in typist.seen


@pytest.mark.parametrize(
    ("answer", "code", "says"), [("y\n", 0, "dev was deleted"), ("\n", 2, "registry-web: Nothing was deleted.")]
)
def test_a_deletion_at_a_terminal_is_asked_for(shell, environ, dev, answer, code, says):
    typist = Typist(environ, "user", "delete", "dev")
    typist.types("Delete the user dev with all tokens? [y/N] ", answer)
    assert typist.ends() == code
    assert says in typist.seen


@pytest.mark.timeout(120)
async def test_what_the_shell_changes_counts_at_once_in_a_running_service(database_url, environ, tmp_path):
    port = free_port()
    environ |= {"WEB_DATABASE_URL": database_url.value, "WEB_HTTP_ADDR": f"127.0.0.1:{port}"}
    command = [sys.executable, "-m", "web_service"]

    def shell(*arguments, stdin=""):
        ran = subprocess.run(
            [*command, *arguments, "--json"],
            input=stdin,
            env=os.environ | environ,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    async def signs_in(name, password):
        headers = {"Authorization": encode_basic_auth(name, password)}
        query = {"service": "registry:5000"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/api/auth", params=query, headers=headers) as answer,
        ):
            return answer.status == 200

    serve = [*command, "serve", environ["CANGKU_WEB_CONFIG"]]
    with running_service(serve, environ, tmp_path / "web.log"):
        assert not await signs_in("dev", PASSWORD)
        shell("user", "add", "dev", stdin=PASSWORD)
        assert await signs_in("dev", PASSWORD)
        shell("user", "set-password", "dev", "--stdin", stdin="another horse\n")
        assert not await signs_in("dev", PASSWORD)
        assert await signs_in("dev", "another horse")
        shell("user", "disable", "dev")
        assert not await signs_in("dev", "another horse")
        secret = shell("robot", "add", "ci")["token"]["secret"]
        assert await signs_in("ci", secret)
        shell("token", "revoke", "ci", "default")
        assert not await signs_in("ci", secret)
        assert {one["action"] for one in shell("audit", "--limit", "100")["items"]} >= {"user.create", "token.revoke"}
