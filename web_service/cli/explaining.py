"""`registry-web explain`: who may do what, and which rule decides it."""

import dataclasses
import ipaddress
from argparse import Namespace
from collections.abc import Mapping
from typing import Final

from shared.config import ConfigError
from shared.names import InvalidName, check_repository
from web_service import documents
from web_service.access import ACTIONS, EFFECTS, UI_DELETE, Explanation, Level, Subject, explain
from web_service.cli.finding import user_named
from web_service.cli.shell import Commands, Shell, add_common, opened

_ACTIONS: Final = (*ACTIONS[Level.ADMIN], UI_DELETE)
_NOBODY: Final = "-"


def add_to(commands: Commands) -> None:
    """Add the command."""
    command = commands.plain("explain", "say who may do what, and which rule decides it")
    command.description = (
        "Say whether a user may do something, and what each rule says to it. Exit code: 0 allowed, 1 refused, 2 not "
        "answered."
    )
    add = command.add_argument
    add("user", metavar="USER", help="name of the user; - for somebody who has not signed in")
    add("repository", metavar="REPOSITORY", help="as in team/app")
    add("action", metavar="ACTION", help="pull, push, delete, ui-delete (in the console), or * for all in the registry")
    add("--from", dest="address", default="127.0.0.1", metavar="ADDRESS", help="where the user is (127.0.0.1)")
    add_common(command)
    command.set_defaults(run=_explain)


def _explain(options: Namespace, environ: Mapping[str, str]) -> int:
    try:
        check_repository(options.repository)
        ipaddress.ip_address(options.address)
    except (InvalidName, ValueError) as error:
        raise ConfigError(str(error)) from None
    if options.action not in _ACTIONS:
        raise ConfigError(f"the action {options.action!r} is none of {', '.join(_ACTIONS)}")
    with opened(options, environ) as shell:
        subject = _subject(shell, options.user)
        found = explain(subject, options.repository, options.address, options.action)
        document = documents.explanation(subject.name, options.repository, options.action, options.address, found)
        shell.show(document, _as_text(options, found))
    return 0 if found.allowed else 1


def _subject(shell: Shell, name: str) -> Subject:
    subject = shell.do(shell.users.subject("" if name == _NOBODY else user_named(shell, name).name))
    if shell.config.registry.readonly:
        return dataclasses.replace(subject, console_shut="The console is read-only: registry.readonly is true.")
    return subject


def _as_text(options: Namespace, found: Explanation) -> str:
    who = "somebody who has not signed in" if options.user == _NOBODY else options.user
    verdict = "allowed" if found.allowed else "refused"
    lines = [f"{verdict}: {options.action} on {options.repository} for {who} from {options.address}", found.text()]
    for one in found.findings:
        rule = one.rule
        lines.append(
            f"  role {rule.role}: {rule.level} on {rule.repository} from {rule.address}: {EFFECTS[one.effect]}"
        )
    return "\n".join(lines)
