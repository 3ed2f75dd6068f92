"""`registry-web serve` and `registry-web check-config`."""

import asyncio
import logging
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from shared import logs
from web_service.app import create_app, load_settings, serve
from web_service.cli.output import say
from web_service.cli.shell import Commands
from web_service.config import load_config

_log = logging.getLogger("web")


def add_to(commands: Commands) -> None:
    """Add the commands."""
    for name, function, text in (
        ("serve", _serve, "run the service"),
        ("check-config", _check_config, "read the configuration and the key files, and say what is wrong"),
    ):
        command = commands.plain(name, text)
        command.add_argument("config", type=Path, metavar="CONFIG", help="the configuration file")
        command.set_defaults(run=function)


def _check_config(options: Namespace, environ: Mapping[str, str]) -> int:
    loaded = load_config(options.config, environ)
    load_settings(loaded.config)
    say("\n".join([*(f"warning: {warning}" for warning in loaded.warnings), f"{options.config}: ok"]))
    return 0


def _serve(options: Namespace, environ: Mapping[str, str]) -> int:
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
