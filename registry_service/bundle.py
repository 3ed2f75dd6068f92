"""The keys that tokens are proven by: certificates of a bundle, a JSON Web Key Set, or both; and what names a key.

Sources: RFC 7515 (header parameters x5c, jwk, kid); the configuration reference of the Go registry 2.x and 3.x.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from registry_service.chains import TokenRefused, leaf_key
from registry_service.config import Token
from registry_service.jwks import NamedKey, key_of_jwk, load_jwks
from shared.config import ConfigError
from shared.tokens import (
    SHORTEST_RSA_BITS,
    PublicKey,
    algorithms_of,
    go_thumbprint,
    jwk_thumbprint,
    libtrust_key_id,
)


def load_trusted_keys(config: Token) -> "TrustedKeys":
    """Read the files of auth.token; raises ConfigError."""
    certificates = load_bundle(config.rootcertbundle) if config.rootcertbundle is not None else []
    named, skipped = load_jwks(config.jwks) if config.jwks is not None else ([], [])
    weak = [
        *(_weakness(f"{config.rootcertbundle}: auth.token.rootcertbundle", one.public_key()) for one in certificates),
        *(_weakness(f"{config.jwks}: auth.token.jwks", one.key) for one in named),
    ]
    return TrustedKeys(certificates, named, (*skipped, *filter(None, weak)))


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


class TrustedKeys:
    """The keys of a registry by every id that token servers name them by; `warnings` are lines for its log."""

    def __init__(
        self, certificates: Sequence[x509.Certificate], named: Sequence[NamedKey] = (), warnings: Iterable[str] = ()
    ) -> None:
        self.warnings = tuple(warnings)
        self.certificates = certificates
        self.named = named
        self._keys = [cast("PublicKey", one.public_key()) for one in certificates]
        self._keys += [one.key for one in named if one.key not in self._keys]
        self._by_id: dict[str, list[PublicKey]] = {}
        for key in self._keys:
            kids = {libtrust_key_id(key), jwk_thumbprint(key), go_thumbprint(key)}
            kids |= {one.kid for one in named if one.kid and one.key == key}
            for kid in kids:
                self._by_id.setdefault(kid, []).append(key)

    def equals(self, other: "TrustedKeys") -> bool:
        """Tell whether both prove the same tokens."""
        return (self.certificates, self.named) == (other.certificates, other.named)

    def candidates(self, header: dict[str, Any], now: datetime) -> list[PublicKey]:
        """Return the keys that may prove a token: by x5c, else jwk, else kid, else every one."""
        if header.get("x5c") is not None:
            return [leaf_key(header["x5c"], self.certificates, now)]
        if header.get("jwk") is not None:
            return self._known_jwk(header["jwk"])
        if header.get("kid") is not None:
            return self._known_id(header["kid"])
        return self._keys

    def _known_id(self, kid: Any) -> list[PublicKey]:
        keys = self._by_id.get(kid) if isinstance(kid, str) else None
        if keys is None:
            raise TokenRefused(f"signed by a key that the registry does not know: {str(kid)[:200]!r}")
        return keys

    def _known_jwk(self, jwk: Any) -> list[PublicKey]:
        """Return our own key that an embedded key equals."""
        try:
            return self._known_id(jwk_thumbprint(key_of_jwk(jwk)))
        except ValueError:
            raise TokenRefused("the embedded key cannot be read") from None


def check_signature(token: str, keys: Sequence[PublicKey]) -> bytes:
    """Return the payload that one of the keys has signed, with an algorithm that belongs to that key."""
    reason: Exception | None = None
    for key in keys:
        try:
            return cast("bytes", jwt.PyJWS().decode_complete(token, key, list(algorithms_of(key)))["payload"])
        except jwt.InvalidTokenError as error:
            reason = error
    raise TokenRefused(f"the signature does not hold: {reason}")


def _weakness(where: str, key: Any) -> str:
    """Return what is to be said of a key that is too short, or nothing.

    It is not refused, for the token server may be somebody else's.
    """
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size >= SHORTEST_RSA_BITS:
        return ""
    return (
        f"{where}: an RSA key of {key.key_size} bits can be broken; "
        f"give the token server one of at least {SHORTEST_RSA_BITS} (scripts/generate-keys)"
    )
