"""The command line: serve, check-config, generate-keys, explain. Problems at the start: one line, exit code 2."""

import argparse
import asyncio
import dataclasses
import ipaddress
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from shared import logs
from shared.config import ConfigError
from shared.names import InvalidName, check_repository
from web_service.access import ACTIONS, EFFECTS, UI_DELETE, Explanation, Level, Subject, explain
from web_service.app import create_app, load_settings, serve
from web_service.config import Config, database_place, load_config
from web_service.db import Database
from web_service.errors import Problem
from web_service.keygen import Existing, Owner, Places, Wanted, generate
from web_service.users import Users

_log = logging.getLogger("web")

UNUSABLE: Final = 2
"""Exit code for wrong use, wrong configuration, or anything else that keeps the service from starting."""


CONFIG_VARIABLE: Final = "CANGKU_WEB_CONFIG"
DEFAULT_CONFIG: Final = "/conf/config.yml"
"""Where the container image has it, and the program that we replace had it."""

_ACTIONS: Final = (*ACTIONS[Level.ADMIN], UI_DELETE)


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Do what the command line says and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options, environ))
    except ConfigError as error:
        sys.stderr.write(f"registry-web: {error}\n")
        return UNUSABLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("registry-web", description="Token server and console of a container registry.")
    parser.add_argument("--version", action="version", version=f"cangku {version('cangku')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, function, text in (
        ("serve", _serve, "run the service"),
        ("check-config", _check_config, "read the configuration and the key files, and say what is wrong"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("config", type=Path, metavar="CONFIG", help="the configuration file")
        command.set_defaults(run=function)
    _add_generate_keys(commands.add_parser("generate-keys", help="make the key files of both services"))
    _add_explain(commands.add_parser("explain", help="say who may do what, and which rule decides it"))
    return parser


def _add_explain(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Say whether a user may do something, and what each rule says to it. Exit code: 0 allowed, 1 refused, 2 not "
        "answered."
    )
    add = command.add_argument
    add("user", metavar="USER", help="name of the user; - for somebody who has not signed in")
    add("repository", metavar="REPOSITORY", help="as in team/app")
    add("action", metavar="ACTION", help="pull, push, delete, ui-delete (in the console), or * for all in the registry")
    add("--from", dest="address", default="127.0.0.1", metavar="ADDRESS", help="where the user is (127.0.0.1)")
    add("--json", action="store_true", help="answer in JSON")
    add(
        "--config",
        type=Path,
        metavar="CONFIG",
        help=f"the configuration file (the one that {CONFIG_VARIABLE} names, or {DEFAULT_CONFIG})",
    )
    command.set_defaults(run=_explain)


def _add_generate_keys(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--web-conf", type=Path, required=True, metavar="DIR", help="configuration folder of the web service")
    add("--registry-conf", type=Path, required=True, metavar="DIR", help="configuration folder of the registry")
    add("--cn", default="localhost", metavar="NAME", help="common name of the certificate (localhost)")
    add("--type", choices=("rsa", "ec"), default="rsa", help="RSA-4096 or EC P-256 (rsa)")
    add("--days", type=_days, default=3650, metavar="N", help="validity of the certificate (3650)")
    add("--owner", type=_owner, metavar="UID:GID", help="who shall own the files")
    how = command.add_mutually_exclusive_group()
    how.add_argument("--force", dest="existing", action="store_const", const="replace", help="replace all key files")
    how.add_argument(
        "--if-missing", dest="existing", action="store_const", const="complete", help="make only what is absent"
    )
    command.set_defaults(run=_generate_keys, existing="refuse")


def _generate_keys(options: argparse.Namespace, _environ: Mapping[str, str]) -> int:
    existing: Existing = options.existing
    wanted = Wanted(options.cn, options.type, options.days, options.owner)
    written = generate(Places(options.web_conf, options.registry_conf), wanted, existing)
    for path in written:
        sys.stdout.write(f"written {path}\n")
    if not written:
        sys.stdout.write("all key files are there; nothing was changed\n")
    return 0


def _check_config(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    loaded = load_config(options.config, environ)
    load_settings(loaded.config)
    for warning in loaded.warnings:
        sys.stdout.write(f"warning: {warning}\n")
    sys.stdout.write(f"{options.config}: ok\n")
    return 0


def _explain(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Answer from the database, whether the service runs or not."""
    try:
        check_repository(options.repository)
        ipaddress.ip_address(options.address)
    except (InvalidName, ValueError) as error:
        raise ConfigError(str(error)) from None
    if options.action not in _ACTIONS:
        raise ConfigError(f"the action {options.action!r} is none of {', '.join(_ACTIONS)}")
    config = load_config(options.config or Path(environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG)), environ).config
    try:
        subject = asyncio.run(_subject(config, "" if options.user == "-" else options.user))
    except Problem as problem:
        raise ConfigError(str(problem)) from None
    found = explain(subject, options.repository, options.address, options.action)
    sys.stdout.write(_as_json(options, found) if options.json else _as_text(options, found))
    return 0 if found.allowed else 1


async def _subject(config: Config, name: str) -> Subject:
    place = database_place(config.database.url)
    if isinstance(place, Path) and not await asyncio.to_thread(place.exists):
        raise ConfigError(f"{place}: database.url: there is no such file; has the service ever run?")
    database = Database(config.database.url)
    await database.open()
    try:
        subject = await Users(database).subject(name)
    finally:
        await database.close()
    if config.registry.readonly:
        return dataclasses.replace(subject, console_shut="The console is read-only: registry.readonly is true.")
    return subject


def _as_text(options: argparse.Namespace, found: Explanation) -> str:
    who = "somebody who has not signed in" if options.user == "-" else options.user
    verdict = "allowed" if found.allowed else "refused"
    lines = [f"{verdict}: {options.action} on {options.repository} for {who} from {options.address}", found.text()]
    for one in found.findings:
        rule = one.rule
        lines.append(
            f"  role {rule.role}: {rule.level} on {rule.repository} from {rule.address}: {EFFECTS[one.effect]}"
        )
    return "\n".join(lines) + "\n"


def _as_json(options: argparse.Namespace, found: Explanation) -> str:
    keys = ("role", "repository", "address", "level")
    rules = [{key: getattr(one.rule, key) for key in keys} | {"effect": one.effect} for one in found.findings]
    asked = {key: getattr(options, key) for key in ("user", "repository", "action", "address")}
    document = asked | {"allowed": found.allowed, "reason": found.text(), "rules": rules}
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _serve(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    loaded = load_config(options.config, environ)
    logs.configure(loaded.config.log.level, loaded.config.log.format)
    for warning in loaded.warnings:
        _log.warning(warning)
    settings = load_settings(loaded.config)
    if not settings.notification_secret:
        _log.warning(
            "events are accepted from anyone: set notifications.token or notifications.tokenfile, and the same secret "
            "as a header of the registry's notification endpoint (Authorization: Bearer ...)"
        )
    asyncio.run(serve(create_app(settings), loaded.config.http.addr, f"{options.config}: http.addr"))
    return 0


def _days(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text[:9]) <= 36500:  # noqa: PLR2004 - a century
        raise argparse.ArgumentTypeError("must be between 1 and 36500")
    return int(text)


def _owner(text: str) -> Owner:
    user, colon, group = text.partition(":")
    if not colon or not user.isdecimal() or not group.isdecimal():
        raise argparse.ArgumentTypeError("must be two numbers, as in 1000:1000")
    return int(user), int(group)
