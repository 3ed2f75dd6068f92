"""With what right the console calls the registry: a token made for the call, fixed credentials, or nothing."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from shared.tokens import Scope
from web_service.access import CONSOLE
from web_service.cache import Cache
from web_service.tokens import TokenIssuer


@dataclass(frozen=True, slots=True)
class Caller:
    """For whom a request is made; `address` is that of the browser."""

    name: str = CONSOLE
    address: str = ""


class Authority(Protocol):
    """Says what a request must carry to be let in."""

    async def headers(self, scope: Scope | None, caller: Caller) -> dict[str, str]:
        """Return the headers for a request that needs `scope`, None for the root of the API."""


class FixedAuthority:
    """The same Basic credentials for every request, or none; `encoded` is the base64 of `user:password`."""

    def __init__(self, encoded: str) -> None:
        self._headers = {"Authorization": f"Basic {encoded}"} if encoded else {}

    async def headers(self, _scope: Scope | None, _caller: Caller) -> dict[str, str]:
        """Return the configured header."""
        return self._headers


class TokenAuthority:
    """Issues itself a token per scope; the console's own are used again for half of their life."""

    def __init__(self, issuer: TokenIssuer, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._clock = clock
        self._kept = Cache[tuple[float, str]](1024)

    async def headers(self, scope: Scope | None, caller: Caller) -> dict[str, str]:
        """Return a bearer token, and for a person the address that the registry shall report."""
        access = () if scope is None else (scope,)
        if caller.name != CONSOLE:
            issued = await self._issuer.issue(caller.name, access, caller.address)
            return {"Authorization": f"Bearer {issued.token}"}
        kept = self._kept.get(str(scope))
        if kept is None or kept[0] <= self._clock():
            issued = await self._issuer.issue(CONSOLE, access)
            kept = (self._clock() + issued.expires_in / 2, issued.token)
            self._kept.put(str(scope), kept)
        return {"Authorization": f"Bearer {kept[1]}"}
