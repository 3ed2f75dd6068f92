"""Public keys of the token server as a JSON Web Key Set: `auth.token.jwks`, a file as the Go registry 3.x reads it.

Sources: RFC 7517 (key sets; section 5 on keys that are not understood), RFC 7518 (members), RFC 8037 (Ed25519).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import jwt

from shared.config import ConfigError
from shared.tokens import PublicKey, algorithms_of

_PUBLISHED: Final = "save what the token server publishes at /api/auth/jwks"
_PUBLIC_MEMBERS: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})
_UNREADABLE: Final = (jwt.PyJWTError, AttributeError, KeyError, TypeError, ValueError)
"""What the library raises for members that make no key."""


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A public key and the `kid` that its set gives it, empty for none."""

    kid: str
    key: PublicKey


class _Skipped(Exception):
    """A key that cannot prove tokens, and harms nobody; the message is the reason."""


def load_jwks(path: Path) -> tuple[list[NamedKey], list[str]]:
    """Return the keys of a set that can prove tokens, and a line on each that cannot; raises ConfigError.

    Secrets are an error: whoever reads this file could forge tokens with a symmetric key, or with a private one.
    """
    where = f"{path}: auth.token.jwks"
    keys: list[NamedKey] = []
    skipped: list[str] = []
    for number, entry in enumerate(_entries(path, where)):
        label = f"keys[{number}]"
        _refuse_secrets(entry, f"{where}: {label}")
        try:
            keys.append(_read(entry))
        except _Skipped as reason:
            skipped.append(f"{where}: {label} {reason} and is not used")
    if not keys:
        raise ConfigError(f"{where}: holds no key that can prove tokens; {_PUBLISHED}")
    return keys, skipped


def key_of_jwk(entry: Any) -> PublicKey:
    """Return the public key of a JSON Web Key, whatever else it says; raises ValueError for what is none of ours."""
    try:
        members = {name: entry[name] for name in ("kty", *_PUBLIC_MEMBERS[entry["kty"]])}
        key = cast("PublicKey", jwt.PyJWK(members).key)
    except _UNREADABLE:
        raise ValueError("the key cannot be read") from None
    if not algorithms_of(key):
        raise ValueError("the curve is none of ours")
    return key


def _entries(path: Path, where: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{where}: cannot be read: {error.strerror}; {_PUBLISHED}") from None
    except (ValueError, RecursionError):
        document = None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(f"{where}: is no JSON Web Key Set; {_PUBLISHED}")
    return entries


def _refuse_secrets(entry: dict[str, Any], where: str) -> None:
    if entry.get("kty") == "oct" or "k" in entry:
        raise ConfigError(f"{where} is a symmetric key, with which whoever reads it could forge tokens; {_PUBLISHED}")
    if _PRIVATE_MEMBERS & entry.keys():
        raise ConfigError(f"{where} is a private key, which is for the token server alone; {_PUBLISHED}")


def _read(entry: dict[str, Any]) -> NamedKey:
    kid, use, operations = entry.get("kid", ""), entry.get("use", "sig"), entry.get("key_ops", ["verify"])
    if use != "sig":
        raise _Skipped(f"is for the use {str(use)[:40]!r}, not for signatures,")
    if not isinstance(operations, list) or "verify" not in operations:
        raise _Skipped("is not for verifying signatures (key_ops)")
    if not isinstance(kid, str):
        raise _Skipped("has a kid that is no text")
    try:
        key = key_of_jwk(entry)
    except ValueError:
        raise _Skipped("is neither RSA, EC on P-256, P-384 or P-521, nor Ed25519, or is damaged,") from None
    algorithm = entry.get("alg")
    if algorithm is not None and algorithm not in algorithms_of(key):
        raise _Skipped(f"is for the algorithm {str(algorithm)[:40]!r}, not for {', '.join(algorithms_of(key))},")
    return NamedKey(kid, key)
