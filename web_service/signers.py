"""What signs tokens: the configured key, or a short-lived key with a certificate of its own.

Sources: RFC 7515 (the compact form), RFC 7518, 3.4 (ES256).
"""

import base64
import json
from collections.abc import Sequence
from typing import Any, Final, Protocol

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from shared.tokens import algorithms_of
from web_service.keys import PrivateKey

_ES256: Final = ec.ECDSA(SHA256())
_NUMBER_BYTES: Final = 32
"""Of each of the two numbers that are a signature."""


class Signer(Protocol):
    """Signs until it is to be replaced, in epoch seconds; one that `is_slow` belongs in a thread."""

    replace_at: float
    is_slow: bool

    def sign(self, payload: bytes) -> str:
        """Return the token with these claims, which are JSON."""


class ConfiguredKey:
    """Signs with a key of any kind; `header` says how the key is found."""

    def __init__(self, key: PrivateKey, header: dict[str, Any], replace_at: float) -> None:
        self.replace_at = replace_at
        self.is_slow = isinstance(key, rsa.RSAPrivateKey)
        self._key = key
        self._algorithm = algorithms_of(key.public_key())[0]
        self._header = header

    def sign(self, payload: bytes) -> str:
        """Return the token with these claims, which are JSON."""
        return jwt.PyJWS().encode(payload, self._key, algorithm=self._algorithm, headers=self._header)


class Leaf:
    """Signs with a P-256 key. The header, which holds the chain and is most of a token, is written once."""

    is_slow = False

    def __init__(self, key: ec.EllipticCurvePrivateKey, chain: Sequence[x509.Certificate], replace_at: float) -> None:
        self.replace_at = replace_at
        self._key = key
        header = {"alg": "ES256", "typ": "JWT", "x5c": [x5c_entry(one) for one in chain]}
        self._header = _base64url(json.dumps(header, separators=(",", ":")).encode())

    def sign(self, payload: bytes) -> str:
        """Return the token with these claims, which are JSON."""
        signed = b"%b.%b" % (self._header, _base64url(payload))
        r, s = decode_dss_signature(self._key.sign(signed, _ES256))
        signature = r.to_bytes(_NUMBER_BYTES, "big") + s.to_bytes(_NUMBER_BYTES, "big")
        return (b"%b.%b" % (signed, _base64url(signature))).decode()


def x5c_entry(certificate: x509.Certificate) -> str:
    """Return a certificate as it stands in a header."""
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
