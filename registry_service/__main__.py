"""The command `registry`."""

import argparse
import asyncio
import os
import socket
import sys
from collections.abc import Sequence
from importlib.metadata import version
from logging import getLogger
from pathlib import Path

from registry_service.app import create_parts, keep, serve, warn_of_open_doors, work
from registry_service.children import Link
from registry_service.config import CONFIGURATION_PATH, Config, worker_count
from registry_service.listening import listen_apart, tls_context, url_of
from registry_service.loading import load_config
from registry_service.workers import Plan, Supervisor
from shared.config import ConfigError
from shared.logs import configure, fields


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0 done, 2 the command or configuration cannot be used."""
    parsed = _parser().parse_args(arguments)
    try:
        path = parsed.config or os.environ.get(CONFIGURATION_PATH, "")
        _run(parsed.command, _load(path), path)
    except ConfigError as error:
        print(f"registry: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def _run(command: str, config: Config, path: str) -> None:
    try:
        parts = create_parts(config)
        if command == "check-config":
            print("the configuration can be used")  # noqa: T201
        elif worker_count(config) == 1:
            asyncio.run(serve(parts))
        else:
            _supervise(config, path)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _supervise(config: Config, path: str) -> None:
    """Serve in several processes."""

    def renew(before: Plan[Config]) -> Plan[Config]:
        after = _load(path)
        create_parts(after)  # likewise
        return _plan(after, before.doors if after.http.addr == before.config.http.addr else ())

    supervisor = Supervisor(_work, _keep, renew=renew, announce=_announce)
    warn_of_open_doors(config)
    supervisor.run(_plan(config, ()))
    getLogger("registry").info("registry stopped")


def _plan(config: Config, doors: Sequence[Sequence[socket.socket]]) -> Plan[Config]:
    tls_context(config.http)  # to be told of a certificate that cannot be used before anything is started
    workers = worker_count(config)
    return Plan(config, listen_apart(config.http, workers, doors), workers, config.http.draintimeout)


def _work(plan: Plan[Config], link: Link) -> None:
    asyncio.run(work(create_parts(plan.config), plan.sockets_of(link.number), link))


def _keep(plan: Plan[Config], link: Link) -> None:
    asyncio.run(keep(create_parts(plan.config), link))


def _announce(plan: Plan[Config], first: bool) -> None:
    text = "registry ready" if first else "registry reloaded"
    address = url_of(plan.config.http, plan.sockets)
    getLogger("registry").info(text, extra=fields(address=address, workers=plan.workers))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("registry", description="A container registry: OCI distribution and Docker API.")
    parser.add_argument("--version", action="version", version=version("cangku"))
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("serve", "serve the registry until SIGTERM"),
        ("check-config", "say whether the registry could start with a configuration"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("config", nargs="?", metavar="CONFIG", help=f"YAML file (or {CONFIGURATION_PATH})")
    return parser


def _load(path: str) -> Config:
    if not path:
        raise ConfigError(f"give the path of a configuration file, as argument or in {CONFIGURATION_PATH}")
    loaded = load_config(Path(path), os.environ)
    configure(loaded.config.log.level, "text" if loaded.config.log.formatter == "text" else "json")
    for warning in loaded.warnings:
        getLogger("registry.config").warning(warning)
    return loaded.config


if __name__ == "__main__":
    sys.exit(main())
