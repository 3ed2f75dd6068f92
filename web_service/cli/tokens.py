"""`registry-web token`: access tokens, and the clients that stay signed in."""

import time
from argparse import ArgumentParser, Namespace
from typing import Final

from web_service import accounts, documents, refresh_tokens
from web_service.access_tokens import LONGEST_DAYS, AccessToken, Api, Draft
from web_service.cli.finding import token_named, user_named
from web_service.cli.numbers import between
from web_service.cli.output import moment, moment_or_never, table
from web_service.cli.shell import Commands, Shell
from web_service.errors import NotFound
from web_service.limits import Limit

DEFAULT_DAYS: Final = 90


class Client(documents.RefreshToken):
    """A refresh token with whose it is."""

    owner: str


class Credentials(documents.Document):
    """All that programs sign in with."""

    access_tokens: list[documents.AccessToken]
    refresh_tokens: list[Client]


def add_to(commands: Commands) -> None:
    """Add the commands."""
    noun = commands.noun("token", "list, make and revoke access tokens, and clients that stay signed in")
    noun.add("list", _list, "list access tokens, and clients that stay signed in").add_argument(
        "user", nargs="?", metavar="USER", help="whose (everybody's)"
    )
    add = noun.add("add", _add, "make an access token; its secret is printed once", "USER", "NAME")
    add.add_argument(
        "--limit",
        dest="limits",
        action="append",
        default=[],
        metavar="GLOB:LEVEL",
        help="allow at most this, as in team/**:push; may be given several times (all that its owner may)",
    )
    add_days(add)
    add.add_argument(
        "--api",
        choices=[one.value for one in Api],
        default=Api.NONE.value,
        metavar="USE",
        help="what it may do with the REST API: none, read or write (none)",
    )
    noun.add("revoke", _revoke, "end an access token at once", "USER", "NAME")
    noun.add("revoke-client", _revoke_client, "end what a client stays signed in with", "USER").add_argument(
        "id", type=between(1, 2**31), metavar="ID", help="its number, as `token list` shows it"
    )


def add_days(command: ArgumentParser) -> None:
    """Add the option for how long a token lives."""
    command.add_argument(
        "--days",
        type=between(0, LONGEST_DAYS),
        default=DEFAULT_DAYS,
        metavar="N",
        help=f"how long the token lives; 0 for ever ({DEFAULT_DAYS})",
    )


def tokens_table(tokens: list[AccessToken]) -> str:
    """Return access tokens, as text."""
    rows = [
        (
            one.owner,
            one.name,
            f"{one.hint}…",
            ", ".join(map(str, one.limits)),
            one.api.value,
            _end(one.expires),
            _use(one.last_used, one.last_address),
        )
        for one in tokens
    ]
    return table(("USER", "TOKEN", "SECRET", "LIMITS", "API", "EXPIRES", "LAST USED"), rows, "no access tokens")


def secret_text(token: AccessToken, secret: str) -> str:
    """Return how a secret is told, this once."""
    until = f"it expires {moment(token.expires)}" if token.expires else "it never expires"
    return f"secret  {secret}\n        shown this once; {until}"


def _list(shell: Shell, options: Namespace) -> None:
    owner = user_named(shell, options.user) if options.user else None
    found = shell.do(shell.access_tokens.of_user(owner.id) if owner else shell.access_tokens.all())
    clients = [
        (user, client)
        for user in ([owner] if owner else shell.do(shell.users.all()))
        for client in shell.do(shell.refresh_tokens.of_user(user.id))
    ]
    document = Credentials(
        access_tokens=[documents.access_token(one) for one in found],
        refresh_tokens=[_client(user, client) for user, client in clients],
    )
    shell.show(document, f"{tokens_table(found)}\n\n{_clients_table(clients)}")


def _add(shell: Shell, options: Namespace) -> None:
    owner = user_named(shell, options.user)
    draft = Draft(options.name, options.days, tuple(map(Limit.parse, options.limits)), Api(options.api))
    token, secret = shell.do(shell.access_tokens.create(owner.id, draft, by=shell.by))
    text = f"{owner.name} has the token {token.name}\n{secret_text(token, secret)}"
    shell.show(documents.new_token(token, secret), text)


def _revoke(shell: Shell, options: Namespace) -> None:
    owner = user_named(shell, options.user)
    token = token_named(shell, owner, options.name)
    gone = shell.do(shell.access_tokens.revoke(owner.id, token.id, by=shell.by))
    shell.show(documents.access_token(gone), f"the token {gone.name} of {owner.name} was revoked")


def _revoke_client(shell: Shell, options: Namespace) -> None:
    owner = user_named(shell, options.user)
    held = {one.id: one for one in shell.do(shell.refresh_tokens.of_user(owner.id))}
    if options.id not in held:
        raise NotFound(f"{owner.name} has no client {options.id}; see `registry-web token list`.")
    client = held[options.id]
    shell.do(shell.refresh_tokens.revoke(owner.id, client.id, by=shell.by))
    shell.show(_client(owner, client), f"the client {client.client} of {owner.name} has to sign in again")


def _clients_table(clients: list[tuple[accounts.User, refresh_tokens.RefreshToken]]) -> str:
    rows = [
        (user.name, str(one.id), one.client, _end(one.expires), _use(one.last_used, one.last_address))
        for user, one in clients
    ]
    return table(("USER", "ID", "CLIENT", "EXPIRES", "LAST USED"), rows, "no clients that stay signed in")


def _client(user: accounts.User, found: refresh_tokens.RefreshToken) -> Client:
    return Client(owner=user.name, **dict(documents.refresh_token(found)))


def _end(expires: int) -> str:
    return f"expired {moment(expires)}" if 0 < expires <= time.time() else moment_or_never(expires)


def _use(last: int, address: str) -> str:
    return f"{moment_or_never(last)} {address}".rstrip()
