"""What the commands on the database have in common: they work whether the service runs or not, and are recorded."""

import asyncio
import logging
import os
import pwd
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from shared.config import ConfigError
from web_service.access_tokens import AccessTokens
from web_service.actors import Actor, Via
from web_service.administrators import UI_ADMIN
from web_service.asked import AskedFor
from web_service.audit import Audit
from web_service.cli.output import as_json, say
from web_service.config import Config, database_place, load_config
from web_service.db import Database
from web_service.events import Events
from web_service.groups import Groups
from web_service.refresh_tokens import RefreshTokens
from web_service.roles import Roles
from web_service.simulation import Simulation
from web_service.users import Users

CONFIG_VARIABLE: Final = "CANGKU_WEB_CONFIG"
DEFAULT_CONFIG: Final = "/conf/config.yml"
"""Where the container image has it, and the program that we replace had it."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shell:
    """An open database, all that can be done to it, and who does it.

    Commands are ordinary functions, which wait for the database by `do`: between two such calls they may ask a person.
    """

    runner: asyncio.Runner
    config: Config
    by: Actor
    json: bool
    users: Users
    roles: Roles
    groups: Groups
    access_tokens: AccessTokens
    refresh_tokens: RefreshTokens
    events: Events
    audit: Audit
    simulation: Simulation

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for something that the domain does and return what it returns; raises Problem."""
        return self.runner.run(work)

    def show(self, document: BaseModel, text: str) -> None:
        """Print the document if JSON is wanted, else the text."""
        say(as_json(document) if self.json else text)


Work = Callable[[Shell, Namespace], None]
"""What a command does; raises Problem."""


class Commands:
    """A place in the command line where commands are added: at its top, or below a noun."""

    def __init__(self, parser: ArgumentParser) -> None:
        self._commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def plain(self, name: str, text: str) -> ArgumentParser:
        """Add a command that sees to itself and return its parser."""
        return self._commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")

    def noun(self, name: str, text: str) -> "Commands":
        """Add a noun and return the place for what can be done with it."""
        return Commands(self.plain(name, text))

    def add(self, name: str, work: Work, text: str, *arguments: str) -> ArgumentParser:
        """Add a command on the database with its positional arguments and return its parser."""
        command = self.plain(name, text)
        for argument in arguments:
            command.add_argument(argument.lower(), metavar=argument)
        add_common(command)
        command.set_defaults(run=partial(_on_database, work))
        return command


def add_common(command: ArgumentParser) -> None:
    """Add the options that all commands on the database have."""
    command.add_argument("--json", action="store_true", help="answer in JSON")
    command.add_argument(
        "--config",
        type=Path,
        metavar="CONFIG",
        help=f"the configuration file (the one that {CONFIG_VARIABLE} names, or {DEFAULT_CONFIG})",
    )


@contextmanager
def opened(options: Namespace, environ: Mapping[str, str]) -> Iterator[Shell]:
    """Open the database of the configuration; raises ConfigError also where no service has run yet."""
    config = load_config(options.config or Path(environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG)), environ).config
    place = database_place(config.database.url)
    if isinstance(place, Path):
        _check_file(place)
    logging.getLogger("web").addHandler(logging.NullHandler())  # what is wrong is one line, and ours
    with asyncio.Runner() as runner:
        database = Database(config.database.url)
        runner.run(database.open())
        try:
            yield _shell(runner, config, database, json=options.json)
        finally:
            runner.run(database.close())


def _check_file(path: Path) -> None:
    try:
        path.stat()
    except FileNotFoundError:
        raise ConfigError(f"{path}: database.url: there is no such file; has the service ever run?") from None
    except OSError as error:
        raise ConfigError(f"{path}: database.url: {error.strerror}") from None


def _shell(runner: asyncio.Runner, config: Config, database: Database, *, json: bool) -> Shell:
    roles = Roles(database)
    if runner.run(roles.named(UI_ADMIN)) is None:  # the service seeds only what is empty
        raise ConfigError(f"{database.place}: database.url: the database is empty; start the service once")
    return Shell(
        runner,
        config,
        Actor(_account(), Via.SHELL),
        json,
        Users(database),
        roles,
        Groups(database),
        AccessTokens(database),
        RefreshTokens(database, config.tokens.refreshidle),
        Events(database),
        Audit(database),
        Simulation(database, AskedFor(database)),
    )


def _on_database(work: Work, options: Namespace, environ: Mapping[str, str]) -> int:
    with opened(options, environ) as shell:
        work(shell, options)
    return 0


def _account() -> str:
    """Return the name of the account on this machine, its number where it has none, as in many containers."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
