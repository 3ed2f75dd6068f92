"""Refresh tokens: what a client keeps instead of the password, to get new registry tokens with (OAuth 2, RFC 6749).

Only who signs in with a password gets one: an access token can be kept as it is. It ends when it is not used for a
while, when its user changes the password, or when somebody revokes it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from web_service.accounts import User, load_user
from web_service.actors import Actor
from web_service.administrators import change
from web_service.audit import record
from web_service.db import Database
from web_service.errors import N_, NotFound
from web_service.models import RefreshTokenRow
from web_service.opaque import Kind, hash_secret, new_secret
from web_service.users import check_let_in, user_row

MOST: Final = 50
"""Of one user; the one that was not used for longest makes room."""
_USED_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A client that stays signed in; times are epoch seconds. `client` is what it calls itself."""

    id: int
    client: str
    created: int
    expires: int
    last_used: int
    last_address: str


@dataclass(frozen=True, slots=True)
class Found:
    """Whom a secret belongs to."""

    user: User
    token: RefreshToken


class RefreshTokens:
    """Makes, finds and revokes them; `idle` is after how many seconds without use one ends."""

    def __init__(self, database: Database, idle: float, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._idle = int(idle)
        self._clock = clock

    async def of_user(self, user_id: int) -> list[RefreshToken]:
        """Return those of a user that are valid, the last used first."""
        return await self._database.read(_of_user, user_id, int(self._clock()))

    async def create(self, user_id: int, client: str, password_hash: str | None = None, *, by: Actor) -> str:
        """Make one and return its secret.

        `password_hash` is by which the user was let in: raises Outdated when it is no longer the one.
        """
        now, idle = int(self._clock()), self._idle
        return await change(self._database, by, _create, user_id, client, password_hash, by=by, now=now, idle=idle)

    async def find(self, secret: str, address: str) -> Found | None:
        """Return whose it is, also when the account is closed, and note the use; None for no valid one."""
        now = int(self._clock())
        found = await self._database.read(_find, hash_secret(secret), now)
        if found and found.user.enabled and _is_news(found.token, now, address):
            await self._database.write(_note_use, found.token.id, now, self._idle, address)
        return found

    async def revoke(self, user_id: int, token_id: int, *, by: Actor) -> None:
        """End one of a user at once; raises NotFound."""
        await change(self._database, by, _revoke, user_id, token_id, by)

    async def purge(self) -> int:
        """Forget those that have expired and return how many they were."""
        expired = RefreshTokenRow.delete().where(RefreshTokenRow.expires <= int(self._clock()))
        return await self._database.write(lambda: int(expired.execute()))


def _is_news(token: RefreshToken, now: int, address: str) -> bool:
    return now - token.last_used >= _USED_SECONDS or token.last_address != address


def _token(row: RefreshTokenRow) -> RefreshToken:
    return RefreshToken(row.id, row.client, row.created, row.expires, row.last_used, row.last_address)


def _rows(user_id: int) -> list[RefreshTokenRow]:
    held = RefreshTokenRow.select().where(RefreshTokenRow.user == user_id)
    return list(held.order_by(RefreshTokenRow.last_used.desc(), RefreshTokenRow.id.desc()))


def _of_user(user_id: int, now: int) -> list[RefreshToken]:
    return [_token(row) for row in _rows(user_id) if row.expires > now]


def _create(user_id: int, client: str, password_hash: str | None, *, by: Actor, now: int, idle: int) -> str:
    if password_hash is not None:
        check_let_in(user_id, password_hash)
    user, secret = user_row(user_id), new_secret(Kind.REFRESH)
    for row in _rows(user_id)[MOST - 1 :]:
        row.delete_instance()
    RefreshTokenRow.create(
        user=user,
        secret_hash=hash_secret(secret),
        client=client[:255],
        created=now,
        expires=now + idle,
        last_used=now,
        last_address=by.address[:64],
    )
    record(by, "refresh-token.create", user.name, new={"client": client[:255]})
    return secret


def _find(secret_hash: str, now: int) -> Found | None:
    held = (RefreshTokenRow.secret_hash == secret_hash) & (RefreshTokenRow.expires > now)
    row: RefreshTokenRow | None = RefreshTokenRow.get_or_none(held)
    return None if row is None else Found(load_user(user_row(row.user_id)), _token(row))


def _note_use(token_id: int, now: int, idle: int, address: str) -> None:
    RefreshTokenRow.update(last_used=now, expires=now + idle, last_address=address[:64]).where(
        RefreshTokenRow.id == token_id
    ).execute()


def _revoke(user_id: int, token_id: int, by: Actor) -> None:
    held = (RefreshTokenRow.id == token_id) & (RefreshTokenRow.user == user_id)
    row: RefreshTokenRow | None = RefreshTokenRow.get_or_none(held)
    if row is None:
        raise NotFound(N_("There is no such token."))
    row.delete_instance()
    record(by, "refresh-token.revoke", user_row(user_id).name, old={"client": row.client})
