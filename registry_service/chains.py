"""The certificate chains of tokens (`x5c`): whether one leads to a certificate of the bundle.

Sources: RFC 7515, section 4.1.6; RFC 5280, sections 4.2.1.3 (key usage), 4.2.1.9 (basic constraints) and 6, as far as
token servers use it. What an authority must say of itself is what the Go registry asks of one.
"""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from shared.tokens import PublicKey

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
_NO_ISSUER: Final = "no certificate of the bundle has issued the token's"
_NOT_NOW: Final = "a certificate of the token's chain is not valid at this time"

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


class TokenRefused(Exception):
    """A token does not hold; the message is the reason, for the log."""


def leaf_key(entries: Any, roots: Sequence[x509.Certificate], now: datetime) -> PublicKey:
    """Return the key of the first certificate of an `x5c`, once the chain leads to a root; raises TokenRefused."""
    try:
        chain = [x509.load_der_x509_certificate(base64.b64decode(entry, validate=True)) for entry in entries]
        if not 0 < len(chain) <= _LONGEST_CHAIN:
            raise TokenRefused(f"a certificate chain has 1 to {_LONGEST_CHAIN} certificates")
        _check_chain(chain[0], chain[1:], roots, now)
        key = chain[0].public_key()
    except _UNREADABLE:  # much of a certificate is only read when it is looked at
        raise TokenRefused("the certificate chain of the token cannot be read") from None
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        raise TokenRefused("the certificate of the token holds a key of an unsupported kind")
    return key


def _check_chain(
    leaf: x509.Certificate, others: list[x509.Certificate], roots: Sequence[x509.Certificate], now: datetime
) -> None:
    """Follow a chain up to a root; raises TokenRefused when it does not get there.

    A root that signs tokens itself is trusted as it is: its key usage may name certificates only.
    """
    if not _is_valid(leaf, now):
        raise TokenRefused(_NOT_NOW)
    usage = _extension(leaf, x509.KeyUsage)
    if leaf not in roots and usage is not None and not usage.digital_signature:
        raise TokenRefused("the certificate of the token is not for signatures: its key usage lacks digitalSignature")
    current, remaining, below = leaf, others, 0
    while current not in roots:
        issuer = _issuer_of(current, [*roots, *remaining], below, now)
        remaining = [one for one in remaining if one is not issuer]
        current, below = issuer, below + 1


def _issuer_of(
    certificate: x509.Certificate, candidates: Sequence[x509.Certificate], below: int, now: datetime
) -> x509.Certificate:
    """Return the first candidate that has issued a certificate and might; `below` are the authorities under it.

    A renewed authority has the name and key of the one before: an expired candidate does not end the search.
    """
    reason = _NO_ISSUER
    for one in candidates:
        if _has_signed(one, certificate):
            problem = _problem_of_authority(one, below, now)
            if not problem:
                return one
            reason = problem
    raise TokenRefused(reason)


def _has_signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def _problem_of_authority(issuer: x509.Certificate, below: int, now: datetime) -> str:
    """Return why a certificate must not have issued another, or nothing."""
    constraints = _extension(issuer, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        return "an issuer in the token's chain is no certificate authority"
    if constraints.path_length is not None and below > constraints.path_length:
        return "an issuer in the token's chain allows no authorities below it"
    usage = _extension(issuer, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        return "an issuer in the token's chain may sign no certificates: its key usage lacks keyCertSign"
    return "" if _is_valid(issuer, now) else _NOT_NOW


def _is_valid(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
