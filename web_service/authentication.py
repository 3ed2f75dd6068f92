"""Checking names and passwords: slowly for a guesser, quickly for a client that has just been let in.

Docker sends the password with every pull and push, often dozens at a time. A verdict is therefore remembered for a
minute, as a keyed hash over the stored hash and the password: a changed password is never found again. Those who
ask at the same moment share one verification. Wrong passwords are counted per user and address, per address, and per
user: a guesser at one address shuts out nobody but himself, and who shares his address. When many addresses guess for
one user, that name is locked for all but the addresses from which it has signed in lately.

An attempt is counted before the slow hash and taken back when it was right, so that many guesses at once gain nothing.
Those who share one verification are one attempt, with one line in the audit trail; a wrong password that comes again
later is another. A remembered verdict is no way around a lock: it would tell a guesser that he is right.

Programs may show an access token in place of the password, or a refresh token. Neither can be guessed nor needs a slow
hash: it is looked up first, and a valid one is let in whoever has to wait. One that is not valid counts for its address
only, for anybody may write any name beside it.
"""

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final

from web_service.access_tokens import AccessToken, AccessTokens
from web_service.accounts import User
from web_service.actors import Actor, Via
from web_service.audit import Audit
from web_service.cache import Cache
from web_service.errors import N_, Outdated, SignInFailed
from web_service.limits import Limits
from web_service.opaque import Kind, kind_of, masked
from web_service.passwords import LONGEST, check_new_password, hash_password, needs_new_hash, verify_password
from web_service.refresh_tokens import RefreshToken, RefreshTokens
from web_service.throttle import Attempt, Throttle
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
    """Who has signed in, and with which access or refresh token; with neither, with the password of `password_hash`."""

    user: User
    token: AccessToken | None = None
    refresh_token: RefreshToken | None = None
    password_hash: str | None = field(default=None, repr=False)

    @property
    def limits(self) -> Limits:
        """Return to what the login is limited; empty for nothing but the user's rights."""
        return self.token.limits if self.token else ()


@dataclass(frozen=True, slots=True)
class _Verdict:
    """Whether a password is right; `number` tells which verdict came first, `until` when it is forgotten."""

    right: bool
    number: int
    until: float


@dataclass(frozen=True, slots=True)
class _Running:
    """A verification that is under way, and the attempt as which it is counted."""

    verdict: asyncio.Task[bool]
    attempt: Attempt


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
        self._verdicts: OrderedDict[bytes, _Verdict] = OrderedDict()
        self._renewed = Cache[str](_MOST_ENTRIES)
        self._given = 0
        self._running: dict[bytes, _Running] = {}
        self._nobody = Credentials(0, hash_password(secrets.token_urlsafe()), enabled=False)

    async def close(self) -> None:
        """Wait for verifications that are under way."""
        await asyncio.to_thread(self._threads.shutdown)

    async def authenticate(self, name: str, password: str, address: str, via: Via = Via.CONSOLE) -> User:
        """Return the user; raises SignInFailed, which says no more than a stranger may know."""
        return (await self.sign_in(name, password, address, via)).user

    async def sign_in(self, name: str, password: str, address: str, via: Via = Via.CONSOLE) -> Login:
        """Return who shows a password; raises SignInFailed, as `authenticate`."""
        if len(name) > LONGEST_NAME or len(password) > LONGEST:
            raise SignInFailed(_WRONG)
        given = self._given
        found = await self._users.look_up(name)
        # An unknown name costs what a wrong password costs, so that names cannot be found by the clock.
        held = found[0] if found else self._nobody
        accepted, attempt = await self._verified(held, name, password, address, given)
        if found is None or not accepted:
            if attempt is not None:
                reason = "wrong password" if found else "unknown user"
                await self._record(name, address, via, reason, self._throttle.lock(attempt))
            raise SignInFailed(_WRONG)
        user = found[1]
        self._throttle.succeeded(name, address)
        await self._check_open(user, address, via)
        if attempt is not None and needs_new_hash(held.password_hash):
            held = await self._renew_hash(held, name, password)
        return Login(user, password_hash=held.password_hash)

    async def sign_in_program(self, name: str, secret: str, address: str, via: Via) -> Login:
        """Return who shows a password or an access token, as docker does; raises SignInFailed.

        Without a name, which an access token does not need, only that is accepted.
        """
        if kind_of(secret) not in (Kind.PERSONAL, Kind.ROBOT):
            return await self.sign_in(name, secret, address, via)
        name = name[:LONGEST_NAME]
        found = await self._tokens.find(secret, address)
        if found is None or name not in ("", found.user.name):
            await self._token_failed(name, address, via, "access token not valid")
            raise SignInFailed(N_("The access token is not valid: it is unknown here, revoked, expired or another's."))
        await self._check_open(found.user, address, via)
        return Login(found.user, found.token)

    async def sign_in_again(self, refresh_token: str, address: str) -> Login:
        """Return whose refresh token a client shows; raises SignInFailed."""
        known = kind_of(refresh_token) is Kind.REFRESH
        found = await self._refresh_tokens.find(refresh_token, address) if known else None
        if found is None:
            await self._token_failed("", address, Via.DOCKER, "refresh token not valid")
            raise SignInFailed(N_("The refresh token is not valid any more; sign in again."))
        await self._check_open(found.user, address, Via.DOCKER)
        return Login(found.user, refresh_token=found.token)

    async def keep(self, login: Login, address: str, via: Via, make: Callable[[str | None], Awaitable[str]]) -> str:
        """Return what is made, by the hash of the password, to stay signed in with; raises Outdated, and records it."""
        try:
            return await make(login.password_hash)
        except Outdated:
            renewed = self._renewed.get(login.password_hash)
            if renewed is not None:  # by somebody who came with the same password at the same moment
                return await self.keep(replace(login, password_hash=renewed), address, via, make)
            by = Actor(login.user.name, via, address)
            await self._audit.record(by, REFUSED, login.user.name, reason="password changed")
            raise

    async def _check_open(self, user: User, address: str, via: Via) -> None:
        if not user.enabled:
            await self._audit.record(Actor(user.name, via, address), REFUSED, user.name, reason="account disabled")
            raise SignInFailed(N_("This account is disabled."))

    async def _renew_hash(self, held: Credentials, name: str, password: str) -> Credentials:
        """Return what the password is checked against from now on."""
        renewed = replace(held, password_hash=await self._hashed(password))
        self._remember(self._key(renewed, name, password), verdict=True)  # before anybody reads it
        if not await self._users.renew_hash(held.user_id, held.password_hash, renewed.password_hash):
            return held
        self._renewed.put(held.password_hash, renewed.password_hash)
        return renewed

    async def _token_failed(self, name: str, address: str, via: Via, reason: str) -> None:
        """Count and record a token that is not valid; raises TooManyFailures when its address has to wait."""
        await self._record(name, address, via, reason, self._throttle.failed_at(address))

    async def _record(self, name: str, address: str, via: Via, reason: str, locked: str) -> None:
        """Record a failure. Who has to wait is not recorded again: that bounds what a guesser can write."""
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

    async def _verified(
        self, held: Credentials, name: str, password: str, address: str, given: int
    ) -> tuple[bool, Attempt | None]:
        """Return whether a password is right, and as which attempt it was counted, None for no one of its own.

        `given` is how many verdicts there were when it was asked: a later one is shared as if it were still under way.
        Raises TooManyFailures. Nothing is awaited between looking who has to wait and counting.
        """
        key = self._key(held, name, password)
        running = self._running.get(key)
        if running is not None:
            if not running.attempt.is_from(address):
                self._throttle.check(name, address)
            return await asyncio.shield(running.verdict), None
        known = self._verdicts.get(key)
        if known is not None and known.until <= self._clock():
            known = None
        if known is not None and (known.right or known.number > given):
            self._throttle.check(name, address)
            return known.right, None
        attempt = self._throttle.reserve(name, address)
        if known is not None:
            return False, attempt
        verdict = asyncio.create_task(self._verify(key, held.password_hash, password, attempt))
        self._running[key] = _Running(verdict, attempt)
        return await asyncio.shield(verdict), attempt

    async def _verify(self, key: bytes, stored: str, password: str, attempt: Attempt) -> bool:
        try:
            verdict = await asyncio.get_running_loop().run_in_executor(self._threads, verify_password, stored, password)
        finally:
            del self._running[key]
        self._remember(key, verdict=verdict)
        if verdict:
            self._throttle.take_back(attempt)
        return verdict

    def _remember(self, key: bytes, *, verdict: bool) -> None:
        self._given += 1
        self._verdicts[key] = _Verdict(verdict, self._given, self._clock() + REMEMBER_SECONDS)
        self._verdicts.move_to_end(key)
        if len(self._verdicts) > _MOST_ENTRIES:
            self._verdicts.popitem(last=False)

    def _key(self, held: Credentials, name: str, password: str) -> bytes:
        lengths = f"{len(held.password_hash)}:{len(name)}:{len(password)}"  # no other three texts make the same one
        text = f"{held.user_id}:{lengths}:{held.password_hash}{name}{password}"
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=self._secret, digest_size=32).digest()
