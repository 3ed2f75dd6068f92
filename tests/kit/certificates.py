"""Keys, certificates and tokens of every kind, good and bad, as token servers and attackers make them."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

ISSUER = "test"
SERVICE = "registry:5000"
REALM = "http://localhost:8090/api/auth"
_CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1(), "secp256k1": ec.SECP256K1()}
_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
_EC_ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


@dataclass(frozen=True)
class Issued:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


@cache
def private_key(kind: str = "RSA", name: str = "") -> PrivateKey:
    """Return a key: RSA (or RSA-1024), Ed25519, or EC by the name of its curve; the same `name`, the same key."""
    if kind.startswith("RSA"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[4:] or 2048))
    return ed25519.Ed25519PrivateKey.generate() if kind == "Ed25519" else ec.generate_private_key(_CURVES[kind])


def issue(
    key: PrivateKey,
    *,
    issuer: Issued | None = None,
    name: str = "localhost",
    ca: bool | None = True,
    path_length: int | None = None,
    usage: str | None = None,
    begins: timedelta = timedelta(days=-1),
    ends: timedelta = timedelta(days=3650),
) -> Issued:
    """Return a certificate, signed by itself unless an issuer is given; `ca` None leaves the extension out.

    `usage` names what its key usage permits, such as "key_cert_sign crl_sign"; None leaves that extension out.
    """
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
    if usage is not None:
        permitted = {name: name in usage.split() for name in _USAGES}
        builder = builder.add_extension(x509.KeyUsage(**permitted), critical=True)
    signer = issuer.key if issuer else key
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Issued(builder.sign(signer, algorithm), key)


def write_bundle(path: Path, *issued: Issued) -> Path:
    """Write certificates as the registry's `rootcertbundle`."""
    path.write_bytes(b"".join(one.pem for one in issued))
    return path


def x5c(*chain: Issued) -> list[str]:
    """Return the header parameter that carries a chain, the leaf first."""
    return [base64.b64encode(one.der).decode() for one in chain]


def repository_access(name: str, *actions: str) -> dict[str, object]:
    """Return the entry of `access` that permits actions on a repository."""
    return {"type": "repository", "name": name, "actions": list(actions)}


def claims(*access: Mapping[str, object], **changes: object) -> dict[str, Any]:
    """Return the claims of a token that is good for an hour, with the changes; a change to `...` removes one."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": SERVICE,
        "sub": "alice",
        "nbf": now,
        "iat": now,
        "exp": now + 3600,
        "jti": "1",
        "access": list(access),
    }
    return {key: value for key, value in (good | changes).items() if value is not ...}


def sign(
    payload: Mapping[str, object] | bytes,
    key: PrivateKey | bytes | None,
    *,
    algorithm: str = "",
    header: Mapping[str, object] | None = None,
) -> str:
    """Return a token signed by `key`, by bytes as a shared secret (HS256), or by nobody (None: alg none).

    `algorithm` is what signs; `header` may add parameters, or tell lies about the algorithm.
    """
    algorithm = algorithm or algorithm_of(key)
    head = json.dumps({"typ": "JWT", "alg": algorithm, **(header or {})}).encode()
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    signed = f"{base64url(head)}.{base64url(body)}"
    return f"{signed}.{base64url(_signature(signed.encode(), key, algorithm))}"


def algorithm_of(key: PrivateKey | bytes | None) -> str:
    """Return the algorithm that a key signs with unless told otherwise."""
    if key is None:
        return "none"
    if isinstance(key, bytes):
        return "HS256"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return _EC_ALGORITHMS[key.curve.name]
    return "RS256" if isinstance(key, rsa.RSAPrivateKey) else "EdDSA"


def base64url(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _signature(signed: bytes, key: PrivateKey | bytes | None, algorithm: str) -> bytes:
    if key is None:
        return b""
    if isinstance(key, bytes):
        return hmac.new(key, signed, hashlib.sha256).digest()
    return jwt.get_algorithm_by_name(algorithm).sign(signed, key)
