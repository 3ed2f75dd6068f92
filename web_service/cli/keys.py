"""`registry-web generate-keys`: the key files of both services."""

from argparse import ArgumentTypeError, Namespace
from collections.abc import Mapping
from pathlib import Path

from web_service.cli.numbers import between
from web_service.cli.output import say
from web_service.cli.shell import Commands
from web_service.keygen import Existing, Owner, Places, Wanted, generate


def add_to(commands: Commands) -> None:
    """Add the command."""
    command = commands.plain("generate-keys", "make the key files of both services")
    add = command.add_argument
    add("--web-conf", type=Path, required=True, metavar="DIR", help="configuration folder of the web service")
    add("--registry-conf", type=Path, required=True, metavar="DIR", help="configuration folder of the registry")
    add("--cn", default="localhost", metavar="NAME", help="common name of the certificate (localhost)")
    add("--type", choices=("rsa", "ec", "ed25519"), default="rsa", help="RSA-4096, EC P-256 or Ed25519 (rsa)")
    add("--days", type=between(1, 36500), default=3650, metavar="N", help="validity of the certificate (3650)")
    add("--owner", type=_owner, metavar="UID:GID", help="who shall own the files")
    how = command.add_mutually_exclusive_group()
    how.add_argument("--force", dest="existing", action="store_const", const="replace", help="replace all key files")
    how.add_argument(
        "--if-missing", dest="existing", action="store_const", const="complete", help="make only what is absent"
    )
    command.set_defaults(run=_generate_keys, existing="refuse")


def _generate_keys(options: Namespace, _environ: Mapping[str, str]) -> int:
    existing: Existing = options.existing
    wanted = Wanted(options.cn, options.type, options.days, options.owner)
    written = generate(Places(options.web_conf, options.registry_conf), wanted, existing)
    say("\n".join(f"written {path}" for path in written) or "all key files are there; nothing was changed")
    return 0


def _owner(text: str) -> Owner:
    user, colon, group = text.partition(":")
    if not colon or not user.isdecimal() or not group.isdecimal():
        raise ArgumentTypeError("must be two numbers, as in 1000:1000")
    return int(user), int(group)
