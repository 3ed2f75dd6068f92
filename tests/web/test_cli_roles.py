"""Roles and rules in the shell, events and the audit trail, and what the tables are made of."""

import os
import subprocess
import sys
import time

import pytest

from tests.kit.shell import Terminal, seeded
from web_service.access import Level
from web_service.actors import SYSTEM
from web_service.asked import Asked, AskedFor
from web_service.audit import Entry
from web_service.cli.numbers import span
from web_service.cli.output import facts, printable, table, width
from web_service.cli.trail import _change
from web_service.events import Event, Events
from web_service.users import Users

MINUTE = 60
DAY = 24 * 60 * MINUTE


@pytest.fixture
def environ(tmp_path):
    config = tmp_path / "config.yml"
    config.write_text("")
    return {"CANGKU_WEB_CONFIG": str(config), "WEB_DATABASE_URL": f"sqlite:///{tmp_path}/web.db"}


@pytest.fixture
def shell(environ, capsys, monkeypatch):
    return seeded(environ, capsys, monkeypatch)


@pytest.fixture
def rule(shell):
    """The number of the only rule of a role `team`: pull on team/** from anywhere."""
    shell.text("role", "add", "team")
    return str(shell.json("rule", "add", "team", "--repository", "team/**", "--level", "pull")["id"])


def test_a_role_is_added_changed_and_deleted(shell):
    assert shell.json("role", "add", "team") == {
        "name": "team",
        "special": False,
        "enabled": True,
        "rules": [],
        "users": [],
        "groups": [],
    }
    assert shell.text("role", "rename", "team", "开发") == ["the role team is now 开发"]
    assert shell.json("role", "disable", "开发")["enabled"] is False
    assert shell.text("role", "enable", "开发") == ["the role 开发 is enabled"]
    assert shell.text("role", "delete", "开发", "--yes") == ["the role 开发 was deleted"]
    names = [role["name"] for role in shell.json("role", "list")["items"]]
    assert names == ["UI_ADMIN", "UI_DELETE", "UI_USER", "anonymous", "read-all", "write-all"]


def test_roles_are_listed_and_shown(shell, rule):
    shell.text("user", "grant", "admin", "team")
    lines = shell.text("role", "list")
    assert lines[0] == "NAME       STATE     RULES  USERS      GROUPS"
    assert "UI_ADMIN   enabled   -      1          -" in lines
    assert "anonymous  disabled  0      everybody  -" in lines
    assert "team       enabled   1      1          -" in lines
    assert shell.text("role", "show", "team") == [
        "name   team",
        "state  enabled",
        "users  admin",
        "",
        *shell.text("rule", "list", "team"),
    ]
    assert shell.text("role", "show", "UI_USER")[-1] == "opens the console; it has no rules"


def test_rules_are_added_edited_and_deleted(shell, rule):
    content = ("--repository", "{user}/*", "--level", "push", "--from", "10.0.0.0/8", "--comment", "自己的")
    (line,) = shell.text("rule", "add", "team", *content)
    number = line.split()[1]
    assert line == f"rule {number} of the role team: push on {{user}}/* from 10.0.0.0/8"
    assert shell.text("rule", "list", "team") == [
        "ID  REPOSITORY  LEVEL  FROM        COMMENT",
        f"{rule}   team/**     pull   *           -",
        f"{number}   {{user}}/*    push   10.0.0.0/8  自己的",
    ]
    edited = shell.json("rule", "edit", "team", number, "--level", "deny", "--comment", "")
    assert edited == {
        "id": int(number),
        "address": "10.0.0.0/8",
        "repository": "{user}/*",
        "level": "deny",
        "comment": "",
    }
    assert shell.json("rule", "list", "team")["items"][1] == edited
    assert shell.text("rule", "delete", "team", rule, "--yes") == [
        f"rule {rule} of the role team was deleted: pull on team/** from *"
    ]
    assert shell.json("rule", "list", "team")["items"] == [edited]


@pytest.mark.parametrize("level", list(Level))
def test_a_rule_may_have_every_level(shell, rule, level):
    assert shell.json("rule", "edit", "team", rule, "--level", level.value)["level"] == level


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("role show teem", "There is no role named teem. Did you mean team?"),
        ("role add team", "There is already a role named team."),
        ("role delete team", "say --yes"),
        ("role delete UI_USER --yes", "cannot be changed, disabled or deleted"),
        ("role rename anonymous guests", "can be neither renamed nor deleted"),
        ("rule list eam", "There is no role named eam. Did you mean team?"),
        ("rule add team --repository [ --level pull", "The repository [ cannot be used"),
        ("rule add team --repository a --level pull --from 10/8x", "The address 10/8x cannot be used"),
        ("rule add UI_USER --repository a --level pull", "opens the console"),
        ("rule add team --repository [ --level pull --try", "The repository [ cannot be used"),
        ("rule edit team 999 --level pull", "The role team has no rule 999"),
        ("rule delete read-all 999 --yes", "The role read-all has no rule 999"),
        ("rule delete team {rule}", "say --yes"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_changes_nothing(shell, rule, command, words):
    before = shell.json("role", "list"), shell.json("audit")
    assert words in shell.refusal(*command.format(rule=rule).split())
    assert (shell.json("role", "list"), shell.json("audit")) == before


@pytest.fixture
def asked(shell, rule):
    """The user dev has the role team, and has pulled team/app and failed to push it."""
    shell.text("user", "add", "dev", "--role", "team", stdin="correct horse")

    async def note(database):
        asked = AskedFor(database)
        asked.note([Asked("dev", "10.0.0.1", "team/app", "pull", True)] * 3)
        asked.note([Asked("dev", "10.0.0.1", "team/app", "push", False)])
        await asked.flush()

    shell.fill(note)
    return rule


@pytest.mark.parametrize(
    ("command", "differences"),
    [
        ("add team --repository team/app --level deny", [("pull", False)]),
        ("add team --repository team/* --level push", [("push", True)]),
        ("edit team {rule} --level push", [("push", True)]),
        ("edit team {rule} --from 192.168.0.0/16", [("pull", False)]),
        ("edit team {rule} --comment hello", []),
        ("delete team {rule}", [("pull", False)]),
    ],
)
def test_a_change_of_a_rule_can_be_tried(shell, asked, command, differences):
    before = shell.json("role", "list"), shell.json("audit")
    words = ("rule", *command.format(rule=asked).split(), "--try")
    trial = shell.json(*words)
    assert [(one["action"], one["gained"]) for one in trial["differences"]] == differences
    assert (trial["looked_at"], trial["days"]) == (2, 14)
    lines = shell.text(*words)
    for (action, gained), line in zip(differences, lines[1:], strict=False):
        times = "1" if gained else "3"
        assert line.split()[:6] == ["gains" if gained else "loses", "dev", action, "team/app", "10.0.0.1", times]
    lost = sum(not gained for _, gained in differences)
    result = f"{lost} lost, {len(differences) - lost} gained" if differences else "nobody would notice"
    assert lines[-1] == f"{result}; 2 requests of 14 days were looked at, and nothing was changed"
    assert (shell.json("role", "list"), shell.json("audit")) == before


@pytest.fixture
def happened(shell):
    """Two events."""
    now, digest = int(time.time()), "sha256:" + "a" * 64
    events = [
        Event("1", now - MINUTE, "dev", "push", "团队/app", "v1", digest, "", "10.0.0.1", "docker/28"),
        Event("2", now, "eve", "delete", "team/app", "", digest, "", "10.0.0.2"),
    ]
    shell.fill(lambda database: Events(database).record(events))


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", ["2", "1"]),
        ("--user dev", ["1"]),
        ("--repository 团队", ["1"]),
        ("--action delete", ["2"]),
        ("--user dev --action delete", []),
        ("--limit 1", ["2"]),
    ],
)
def test_events_are_found(shell, happened, words, found):
    listed = shell.json("events", *words.split())
    assert [one["id"] for one in listed["items"]] == found
    assert listed["more"] is (words == "--limit 1")
    assert len(shell.text("events", *words.split())) == (1 + len(found) + 2 * listed["more"] if found else 1)


def test_events_are_shown(shell, happened):
    lines = shell.text("events")
    assert lines[0].split() == ["TIME", "USER", "ACTION", "IMAGE", "FROM"]
    assert lines[1].endswith("  eve   delete  team/app@sha256:aaaaaaaaaaaa  10.0.0.2")
    assert lines[2].endswith("  dev   push    团队/app:v1                   10.0.0.1")
    assert shell.text("events", "--user", "nobody") == ["no events"]
    assert shell.text("events", "--limit", "1")[-1] == "there are more: see --limit"


@pytest.mark.parametrize(
    ("words", "actions"),
    [
        ("", ["rule.add", "role.create", "user.create"]),
        ("--actor registry-web", ["user.create"]),
        ("--action role.create", ["role.create"]),
        ("--action ro", []),
        ("--action user.", ["user.create"]),
        ("--subject tea", ["rule.add", "role.create"]),
        ("--since 1h30m", ["rule.add", "role.create", "user.create"]),
        ("--limit 2", ["rule.add", "role.create"]),
    ],
)
def test_the_audit_trail_is_searched(shell, words, actions):
    shell.fill(lambda database: Users(database).create("dev", "hash", by=SYSTEM))
    shell.text("role", "add", "team")
    shell.text("rule", "add", "team", "--repository", "**", "--level", "pull")
    listed = shell.json("audit", *words.split())
    assert [one["action"] for one in listed["items"]] == actions
    assert listed["more"] is (words == "--limit 2")
    heading, *lines = shell.text("audit", *words.split())
    assert heading == "no entries" or heading.split() == ["TIME", "WHO", "VIA", "ACTION", "SUBJECT", "CHANGE"]
    assert [line.split()[4] for line in lines[: len(actions)]] == actions


def test_the_audit_trail_looks_back_so_far_only(shell, monkeypatch):
    shell.text("role", "add", "team")
    in_eight_days = time.time() + 8 * DAY
    monkeypatch.setattr(time, "time", lambda: in_eight_days)
    assert shell.text("audit", "--since", "7d") == ["no entries"]
    assert len(shell.text("audit", "--since", "2w")) == 2


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ({}, {}, ""),
        ({}, {"enabled": True, "comment": ""}, "enabled true"),
        ({"level": "pull", "address": "*"}, {"level": "push", "address": "*"}, "level pull → push; address *"),
        ({"comment": ""}, {"comment": "x"}, "comment - → x"),
        ({"roles": ["a", "b"]}, {}, "roles a, b → -"),
        ({}, {"expires": 0}, "expires never"),
    ],
)
def test_a_change_is_told_in_words(old, new, text):
    assert _change(Entry(1, 0, "a", "shell", "", "x", "y", old, new)) == text


@pytest.mark.parametrize(
    ("text", "seconds"), [("7d", 7 * DAY), ("2w", 14 * DAY), ("12h", DAY // 2), ("1h30m", 90 * MINUTE), ("0", 0)]
)
def test_a_span_of_time_is_read(text, seconds):
    assert span(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "7", "-7d", "7x", "1.5d", "soon"])
def test_what_is_no_span_of_time_is_told(shell, capsys, text):
    with pytest.raises(SystemExit) as caught:
        shell.run("audit", f"--since={text}")
    assert caught.value.code == 2
    assert "is not a span of time; write it as in 7d, 2w, 12h or 30m" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["0", "-1", "x", "100001"])
def test_a_limit_has_bounds(shell, capsys, limit):
    with pytest.raises(SystemExit):
        shell.run("events", f"--limit={limit}")
    assert "must be between 1 and 100000" in capsys.readouterr().err


def test_columns_are_aligned_by_what_a_terminal_shows():
    assert table(("A", "B", "C"), [("中文", "x", "1"), ("e\u0301", "", "2"), ("plain", "y", "")], "none") == (
        "A      B  C\n中文   x  1\ne\u0301      -  2\nplain  y  -"
    )
    assert table(("A",), [], "none") == "none"
    assert facts([("name", "x"), ("comment", ""), ("b", "y")]) == "name  x\nb     y"


def test_the_width_of_a_text():
    assert [width(text) for text in ("abc", "中文", "e\u0301", "\uff21", "…")] == [3, 4, 1, 2, 1]


def test_nothing_that_strangers_wrote_moves_the_cursor():
    assert printable("a\nb\t中\u3000\x1b[2J\u202e\x9b") == "a b 中 �[2J��"


def test_json_escapes_what_does_not_print_and_stays_the_same(shell):
    strange = "docker\x9b\u202e\u3000中"
    shell.fill(lambda database: Events(database).record([Event("1", 1, strange, "pull", "a")]))
    _, out, _ = shell.run("events", "--json")
    assert out.replace("\n", "").isprintable()
    assert shell.json("events")["items"][0]["user"] == strange


@pytest.mark.parametrize("noun", ["user", "role", "rule", "group", "robot", "token"])
def test_help_names_every_command_of_a_noun(shell, noun, capsys):
    with pytest.raises(SystemExit) as caught:
        shell.run(noun, "--help")
    assert caught.value.code == 0
    assert "    list " in capsys.readouterr().out


def test_a_database_that_no_service_has_seeded_is_left_alone(environ, capsys, monkeypatch):
    terminal = Terminal(environ, capsys, monkeypatch)
    assert "has the service ever run?" in terminal.refusal("user", "list")

    async def nothing(_database):
        pass

    terminal.fill(nothing)
    assert "the database is empty; start the service once" in terminal.refusal("user", "add", "x", stdin="long enough")


def test_a_database_that_cannot_be_used_is_one_line(shell, environ, tmp_path):
    environ["WEB_DATABASE_URL"] = f"sqlite:///{tmp_path}/config.yml/web.db"
    assert "Not a directory" in shell.refusal("user", "list")
    (tmp_path / "odd.db").write_text("no database " * 100)
    environ["WEB_DATABASE_URL"] = f"sqlite:///{tmp_path}/odd.db"
    assert "cannot be opened" in shell.refusal("user", "list")


def test_who_reads_no_further_is_no_problem(shell, environ):
    command = f"{sys.executable} -m web_service role list | true; exit ${{PIPESTATUS[0]}}"
    ran = subprocess.run(
        ["bash", "-c", command], env=os.environ | environ, capture_output=True, text=True, timeout=30, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
