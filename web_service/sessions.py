"""Sessions: a browser that is signed in. The browser holds a random token; the database only its hash."""

import hashlib
import secrets
import time
from collections.abc import Callable

from web_service.accounts import User, load_users
from web_service.db import Database
from web_service.models import SessionRow, UserRow
from web_service.users import check_let_in


class Sessions:
    """Starts, finds and ends sessions; `lifetime` is seconds from sign-in."""

    def __init__(self, database: Database, lifetime: float, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self.lifetime = int(lifetime)
        self._clock = clock

    async def start(self, user_id: int, password_hash: str | None = None) -> str:
        """Begin a session and return its token, which is told to nobody but the browser.

        `password_hash` is by which the user was let in: raises Outdated when it is no longer the one.
        """
        token = secrets.token_urlsafe(32)
        await self._database.write(_start, _hash(token), user_id, password_hash, int(self._clock()), self.lifetime)
        return token

    async def user(self, token: str) -> User | None:
        """Return who is signed in with the token: nobody once the session has ended or the account is closed."""
        return await self._database.read(_find, _hash(token), int(self._clock()))

    async def end(self, token: str) -> None:
        """End one session."""
        await self._database.write(_end, _hash(token))

    async def purge(self) -> int:
        """Forget the sessions that have expired and return how many they were."""
        return await self._database.write(_purge, int(self._clock()))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _start(token_hash: str, user_id: int, password_hash: str | None, now: int, lifetime: int) -> None:
    if password_hash is not None:
        check_let_in(user_id, password_hash)
    SessionRow.create(token_hash=token_hash, user=user_id, created=now, expires=now + lifetime)


def _find(token_hash: str, now: int) -> User | None:
    rows = (
        UserRow.select()
        .join(SessionRow)
        .where((SessionRow.token_hash == token_hash) & (SessionRow.expires > now) & UserRow.enabled)
    )
    found = load_users(rows)
    return found[0] if found else None


def _end(token_hash: str) -> None:
    SessionRow.delete().where(SessionRow.token_hash == token_hash).execute()


def _purge(now: int) -> int:
    return int(SessionRow.delete().where(SessionRow.expires <= now).execute())
