"""Checking names and passwords: slowly for a guesser, quickly for a client that has just been let in.

Docker sends the password with every pull and push, often dozens at a time. A verdict is therefore remembered for a
minute, as a keyed hash over the stored hash and the password: a changed password is never found again. Those who
ask at the same moment share one verification. Wrong passwords are counted per user and address, so that a guesser
shuts out nobody but himself.
"""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from web_service.errors import N_, SignInFailed, TooManyFailures
from web_service.passwords import LONGEST, check_new_password, hash_password, verify_password
from web_service.users import Credentials, User, Users

REMEMBER_SECONDS: Final = 60.0
MOST_FAILURES: Final = 10
FAILURE_WINDOW: Final = 60.0
_THREADS: Final = 2
_MOST_ENTRIES: Final = 10_000
LONGEST_NAME: Final = 64
"""Characters of a user name: what claims more is no user, and nothing of it is kept."""

_WRONG: Final = N_("The user name or the password is wrong.")


class Throttle:
    """Counts failures per (user, address) within a window of seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def check(self, name: str, address: str) -> None:
        """Raise TooManyFailures when this address must wait."""
        times = self._failures.get((name, address))
        while times and times[0] <= self._clock() - FAILURE_WINDOW:
            times.popleft()
        if times and len(times) >= MOST_FAILURES:
            raise TooManyFailures(max(1, round(times[0] + FAILURE_WINDOW - self._clock())))

    def failed(self, name: str, address: str) -> None:
        """Count a failure."""
        self._failures.setdefault((name, address), deque(maxlen=MOST_FAILURES)).append(self._clock())
        self._failures.move_to_end((name, address))
        if len(self._failures) > _MOST_ENTRIES:
            self._failures.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """Forget the failures before a success."""
        self._failures.pop((name, address), None)


class Authenticator:
    """Says who stands behind a name and a password, and makes the hashes of new ones."""

    def __init__(self, users: Users, clock: Callable[[], float] = time.monotonic) -> None:
        self._users = users
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

    async def authenticate(self, name: str, password: str, address: str) -> User:
        """Return the user; raises SignInFailed, which says no more than a stranger may know."""
        if len(name) > LONGEST_NAME or len(password) > LONGEST:
            raise SignInFailed(_WRONG)
        self._throttle.check(name, address)
        held = await self._users.credentials(name)
        # An unknown name costs what a wrong password costs, so that names cannot be found by the clock.
        accepted = await self._verified(held or self._nobody, name, password)
        user = await self._users.named(name) if accepted and held else None
        if user is None:
            self._throttle.failed(name, address)
            raise SignInFailed(_WRONG)
        self._throttle.succeeded(name, address)
        if not user.enabled:
            raise SignInFailed(N_("This account is disabled."))
        return user

    async def hash_new(self, name: str, password: str) -> str:
        """Return the hash of a new password; raises Invalid when it may not be used."""
        check_new_password(name, password)
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
        self._verdicts[key] = (self._clock() + REMEMBER_SECONDS, verdict)
        self._verdicts.move_to_end(key)
        if len(self._verdicts) > _MOST_ENTRIES:
            self._verdicts.popitem(last=False)
        return verdict

    def _key(self, held: Credentials, name: str, password: str) -> bytes:
        parts = (str(held.user_id), held.password_hash, name, password)
        text = "\0".join(f"{len(part)}:{part}" for part in parts)
        return hmac.new(self._secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
