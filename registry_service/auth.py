"""Who may do what: the claims of bearer tokens, and the challenges of those who lack one.

Sources: Docker token specification ("token", "jwt", "scope"); RFC 6750 (errors of a challenge). A refusal is always 401
with a challenge, for that is what makes clients ask for a token.
"""

import json
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final

import jwt

from registry_service.bundle import check_signature, load_trusted_keys
from registry_service.chains import TokenRefused
from registry_service.config import Token
from registry_service.errors import Code, RegistryError
from shared.globs import InvalidGlob, compile_glob
from shared.logs import fields
from shared.tokens import (
    CATALOG_SCOPE_NAME,
    LEEWAY_SECONDS,
    LIST_ACTION,
    REPOSITORY,
    Claims,
    InvalidClaims,
    Scope,
)

log: Final = logging.getLogger("registry.auth")

UPLOAD_GRACE_SECONDS: Final = 3600
"""How long after its end a token is still good for an upload that it began: a layer may take longer than a token."""
_REMEMBERED_TOKENS: Final = 10_000
_WHOLE_CATALOG: Final = (Scope("registry", CATALOG_SCOPE_NAME, ("*",)),)
_DEEDS: Final = {"pull": "pull from", "push": "push to", "delete": "delete in", "*": "listing the"}
"""The actions of scopes as a refusal names them; `*` is asked for the catalog alone."""
_NOT_IN_DESCRIPTION: Final = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
"""What RFC 6750, section 3, does not allow in an error_description."""


class Need(Enum):
    """What a route demands of its caller."""

    NOTHING = "nothing"
    LOGIN = "a valid token, whatever it permits"
    PULL = "pull"
    PUSH = "pull,push"
    DELETE = "delete"
    CATALOG = "*"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who makes a request: the token's subject, and the address it acts for when the token server says so.

    `pulls` are the repositories that the token permits to pull, by name, and `readable` globs of more, but for those
    that one of `unreadable` matches; None where everybody may do everything. `sees_all` is the right to the whole
    catalog.
    """

    subject: str = ""
    client_address: str = ""
    pulls: frozenset[str] | None = None
    readable: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    sees_all: bool = True

    def may_pull(self, name: str) -> bool:
        """Tell whether a repository that the request does not name may be read for it."""
        if self.pulls is None:
            return True
        if any(_matches(glob, name, broken=True) for glob in self.unreadable):
            return False
        return name in self.pulls or any(_matches(glob, name) for glob in self.readable)


def requirement(need: Need, repository: str = "", mount_source: str = "") -> tuple[Scope, ...]:
    """Return the scopes that a request needs."""
    if need in (Need.NOTHING, Need.LOGIN):
        return ()
    if need is Need.CATALOG:
        return _WHOLE_CATALOG
    scope = Scope(REPOSITORY, repository, tuple(need.value.split(",")))
    return (scope, Scope(REPOSITORY, mount_source, ("pull",))) if mount_source else (scope,)


@dataclass(frozen=True, slots=True)
class Begun:
    """The upload that a request goes on with: its repository, and when it began (seconds since the epoch)."""

    repository: str
    at: float


class TokenAuth:
    """The checks of `auth.token`. `clock` returns seconds since the epoch."""

    def __init__(self, config: Token, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._clock = clock
        self._trusted = load_trusted_keys(config)
        self._verified: OrderedDict[str, Claims] = OrderedDict()
        self._warn()

    def reload(self) -> bool:
        """Read the files of keys again, and return whether they hold others than before; raises ConfigError.

        To be called beside the event loop. Tokens are proven anew after a change: what an old key proved may no longer
        count.
        """
        trusted = load_trusted_keys(self._config)
        if trusted.equals(self._trusted):
            return False
        self._trusted = trusted
        self._verified = OrderedDict()
        self._warn()
        return True

    def authorize(self, header: str | None, needed: Sequence[Scope], begun: Begun | None = None) -> Identity:
        """Return who sends the Authorization header, if its token permits `needed`; else raise UNAUTHORIZED.

        With an upload that has `begun`, a token that has expired since may still be good.
        """
        token = _bearer_token(header)
        if not token:
            raise self._unauthorized(needed)
        try:
            claims = self.verify(token, begun)
        except TokenRefused as error:
            log.info("token refused", extra=fields(reason=str(error)))
            raise self._unauthorized(needed, "invalid_token", str(error)) from None
        missing = _lacking(claims, needed)
        if missing:
            log.info("scope missing", extra=fields(user=claims.subject, missing=" ".join(map(str, missing))))
            raise self._unauthorized(needed, "insufficient_scope", _refusal(claims, missing))
        return Identity(
            claims.subject,
            claims.client_address,
            pulls=_pulls(claims),
            readable=claims.readable,
            unreadable=claims.unreadable,
            sees_all=not _missing(claims, _WHOLE_CATALOG),
        )

    def permits(self, header: str | None, needed: Sequence[Scope]) -> Claims | None:
        """Return the claims of a token with which `authorize` lets a request pass; else None, and not a word of why."""
        token = _bearer_token(header)
        try:
            claims = self.verify(token) if token else None
        except TokenRefused:
            return None
        return None if claims is None or _lacking(claims, needed) else claims

    def has_expired(self, header: str | None) -> bool:
        """Tell whether the header's token was good once, so that it matters when an upload began."""
        token = _bearer_token(header)
        try:
            return bool(token) and self._clock() > self._proven(token).expires_at + LEEWAY_SECONDS
        except TokenRefused:
            return False

    def verify(self, token: str, begun: Begun | None = None) -> Claims:
        """Return the claims of a token that is proven, ours and valid now or for what has begun; else TokenRefused."""
        claims = self._proven(token)
        now = self._clock()
        if now > claims.expires_at + LEEWAY_SECONDS:
            if now > claims.expires_at + LEEWAY_SECONDS + UPLOAD_GRACE_SECONDS:
                self._verified.pop(token, None)
            elif begun is not None and _is_outlived(claims, begun):
                return claims
            raise TokenRefused("the token has expired")
        if now < claims.not_before - LEEWAY_SECONDS:
            raise TokenRefused("the token is not valid yet; compare the clocks of token server and registry")
        return claims

    def _proven(self, token: str) -> Claims:
        claims = self._verified.get(token)
        if claims is None:
            claims = self._prove(token)
            self._verified[token] = claims
            while len(self._verified) > _REMEMBERED_TOKENS:
                self._verified.popitem(last=False)
        return claims

    def _prove(self, token: str) -> Claims:
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, UnicodeError) as error:
            raise TokenRefused(f"not a JSON web token: {error}") from None
        now = datetime.fromtimestamp(self._clock(), UTC)
        payload = check_signature(token, self._trusted.candidates(header, now))
        try:
            document = json.loads(payload)
            claims = Claims.from_json(document if isinstance(document, dict) else {})
        except (ValueError, RecursionError, InvalidClaims) as error:
            raise TokenRefused(f"malformed claims: {error}") from None
        if claims.issuer != self._config.issuer:
            raise TokenRefused(f"issued by {claims.issuer[:200]!r}, not by auth.token.issuer")
        if self._config.service not in claims.audience:
            raise TokenRefused(f"issued for {', '.join(claims.audience)[:200]!r}, not for auth.token.service")
        return claims

    def _warn(self) -> None:
        for warning in self._trusted.warnings:
            log.warning(warning)

    def _unauthorized(self, needed: Sequence[Scope], error: str = "", message: str = "") -> RegistryError:
        parts = [f'Bearer realm="{self._config.realm}"', f'service="{self._config.service}"']
        if needed:
            parts.append(f'scope="{" ".join(map(str, needed))}"')
        if error:
            parts.append(f'error="{error}"')
        if error == "insufficient_scope":  # docker shows its users this, and not the message of the body
            parts.append(f'error_description="{_NOT_IN_DESCRIPTION.sub("?", message)}"')
        detail = [
            {"Type": scope.type, "Class": "", "Name": scope.name, "Action": action}
            for scope in needed
            for action in scope.actions
        ]
        return RegistryError(Code.UNAUTHORIZED, detail or None, message, headers={"WWW-Authenticate": ",".join(parts)})


def _bearer_token(header: str | None) -> str:
    scheme, _, token = (header or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _is_outlived(claims: Claims, begun: Begun) -> bool:
    """Tell whether a token was valid when an upload began that it permits to push."""
    valid = claims.not_before - LEEWAY_SECONDS <= begun.at <= claims.expires_at + LEEWAY_SECONDS
    return valid and not _missing(claims, requirement(Need.PUSH, begun.repository))


def _pulls(claims: Claims) -> frozenset[str]:
    readable = (scope for scope in claims.access if scope.type == REPOSITORY and {"pull", "*"} & set(scope.actions))
    return frozenset(scope.name for scope in readable)


def _matches(glob: str, name: str, *, broken: bool = False) -> bool:
    """Tell whether a glob matches; `broken` is the answer of one that cannot be read."""
    try:
        return compile_glob(glob).matches(name)
    except InvalidGlob:
        return broken


def _refusal(claims: Claims, missing: Sequence[Scope]) -> str:
    """Return what tells the person in front of a client which right is missing, and where to ask for the reason."""
    wanted = " and ".join(
        f"{' and '.join(_DEEDS.get(one, one) for one in scope.actions)} {scope.name}" for scope in missing
    )
    whom = f"for {claims.subject}" if claims.subject else "without a login"
    if claims.limited:
        whom += " with this access token, which has limits of its own"
    return f"{wanted} is not permitted {whom}; an administrator can explain why on the page Access of the console"


def _lacking(claims: Claims, needed: Sequence[Scope]) -> list[Scope]:
    """Return what a token would have to permit for a request to pass; a part of the catalog is enough for that."""
    return [scope for scope in _missing(claims, needed) if not _may_list(claims, scope)]


def _may_list(claims: Claims, scope: Scope) -> bool:
    """Tell whether a scope is the catalog, and the token permits to see that in part."""
    whole = _WHOLE_CATALOG[0]
    entries = (one for one in claims.access if (one.type, one.name) == (whole.type, whole.name))
    return scope == whole and any(LIST_ACTION in one.actions for one in entries)


def _missing(claims: Claims, needed: Sequence[Scope]) -> list[Scope]:
    """Return what a token does not permit: type and name must be equal, `*` stands for every action."""
    missing = []
    for scope in needed:
        granted = {
            action
            for one in claims.access
            if (one.type, one.name) == (scope.type, scope.name)
            for action in one.actions
        }
        lacking = tuple(action for action in scope.actions if not granted & {action, "*"})
        if lacking:
            missing.append(Scope(scope.type, scope.name, lacking))
    return missing
