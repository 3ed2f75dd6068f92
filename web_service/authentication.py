"""Checking names and passwords: slowly for a guesser, quickly for a client that has just been let in.

Docker sends the password with every pull and push, often dozens at a time. A verdict is therefore remembered for a
minute, as a keyed hash over the stored hash and the password: a changed password is never found again. Those who
ask at the same moment share one verification. Wrong passwords are counted per user and address, per address, and per
user: a guesser at one address shuts out nobody but himself. When many addresses guess for one user, that name is
locked for all but the addresses from which it has signed in lately.

Programs may show an access token in place of the password. It cannot be guessed, needs no slow hash, and is not locked.
"""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from web_service.access_tokens import AccessToken, AccessTokens
from web_service.accounts import User
from web_service.audit import Actor, Audit, Via
from web_service.errors import N_, SignInFailed
from web_service.limits import Limits
from web_service.opaque import Kind, kind_of, masked
from web_service.passwords import LONGEST, check_new_password, hash_password, needs_new_hash, verify_password
from web_service.refresh_tokens import RefreshTokens
from web_service.throttle import Throttle
from web_service.users import Credentials, Users

REMEMBER_SECONDS: Final = 60.0
_THREADS: Final = 2
_MOST_ENTRIES: Final = 10_000
LONGEST_NAME: Final = 64
"""Characters of a user name: what claims more is no user, and nothing of it is kept."""

REFUSED: Final = "signin.refused"
"""How a refusal is called in the audit trail."""

_WRONG: Final = N_("The user name or the password is wrong.")


@dataclass(frozen=True, slots=True)
class Login:
    """Who has signed in, and with which access token, None for a password."""

    user: User
    token: AccessToken | None = None

    @property
    def limits(self) -> Limits:
        """Return to what the login is limited; empty for nothing but the user's rights."""
        return self.token.limits if self.token else ()


class Authenticator:
    """Says who stands behind a name and a password, and makes the hashes of new ones."""

    def __init__(
        self,
        users: Users,
        tokens: AccessTokens,
        refresh_tokens: RefreshTokens,
        audit: Audit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._users = users
        self._tokens = tokens
        self._refresh_tokens = refresh_tokens
        self._audit = audit
        self._clock = clock
        self._throttle = Throttle(clock)
        self._threads = ThreadPoolExecutor(_THREADS, "passwords")
        self._secret = secrets.token_bytes(32)
        self._verdicts: OrderedDict[bytes, tuple[float, bool]] = OrderedDict()
        self._running: dict[bytes, asyncio.Task[bool]] = {}
        self._nobody = Credentials(0, hash_password(secrets.token_urlsafe()), enabled=False)

    async def close(self) -> None:
        """Wait for verifications that are under way."""
        await asyncio.to_thread(self._threads.shutdown)

    async def authenticate(self, name: str, password: str, address: str, via: Via = Via.CONSOLE) -> User:
        """Return the user; raises SignInFailed, which says no more than a stranger may know."""
        if len(name) > LONGEST_NAME or len(password) > LONGEST:
            raise SignInFailed(_WRONG)
        self._throttle.check(name, address)
        found = await self._users.look_up(name)
        # An unknown name costs what a wrong password costs, so that names cannot be found by the clock.
        accepted = await self._verified(found[0] if found else self._nobody, name, password)
        if found is None or not accepted:
            await self._failed(name, address, via, "wrong password" if found else "unknown user")
            raise SignInFailed(_WRONG)
        held, user = found
        self._throttle.succeeded(name, address)
        await self._check_open(user, address, via)
        if needs_new_hash(held.password_hash):
            await self._renew_hash(held, name, password)
        return user

    async def sign_in_program(self, name: str, secret: str, address: str, via: Via) -> Login:
        """Return who shows a password or an access token, as docker does; raises SignInFailed.

        Without a name, which an access token does not need, only that is accepted.
        """
        if kind_of(secret) not in (Kind.PERSONAL, Kind.ROBOT):
            return Login(await self.authenticate(name, secret, address, via))
        name = name[:LONGEST_NAME]
        self._throttle.check_address(address)
        found = await self._tokens.find(secret, address)
        if found is None or name not in ("", found.user.name):
            await self._failed(name, address, via, "access token not valid")
            raise SignInFailed(N_("The access token is not valid: it is unknown here, revoked, expired or another's."))
        await self._check_open(found.user, address, via)
        return Login(found.user, found.token)

    async def sign_in_again(self, refresh_token: str, address: str) -> User:
        """Return whose refresh token a client shows; raises SignInFailed."""
        self._throttle.check_address(address)
        user = await self._refresh_tokens.user(refresh_token, address)
        if user is None:
            await self._failed("", address, Via.DOCKER, "refresh token not valid")
            raise SignInFailed(N_("The refresh token is not valid any more; sign in again."))
        await self._check_open(user, address, Via.DOCKER)
        return user

    async def _check_open(self, user: User, address: str, via: Via) -> None:
        if not user.enabled:
            await self._audit.record(Actor(user.name, via, address), REFUSED, user.name, reason="account disabled")
            raise SignInFailed(N_("This account is disabled."))

    async def _renew_hash(self, held: Credentials, name: str, password: str) -> None:
        renewed = replace(held, password_hash=await self._hashed(password))
        await self._users.renew_hash(held.user_id, held.password_hash, renewed.password_hash)
        self._remember(self._key(renewed, name, password), verdict=True)

    async def _failed(self, name: str, address: str, via: Via, reason: str) -> None:
        """Count and record a failure. Who has to wait is not recorded again: that bounds what a guesser can write."""
        locked = self._throttle.failed(name, address)
        name = masked(name)
        await self._audit.record(Actor(name, via, address), REFUSED, name, reason=reason)
        if locked:
            await self._audit.record(Actor(name, via, address), "signin.locked", name, for_=locked)

    async def hash_new(self, name: str, password: str) -> str:
        """Return the hash of a new password; raises Invalid when it may not be used."""
        check_new_password(name, password)
        return await self._hashed(password)

    async def _hashed(self, password: str) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._threads, hash_password, password)

    async def _verified(self, held: Credentials, name: str, password: str) -> bool:
        key = self._key(held, name, password)
        known = self._verdicts.get(key)
        if known is not None and known[0] > self._clock():
            return known[1]
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(self._verify(key, held.password_hash, password))
        return await asyncio.shield(task)

    async def _verify(self, key: bytes, stored: str, password: str) -> bool:
        try:
            verdict = await asyncio.get_running_loop().run_in_executor(self._threads, verify_password, stored, password)
        finally:
            del self._running[key]
        self._remember(key, verdict=verdict)
        return verdict

    def _remember(self, key: bytes, *, verdict: bool) -> None:
        self._verdicts[key] = (self._clock() + REMEMBER_SECONDS, verdict)
        self._verdicts.move_to_end(key)
        if len(self._verdicts) > _MOST_ENTRIES:
            self._verdicts.popitem(last=False)

    def _key(self, held: Credentials, name: str, password: str) -> bytes:
        parts = (str(held.user_id), held.password_hash, name, password)
        text = "\0".join(f"{len(part)}:{part}" for part in parts)
        return hmac.new(self._secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
