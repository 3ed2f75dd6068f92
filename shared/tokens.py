"""What the token server and the registry agree on: scopes, claims and key ids. No clock, no I/O.

Sources: Docker token specification ("scope", "jwt"); RFC 7519 (claims); RFC 7638 (thumbprint); libtrust (key id
of the Go registry 2.x).
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

REPOSITORY: Final = "repository"
CATALOG_SCOPE_NAME: Final = "catalog"
LIST_ACTION: Final = "list"
"""Ours, on the catalog: the names of `Claims.readable`, where `*` is all of them."""
LEEWAY_SECONDS: Final = 60
"""Clock difference between token server and registry that is forgiven, as in the Go registry."""
SHORTEST_RSA_BITS: Final = 2048
"""A shorter RSA key signs no tokens (NIST SP 800-57, part 1)."""

_TYPE = re.compile(r"[a-z0-9]+(?:\([a-z0-9]*\))?")
_ACTION = re.compile(r"[a-z-]*|\*")
_EC_ALGORITHMS: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_EC_CURVES: Final = {"secp256r1": ("P-256", 32), "secp384r1": ("P-384", 48), "secp521r1": ("P-521", 66)}


class InvalidScope(ValueError):
    """A scope outside the grammar `type:name:action,action`."""


class InvalidClaims(ValueError):
    """Claims whose shape the registry cannot use."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Actions asked for, or granted, on one resource: `repository:team/app:pull,push`."""

    type: str
    name: str
    actions: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Scope":
        """Read one scope. The name may hold a colon (host:port/path), so the actions start at the last one."""
        head, colon, actions = text.rpartition(":")
        kind, second, name = head.partition(":")
        if not colon or not second or not name or not _TYPE.fullmatch(kind):
            raise InvalidScope(f"a scope has the form type:name:actions, not {text[:200]!r}")
        wanted = tuple(dict.fromkeys(action for action in actions.split(",") if action))
        if any(not _ACTION.fullmatch(action) for action in wanted):
            raise InvalidScope(f"the actions of a scope are words in lower case or '*', not {actions[:200]!r}")
        return cls(kind.partition("(")[0], name, wanted)

    def __str__(self) -> str:
        return f"{self.type}:{self.name}:{','.join(self.actions)}"


def parse_scopes(values: Iterable[str]) -> list[Scope]:
    """Read scopes that come repeated, separated by spaces, or both; one resource asked for twice is merged."""
    merged: dict[tuple[str, str], tuple[str, ...]] = {}
    for text in (part for value in values for part in value.split()):
        scope = Scope.parse(text)
        key = (scope.type, scope.name)
        merged[key] = tuple(dict.fromkeys((*merged.get(key, ()), *scope.actions)))
    return [Scope(kind, name, actions) for (kind, name), actions in merged.items()]


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a registry token. Times are seconds since the epoch; `access` is what it permits.

    `client_address` is set when the token server acts for someone else (a deletion in the console): the registry
    names that address in its events instead of the token server's own. `readable` are globs of the
    repositories that the subject may pull beside `access`: a blob that one of them holds may be mounted without naming
    it, and a catalog for whoever may only LIST shows these. `unreadable` are globs that take away from `readable` and
    win. `limited` is a subject who may more than the access token that was shown, which the registry says when it
    refuses. Other registries ignore all of these.
    """

    issuer: str
    audience: tuple[str, ...]
    subject: str
    not_before: int
    issued_at: int
    expires_at: int
    token_id: str
    access: tuple[Scope, ...]
    client_address: str = ""
    readable: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    limited: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the JWT claims set; `aud` is a string, for the Go registry 2.x reads no list."""
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.audience[0] if len(self.audience) == 1 else list(self.audience),
            "sub": self.subject,
            "nbf": self.not_before,
            "iat": self.issued_at,
            "exp": self.expires_at,
            "jti": self.token_id,
            "access": [
                {"type": scope.type, "name": scope.name, "actions": list(scope.actions)} for scope in self.access
            ],
        }
        if self.client_address:
            claims["client_addr"] = self.client_address
        if self.readable:
            claims["readable"] = list(self.readable)
        if self.unreadable:
            claims["unreadable"] = list(self.unreadable)
        if self.limited:
            claims["limited"] = True
        return claims

    @classmethod
    def from_json(cls, payload: Mapping[str, Any]) -> "Claims":
        """Read a claims set as the registry must: a missing `exp` is 0, thus expired. Raises InvalidClaims."""
        return cls(
            issuer=_text(payload, "iss"),
            audience=_texts(payload.get("aud") or [], "aud"),
            subject=_text(payload, "sub"),
            not_before=_seconds(payload, "nbf"),
            issued_at=_seconds(payload, "iat"),
            expires_at=_seconds(payload, "exp"),
            token_id=_text(payload, "jti"),
            access=_access(payload.get("access") or []),
            client_address=_text(payload, "client_addr"),
            readable=_texts(payload.get("readable") or [], "readable"),
            unreadable=_texts(payload.get("unreadable") or [], "unreadable"),
            limited=payload.get("limited") is True,
        )


def _text(payload: Mapping[str, Any], key: str) -> str:
    value = payload.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidClaims(f"{key} is not a string")
    return value


def _seconds(payload: Mapping[str, Any], key: str) -> int:
    value = payload.get(key)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidClaims(f"{key} is not a whole number of seconds")
    return value


def _texts(value: Any, key: str) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise InvalidClaims(f"{key} is neither a string nor a list of strings")
    return tuple(texts)


def _access(entries: Any) -> tuple[Scope, ...]:
    if not isinstance(entries, list):
        raise InvalidClaims("access is not a list")
    return tuple(_entry(entry) for entry in entries)


def _entry(entry: Any) -> Scope:
    if not isinstance(entry, dict):
        raise InvalidClaims("an entry of access is not an object")
    actions = entry.get("actions") or []
    if not isinstance(actions, list) or not all(isinstance(action, str) for action in actions):
        raise InvalidClaims("the actions of an access entry are not a list of strings")
    return Scope(_text(entry, "type"), _text(entry, "name"), tuple(actions))


def libtrust_key_id(key: PublicKey) -> str:
    """Return the key id of the Go registry 2.x: 240 bits of SHA-256 of the public key, base32, in groups of four."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = base64.b32encode(hashlib.sha256(der).digest()[:30]).decode()
    return ":".join(text[i : i + 4] for i in range(0, len(text), 4))


def jwk_thumbprint(key: PublicKey) -> str:
    """Return the RFC 7638 thumbprint, the key id of the Go registry 3.x."""
    return _thumbprint(public_jwk(key))


def go_thumbprint(key: PublicKey) -> str:
    """Return the thumbprint as the Go registry 3.x computes it, which drops leading zeros of an EC coordinate."""
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return jwk_thumbprint(key)
    point = key.public_numbers()
    members = {**public_jwk(key), "x": _integer(point.x), "y": _integer(point.y)}
    return _thumbprint(members)


def public_jwk(key: PublicKey) -> dict[str, str]:
    """Return the members of the JSON Web Key that its thumbprint counts (RFC 7638 section 3.2, RFC 8037)."""
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"kty": "RSA", "e": _integer(numbers.e), "n": _integer(numbers.n)}
    if isinstance(key, ec.EllipticCurvePublicKey):
        point = key.public_numbers()
        name, size = _EC_CURVES[key.curve.name]
        return {"kty": "EC", "crv": name, "x": _integer(point.x, size), "y": _integer(point.y, size)}
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": _base64url(raw)}


def algorithms_of(key: PublicKey) -> tuple[str, ...]:
    """Return the JWS algorithms that a key may be used with, the one we sign with first."""
    if isinstance(key, rsa.RSAPublicKey):
        return ("RS256", "RS384", "RS512")
    if isinstance(key, ec.EllipticCurvePublicKey):
        algorithm = _EC_ALGORITHMS.get(key.curve.name)
        return (algorithm,) if algorithm else ()
    return ("EdDSA",)


def _thumbprint(members: Mapping[str, str]) -> str:
    text = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return _base64url(hashlib.sha256(text.encode()).digest())


def _integer(value: int, size: int = 0) -> str:
    return _base64url(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
