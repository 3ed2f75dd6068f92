"""The certificates that tokens are proven by: which keys they name, and whether a token's own chain leads to them.

Sources: RFC 7515 (header parameters x5c, jwk, kid); RFC 5280, section 6 (chains), as far as token servers use it.
"""

import base64
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, cast

import jwt
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from shared.config import ConfigError
from shared.tokens import PublicKey, algorithms_of, jwk_thumbprint, libtrust_key_id

_LONGEST_CHAIN: Final = 5
_UNREADABLE: Final = (
    TypeError,
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for certificates that are damaged, or of a kind that it does not know."""


class TokenRefused(Exception):
    """A token does not hold; the message is the reason, for the log."""


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
    """The keys of a bundle by every id that token servers name them by."""

    def __init__(self, certificates: Sequence[x509.Certificate]) -> None:
        self.certificates = certificates
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
        while current not in self.certificates:
            issuer = next((one for one in self.certificates if _has_issued(one, current)), None)
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


def check_signature(token: str, keys: Sequence[PublicKey]) -> bytes:
    """Return the payload that one of the keys has signed, with an algorithm that belongs to that key."""
    reason: Exception | None = None
    for key in keys:
        try:
            return cast("bytes", jwt.PyJWS().decode_complete(token, key, list(algorithms_of(key)))["payload"])
        except jwt.InvalidTokenError as error:
            reason = error
    raise TokenRefused(f"the signature does not hold: {reason}")
