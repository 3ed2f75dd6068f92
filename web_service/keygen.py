"""The key files of a new installation: private key, self-signed certificate, notification secret.

WEB/auth.key            private key, mode 0600
WEB/auth.cert           the certificate again, for the token server itself
WEB/notification.token  the secret that the registry's events come with, mode 0600
REGISTRY/auth.cert      the certificate: what the registry trusts
REGISTRY/notification.token
"""

import os
import secrets
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from shared.config import ConfigError
from shared.tokens import go_thumbprint, jwk_thumbprint
from web_service.keys import PrivateKey, matches, read_certificate, read_key

KeyType = Literal["rsa", "ec", "ed25519"]
Owner = tuple[int, int]
Existing = Literal["refuse", "replace", "complete"]
"""What to do about files that are there: stop, write over them, or make only what is absent."""

_LONGEST_NAME = 64
_PRIVATE = 0o600
_PUBLIC = 0o644


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the certificate says and who shall own the files; `days` is its validity."""

    common_name: str = "localhost"
    kind: KeyType = "rsa"
    days: int = 3650
    owner: Owner | None = None


@dataclass(frozen=True, slots=True)
class Places:
    """The configuration folders of the two services; they may be one and the same."""

    web: Path
    registry: Path

    @property
    def key(self) -> Path:
        """The private key."""
        return self.web / "auth.key"

    @property
    def certificates(self) -> tuple[Path, ...]:
        """The certificate, for each service."""
        return tuple(dict.fromkeys((self.registry / "auth.cert", self.web / "auth.cert")))

    @property
    def tokens(self) -> tuple[Path, ...]:
        """The notification secret, for each service."""
        return tuple(dict.fromkeys((self.registry / "notification.token", self.web / "notification.token")))

    def all(self) -> tuple[Path, ...]:
        """Every file."""
        return (self.key, *self.certificates, *self.tokens)


def generate(places: Places, wanted: Wanted, existing: Existing) -> list[Path]:
    """Make the files and return those that were written; raises ConfigError with a line for the administrator."""
    if not 0 < len(wanted.common_name.encode("utf-8", "replace")) <= _LONGEST_NAME:  # RFC 5280, ub-common-name
        raise ConfigError(f"--cn: the common name of a certificate has 1 to {_LONGEST_NAME} bytes")
    if not wanted.common_name.isprintable():
        raise ConfigError("--cn: the common name of a certificate is text that prints, in UTF-8")
    present = [path for path in places.all() if path.exists()]
    if existing == "refuse" and present:
        raise ConfigError(f"{present[0]}: exists already; --force replaces all key files, --if-missing keeps it")
    kept = set(present) if existing == "complete" else set()
    try:
        return _write_missing(places, wanted, kept)
    except OSError as error:
        raise ConfigError(f"{error.filename or places.web}: cannot be written: {error.strerror}") from None


def new_key(kind: KeyType) -> PrivateKey:
    """Return a fresh RSA-4096, EC P-256 or Ed25519 key."""
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "ec":
        return _new_ec_key()
    return rsa.generate_private_key(public_exponent=65537, key_size=4096)


def self_signed(key: PrivateKey, common_name: str, days: int) -> x509.Certificate:
    """Return a CA certificate over the key, so that it may also sign the short-lived keys of tokens."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    start = datetime.now(UTC) - timedelta(minutes=5)
    public = key.public_key()
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    return (
        x509.CertificateBuilder(name, name, public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(key_usage(certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, signature_hash(key))
    )


def key_usage(*, certificates: bool) -> x509.KeyUsage:
    """Return what a key may be used for: signing tokens, and certificates as well if wanted."""
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=certificates,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def signature_hash(key: PrivateKey) -> hashes.SHA256 | None:
    """Return the hash to sign a certificate with; Ed25519 brings its own."""
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _write_missing(places: Places, wanted: Wanted, kept: set[Path]) -> list[Path]:
    key, certificate = _pair(places, wanted, kept)
    token = _token(places, kept)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    contents = {places.key: (pem, _PRIVATE)}
    contents |= {path: (certificate.public_bytes(Encoding.PEM), _PUBLIC) for path in places.certificates}
    contents |= {path: (token.encode() + b"\n", _PRIVATE) for path in places.tokens}
    written = [path for path in contents if path not in kept]
    for path in written:
        content, mode = contents[path]
        _write(path, content, mode, wanted.owner)
    return written


def _pair(places: Places, wanted: Wanted, kept: set[Path]) -> tuple[PrivateKey, x509.Certificate]:
    held = [(path, read_certificate(path)) for path in places.certificates if path in kept]
    if places.key not in kept:
        if held:
            raise ConfigError(f"{held[0][0]}: is there, but its key {places.key} is not; --force makes a new pair")
        key = new_key(wanted.kind)
        return key, self_signed(key, wanted.common_name, wanted.days)
    key = read_key(places.key)
    for path, certificate in held:
        if not matches(key, certificate):
            raise ConfigError(f"{path}: is not the certificate of the key {places.key}; --force makes a new pair")
    return key, held[0][1] if held else self_signed(key, wanted.common_name, wanted.days)


def _new_ec_key() -> ec.EllipticCurvePrivateKey:
    """Return a key whose thumbprint is the same everywhere: the Go registry 3.x errs on a short coordinate."""
    while True:
        key = ec.generate_private_key(ec.SECP256R1())
        if go_thumbprint(key.public_key()) == jwk_thumbprint(key.public_key()):
            return key


def _token(places: Places, kept: set[Path]) -> str:
    held = {path: path.read_text(encoding="utf-8").strip() for path in places.tokens if path in kept}
    if len(set(held.values())) > 1:
        first, second = held
        raise ConfigError(f"{first}: differs from {second}; both services must hold the same secret")
    return next(iter(held.values()), "") or secrets.token_urlsafe(32)


def _write(path: Path, content: bytes, mode: int, owner: Owner | None) -> None:
    """Put the whole file in place at once: a reader sees the old one, or the new one, with its final rights."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            if owner is not None:
                os.fchown(file.fileno(), *owner)
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
