"""The command line: the service, its keys, and all that an administrator can do in the shell.

Whatever is wrong is one line, and exit code 2.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Final

from shared.config import ConfigError
from web_service.cli import explaining, groups, keys, robots, roles, rules, serving, tokens, trail, users
from web_service.cli.output import printable
from web_service.cli.shell import Commands
from web_service.errors import Problem

UNUSABLE: Final = 2
"""Exit code for wrong use, wrong configuration, or anything else that keeps a command from doing what it should."""

_INTERRUPTED: Final = 130


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Do what the command line says and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options, environ))
    except (ConfigError, Problem) as error:
        sys.stderr.write(f"registry-web: {printable(str(error))}\n")
        return UNUSABLE
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return _INTERRUPTED


def _parser() -> ArgumentParser:
    parser = ArgumentParser("registry-web", description="Token server and console of a container registry.")
    parser.add_argument("--version", action="version", version=f"cangku {version('cangku')}")
    commands = Commands(parser)
    for room in (serving, keys, users, roles, rules, groups, robots, tokens, trail, explaining):
        room.add_to(commands)
    return parser
