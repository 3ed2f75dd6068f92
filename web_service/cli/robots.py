"""`registry-web robot`: accounts of programs, which sign in with access tokens."""

import shlex
from argparse import ArgumentTypeError, Namespace
from functools import partial
from typing import Final

from web_service import documents
from web_service.access import Level
from web_service.access_tokens import Draft
from web_service.cli.finding import robot_named
from web_service.cli.output import moment, moment_or_never, state, table
from web_service.cli.shell import Commands, Shell
from web_service.cli.tokens import add_days, secret_text, tokens_table
from web_service.cli.users import delete_account, describe, switch_account
from web_service.errors import Invalid
from web_service.roles import RuleDraft

_FIRST_TOKEN: Final = "default"  # noqa: S105 - the name of a token, the same as in the console


def add_to(commands: Commands) -> None:
    """Add the commands."""
    noun = commands.noun("robot", "list and change robots, the accounts of programs")
    noun.add("list", _list, "list all robots")
    noun.add("show", _show, "show a robot with roles, rules and tokens", "NAME")
    add = noun.add("add", _add, "add a robot with a role of its own and a token; the secret is printed once", "NAME")
    add.add_argument(
        "--allow",
        dest="rules",
        type=_rule,
        action="append",
        default=[],
        metavar="GLOB:LEVEL",
        help="what it may do, as in team/**:push; may be given several times (nothing)",
    )
    add.add_argument("--from", dest="address", metavar="ADDRESS", help="from where: 10.0.0.0/8, 10.1.* (anywhere)")
    add_days(add)
    add.add_argument("--no-token", dest="token", action="store_false", help="make no token yet")
    noun.add("enable", partial(_switch, enabled=True), "let a robot sign in", "NAME")
    noun.add("disable", partial(_switch, enabled=False), "close the account of a robot", "NAME")
    delete = noun.add("delete", _delete, "remove a robot, its tokens, and its role if nobody else has it", "NAME")
    delete.add_argument("--yes", action="store_true", help="do not ask")


def _list(shell: Shell, _options: Namespace) -> None:
    robots = [user for user in shell.do(shell.users.all()) if user.robot]
    tokens = shell.do(shell.access_tokens.all())
    rows = []
    for robot in robots:
        own = [token for token in tokens if token.owner_id == robot.id]
        last = max((token.last_used for token in own), default=0)
        held = ", ".join(role.name for role in robot.roles)
        rows.append(
            (
                robot.name,
                state(enabled=robot.enabled),
                moment(robot.created),
                str(len(own)),
                moment_or_never(last),
                held,
            )
        )
    document = documents.Users(items=[documents.user(one) for one in robots], page=1, size=len(robots), more=False)
    headings = ("NAME", "STATE", "CREATED", "TOKENS", "LAST USED", "ROLES")
    shell.show(document, table(headings, rows, "no robots"))


def _show(shell: Shell, options: Namespace) -> None:
    robot = robot_named(shell, options.name)
    tokens = shell.do(shell.access_tokens.of_user(robot.id))
    shell.show(documents.user(robot), f"{describe(robot)}\n\n{tokens_table(tokens)}")


def _add(shell: Shell, options: Namespace) -> None:
    if options.address is not None and not options.rules:
        raise Invalid("--from says from where --allow counts; give --allow as well.")
    address = "*" if options.address is None else options.address
    rules = [RuleDraft(address, repository, level) for repository, level in options.rules]
    if not options.token:
        robot = shell.do(shell.users.create_robot(options.name, rules, by=shell.by))
        shell.show(documents.NewRobot(robot=documents.user(robot), token=None), f"the robot {robot.name} was added")
        return
    draft = Draft(_FIRST_TOKEN, options.days)
    robot, token, secret = shell.do(shell.access_tokens.create_robot(options.name, rules, draft, by=shell.by))
    login = f"login   docker login {shlex.quote(shell.config.registry.name)} --username {shlex.quote(robot.name)}"
    document = documents.NewRobot(robot=documents.user(robot), token=documents.new_token(token, secret))
    shell.show(document, f"the robot {robot.name} was added\n{secret_text(token, secret)}\n{login}")


def _switch(shell: Shell, options: Namespace, *, enabled: bool) -> None:
    switch_account(shell, robot_named(shell, options.name), enabled=enabled)


def _delete(shell: Shell, options: Namespace) -> None:
    delete_account(shell, robot_named(shell, options.name), yes=options.yes)


def _rule(text: str) -> tuple[str, str]:
    repository, _, level = text.rpartition(":")
    if not repository or level not in set(Level):
        raise ArgumentTypeError(f"{text!r} has not the form repository:level, as in team/**:push")
    return repository, level
