"""Who may do what: bearer tokens, proven by the certificates of a bundle.

Sources: Docker token specification ("token", "jwt", "scope"); RFC 7515 (header parameters x5c, jwk, kid); RFC 6750
(errors of a challenge). A refusal is always 401 with a challenge, for that is what makes clients ask for a token.
"""

import base64
import json
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Final, cast

import jwt
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from registry_service.config import Token
from registry_service.errors import Code, RegistryError
from shared.config import ConfigError
from shared.globs import InvalidGlob, compile_glob
from shared.logs import fields
from shared.tokens import (
    CATALOG_SCOPE_NAME,
    LEEWAY_SECONDS,
    LIST_ACTION,
    REPOSITORY,
    Claims,
    InvalidClaims,
    PublicKey,
    Scope,
    algorithms_of,
    jwk_thumbprint,
    libtrust_key_id,
)

log: Final = logging.getLogger("registry.auth")

_REMEMBERED_TOKENS: Final = 10_000
_LONGEST_CHAIN: Final = 5
_WHOLE_CATALOG: Final = (Scope("registry", CATALOG_SCOPE_NAME, ("*",)),)
_DEEDS: Final = {"pull": "pull from", "push": "push to", "delete": "delete in", "*": "listing the"}
"""The actions of scopes as a refusal names them; `*` is asked for the catalog alone."""
_NOT_IN_DESCRIPTION: Final = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
"""What RFC 6750, section 3, does not allow in an error_description."""
_UNREADABLE: Final = (
    TypeError,
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for certificates that are damaged, or of a kind that it does not know."""


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


class TokenRefused(Exception):
    """A token does not hold; the message is the reason, for the log."""


def requirement(need: Need, repository: str = "", mount_source: str = "") -> tuple[Scope, ...]:
    """Return the scopes that a request needs."""
    if need in (Need.NOTHING, Need.LOGIN):
        return ()
    if need is Need.CATALOG:
        return _WHOLE_CATALOG
    scope = Scope(REPOSITORY, repository, tuple(need.value.split(",")))
    return (scope, Scope(REPOSITORY, mount_source, ("pull",))) if mount_source else (scope,)


class TokenAuth:
    """The checks of `auth.token`. `clock` returns seconds since the epoch."""

    def __init__(self, config: Token, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._clock = clock
        self._trusted = _TrustedKeys(load_bundle(config.rootcertbundle))
        self._verified: OrderedDict[str, Claims] = OrderedDict()

    def authorize(self, header: str | None, needed: Sequence[Scope]) -> Identity:
        """Return who sends the Authorization header, if its token permits `needed`; else raise UNAUTHORIZED."""
        scheme, _, token = (header or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise self._unauthorized(needed)
        try:
            claims = self.verify(token)
        except TokenRefused as error:
            log.info("token refused", extra=fields(reason=str(error)))
            raise self._unauthorized(needed, "invalid_token", str(error)) from None
        missing = [scope for scope in _missing(claims, needed) if not _may_list(claims, scope)]
        if missing:
            log.info("scope missing", extra=fields(user=claims.subject, missing=" ".join(map(str, missing))))
            raise self._unauthorized(needed, "insufficient_scope", _refusal(claims.subject, missing))
        return Identity(
            claims.subject,
            claims.client_address,
            pulls=_pulls(claims),
            readable=claims.readable,
            unreadable=claims.unreadable,
            sees_all=not _missing(claims, _WHOLE_CATALOG),
        )

    def verify(self, token: str) -> Claims:
        """Return the claims of a token that is proven, ours and valid now; raises TokenRefused."""
        claims = self._verified.get(token)
        if claims is None:
            claims = self._prove(token)
            self._verified[token] = claims
            while len(self._verified) > _REMEMBERED_TOKENS:
                self._verified.popitem(last=False)
        now = self._clock()
        if now > claims.expires_at + LEEWAY_SECONDS:
            self._verified.pop(token, None)
            raise TokenRefused("the token has expired")
        if now < claims.not_before - LEEWAY_SECONDS:
            raise TokenRefused("the token is not valid yet; compare the clocks of token server and registry")
        return claims

    def _prove(self, token: str) -> Claims:
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, UnicodeError) as error:
            raise TokenRefused(f"not a JSON web token: {error}") from None
        now = datetime.fromtimestamp(self._clock(), UTC)
        payload = _check_signature(token, self._trusted.candidates(header, now))
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


def load_bundle(path: Path) -> list[x509.Certificate]:
    """Return the certificates of a PEM bundle; raises ConfigError."""
    where = "auth.token.rootcertbundle"
    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"{path}: {where}: cannot be read: {error.strerror}; scripts/generate-keys makes it"
        ) from None
    except ValueError:
        raise ConfigError(f"{path}: {where}: holds no PEM certificate") from None
    for certificate in certificates:
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
            raise ConfigError(f"{path}: {where}: holds a key that is neither RSA, EC nor Ed25519")
        if not algorithms_of(key):
            raise ConfigError(f"{path}: {where}: holds a key on a curve other than P-256, P-384 and P-521")
    return certificates


class _TrustedKeys:
    """The keys of a bundle by every id that token servers name them by."""

    def __init__(self, certificates: Sequence[x509.Certificate]) -> None:
        self._certificates = certificates
        self._keys = [cast("PublicKey", certificate.public_key()) for certificate in certificates]
        self._by_id = {key_id(key): key for key in self._keys for key_id in (libtrust_key_id, jwk_thumbprint)}

    def candidates(self, header: dict[str, Any], now: datetime) -> list[PublicKey]:
        """Return the keys that may prove a token: by x5c, else jwk, else kid, else every one of the bundle."""
        if header.get("x5c") is not None:
            return [self._leaf_key(header["x5c"], now)]
        if header.get("jwk") is not None:
            return [self._known_jwk(header["jwk"])]
        if header.get("kid") is not None:
            return [self._known_id(header["kid"])]
        return self._keys

    def _known_id(self, kid: Any) -> PublicKey:
        key = self._by_id.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise TokenRefused(f"signed by a key that the bundle lacks: {str(kid)[:200]!r}")
        return key

    def _known_jwk(self, jwk: Any) -> PublicKey:
        """Return the bundle's own key that an embedded key equals."""
        try:
            key = jwt.PyJWK(jwk).key
            return self._known_id(jwk_thumbprint(key))
        except (jwt.PyJWTError, AttributeError, KeyError, TypeError, ValueError):
            raise TokenRefused("the embedded key cannot be read") from None

    def _leaf_key(self, entries: Any, now: datetime) -> PublicKey:
        try:
            chain = [x509.load_der_x509_certificate(base64.b64decode(entry, validate=True)) for entry in entries]
            if not 0 < len(chain) <= _LONGEST_CHAIN:
                raise TokenRefused(f"a certificate chain has 1 to {_LONGEST_CHAIN} certificates")
            self._check_chain(chain[0], chain[1:], now)
            key = chain[0].public_key()
        except _UNREADABLE:  # much of a certificate is only read when it is looked at
            raise TokenRefused("the certificate chain of the token cannot be read") from None
        if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
            raise TokenRefused("the certificate of the token holds a key of an unsupported kind")
        return key

    def _check_chain(self, leaf: x509.Certificate, others: list[x509.Certificate], now: datetime) -> None:
        """Follow a chain up to a certificate of the bundle; raises TokenRefused when it does not get there."""
        _check_validity(leaf, now)
        current, remaining = leaf, others
        while current not in self._certificates:
            issuer = next((one for one in self._certificates if _has_issued(one, current)), None)
            if issuer is None:
                issuer = next((one for one in remaining if _has_issued(one, current)), None)
            if issuer is None:
                raise TokenRefused("no certificate of the bundle has issued the token's")
            _check_validity(issuer, now)
            remaining = [one for one in remaining if one is not issuer]
            current = issuer


def _has_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Tell whether one certificate may sign others, and has signed this one."""
    try:
        if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
    except x509.ExtensionNotFound:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def _check_validity(certificate: x509.Certificate, now: datetime) -> None:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise TokenRefused("a certificate of the token's chain is not valid at this time")


def _check_signature(token: str, keys: Sequence[PublicKey]) -> bytes:
    """Return the payload that one of the keys has signed, with an algorithm that belongs to that key."""
    reason: Exception | None = None
    for key in keys:
        try:
            return cast("bytes", jwt.PyJWS().decode_complete(token, key, list(algorithms_of(key)))["payload"])
        except jwt.InvalidTokenError as error:
            reason = error
    raise TokenRefused(f"the signature does not hold: {reason}")


def _pulls(claims: Claims) -> frozenset[str]:
    readable = (scope for scope in claims.access if scope.type == REPOSITORY and {"pull", "*"} & set(scope.actions))
    return frozenset(scope.name for scope in readable)


def _matches(glob: str, name: str, *, broken: bool = False) -> bool:
    """Tell whether a glob matches; `broken` is the answer of one that cannot be read."""
    try:
        return compile_glob(glob).matches(name)
    except InvalidGlob:
        return broken


def _refusal(subject: str, missing: Sequence[Scope]) -> str:
    """Return what tells the person in front of a client which right is missing, and where to ask for the reason."""
    wanted = " and ".join(
        f"{' and '.join(_DEEDS.get(one, one) for one in scope.actions)} {scope.name}" for scope in missing
    )
    whom = f"for {subject}" if subject else "without a login"
    return f"{wanted} is not permitted {whom}; an administrator can explain why on the page Access of the console"


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
