"""The private key that tokens are signed with and its certificate: read from files, checked, explained."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from shared.config import ConfigError
from shared.tokens import SHORTEST_RSA_BITS, PublicKey, algorithms_of, jwk_thumbprint, libtrust_key_id

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
KeyNaming = Literal["libtrust", "rfc7638"]
"""By which id a key is named: that of the Go registry 2.x, or the thumbprint that the Go registry 3.x knows."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key, and the certificate over its public half when there is one."""

    key: PrivateKey
    certificate: x509.Certificate | None

    def usable_certificate(self, now: datetime) -> x509.Certificate | None:
        """Return the certificate unless it has expired: an expired one makes registries refuse the token."""
        if self.certificate is None or self.certificate.not_valid_after_utc <= now:
            return None
        return self.certificate


def read_pair(key: Path, certificate: Path | None) -> KeyPair:
    """Read both files and see that they belong together; raises ConfigError naming file and configuration key."""
    private = read_key(key)
    if certificate is None:
        return KeyPair(private, None)
    held = read_certificate(certificate)
    if not matches(private, held):
        raise ConfigError(
            f"{certificate}: registry.auth.certificate: is not the certificate of the key {key}; "
            "make a new pair with `registry-web generate-keys`"
        )
    return KeyPair(private, held)


def read_key(path: Path) -> PrivateKey:
    """Read an unencrypted PEM private key (PKCS#1, SEC 1 or PKCS#8); raises ConfigError."""
    where = f"{path}: registry.auth.key"
    content = _read(path, where)
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError:
        raise ConfigError(f"{where}: the key is encrypted; write it without a pass phrase") from None
    except ValueError:
        raise ConfigError(f"{where}: holds no private key in PEM form") from None
    if not isinstance(key, PrivateKey) or not algorithms_of(key.public_key()):
        raise ConfigError(f"{where}: the key must be RSA, EC (P-256, P-384, P-521) or Ed25519")
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < SHORTEST_RSA_BITS:
        raise ConfigError(
            f"{where}: an RSA key of {key.key_size} bits can be broken, it needs at least {SHORTEST_RSA_BITS}; "
            "make a new pair with `registry-web generate-keys`"
        )
    return key


def read_certificate(path: Path) -> x509.Certificate:
    """Read the first certificate of a PEM file; raises ConfigError."""
    where = f"{path}: registry.auth.certificate"
    try:
        return x509.load_pem_x509_certificate(_read(path, where))
    except ValueError:
        raise ConfigError(f"{where}: holds no certificate in PEM form") from None


def key_id(key: PublicKey, naming: KeyNaming) -> str:
    """Return the id that a registry finds the key by."""
    return jwk_thumbprint(key) if naming == "rfc7638" else libtrust_key_id(key)


def matches(key: PrivateKey, certificate: x509.Certificate) -> bool:
    """Return whether the certificate is over the public half of the key."""
    return _public_der(key.public_key()) == certificate.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )


def may_sign_certificates(certificate: x509.Certificate) -> bool:
    """Return whether certificates issued under this one are accepted: it is a CA and signed by itself."""
    try:
        certificate.verify_directly_issued_by(certificate)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return constraints.ca
    return constraints.ca and usage.key_cert_sign


def _public_der(key: PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _read(path: Path, where: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{where}: there is no such file; make it with `registry-web generate-keys`") from None
    except OSError as error:
        raise ConfigError(f"{where}: cannot be read: {error.strerror}") from None
