"""What commands ask the person in front of the terminal: a password, and whether something shall really go."""

import sys
from getpass import getpass

from web_service.errors import Invalid, Refused
from web_service.passwords import check_new_password


def new_password(user: str, *, from_stdin: bool) -> str:
    """Return a password for a user: typed twice without echo, or the first line of stdin. Raises Invalid."""
    password = _typed(user) if sys.stdin.isatty() and not from_stdin else _first_line()
    check_new_password(user, password)
    return password


def confirm(question: str, *, yes: bool) -> None:
    """Ask whether something shall be done that cannot be undone, unless `yes`; raises Refused when it shall not."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused("Nothing was deleted: there is no terminal to ask at; say --yes.")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused("Nothing was deleted.")


def _typed(user: str) -> str:
    try:
        password = getpass(f"New password of {user}: ")
        again = getpass("Once more: ")
    except EOFError:
        raise Invalid("No password was entered.") from None
    if password != again:
        raise Invalid("The two passwords differ; nothing was changed.")
    return password


def _first_line() -> str:
    try:
        line = sys.stdin.readline()
        line.encode()
    except UnicodeError:
        raise Invalid("The password on stdin is not UTF-8 text.") from None
    if not line:
        raise Invalid("There is no password on stdin; in a container, `docker exec -it` lets you type it.")
    return line.rstrip("\r\n")
