"""The command line: serve, check-config, generate-keys. Every problem at the start is one line and exit code 2."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from shared import logs
from shared.config import ConfigError
from web_service.app import create_app, load_settings, serve
from web_service.config import load_config
from web_service.keygen import Existing, Owner, Places, Wanted, generate

_log = logging.getLogger("web")

UNUSABLE: Final = 2
"""Exit code for wrong use, wrong configuration, or anything else that keeps the service from starting."""


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
    return parser


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
    days = int(text)
    if not 0 < days <= 36500:  # noqa: PLR2004 - a century
        raise argparse.ArgumentTypeError("must be between 1 and 36500")
    return days


def _owner(text: str) -> Owner:
    user, colon, group = text.partition(":")
    if not colon or not user.isdecimal() or not group.isdecimal():
        raise argparse.ArgumentTypeError("must be two numbers, as in 1000:1000")
    return int(user), int(group)
