"""Registry tokens: claims signed as a JWT that the Go registry 2.x and 3.x and our own accept.

With a CA certificate at hand a token is signed by a short-lived P-256 key whose certificate `auth.key` signs; the
header carries the chain (`x5c`). That is fifty times cheaper than RSA-4096 and rotates by itself. With a
certificate that may not sign others, `auth.key` signs and `x5c` holds that certificate. With the key alone, the
header carries its key id, of the kind that the registry looks up (`tokens.keyid`).
"""

import asyncio
import base64
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from shared.tokens import LEEWAY_SECONDS, Claims, Scope, algorithms_of, public_jwk
from web_service.keygen import key_usage, signature_hash
from web_service.keys import KeyNaming, KeyPair, PrivateKey, key_id, may_sign_certificates

_ROTATION: Final = timedelta(hours=12)
_OVERLAP: Final = timedelta(hours=12)
"""How much longer than its use a token key is valid: more than any token lives, and room for slow clocks."""
_SKEW: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Issued:
    """A signed token; `expires_in` is seconds, `issued_at` seconds since the epoch."""

    token: str
    token_id: str
    issued_at: int
    expires_in: int


@dataclass(frozen=True, slots=True)
class _Signer:
    key: PrivateKey
    algorithm: str
    header: dict[str, Any]
    replace_at: datetime | None


class TokenIssuer:
    """Signs tokens for one registry; `naming` is the kind of key id that it knows."""

    def __init__(
        self,
        pair: KeyPair,
        *,
        issuer: str,
        audience: str,
        lifetime: float,
        naming: KeyNaming = "libtrust",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = issuer
        self.audience = audience
        self.lifetime = int(lifetime)
        self.key_id = key_id(pair.key.public_key(), naming)
        """The id of the configured key: what an administrator can compare."""
        self._pair = pair
        self._clock = clock
        self._signer = self._new_signer()

    def jwks(self) -> dict[str, Any]:
        """Return the public half of the configured key as a JSON Web Key Set (RFC 7517): what a registry may trust."""
        public = self._pair.key.public_key()
        named = {"kid": self.key_id, "alg": algorithms_of(public)[0], "use": "sig"}
        return {"keys": [public_jwk(public) | named]}

    async def issue(
        self,
        subject: str,
        access: Iterable[Scope],
        client_address: str = "",
        *,
        readable: Iterable[str] = (),
        unreadable: Iterable[str] = (),
        limited: bool = False,
    ) -> Issued:
        """Return a token that lets `subject` do what `access` lists; see Claims for the others."""
        now = int(self._clock())
        claims = Claims(
            issuer=self.issuer,
            audience=(self.audience,),
            subject=subject,
            not_before=now - LEEWAY_SECONDS,
            issued_at=now,
            expires_at=now + self.lifetime,
            token_id=str(uuid.uuid4()),
            access=tuple(access),
            client_address=client_address,
            readable=tuple(readable),
            unreadable=tuple(unreadable),
            limited=limited,
        )
        signer = self._current(now)
        if isinstance(signer.key, rsa.RSAPrivateKey):  # several milliseconds, too long for the event loop
            token = await asyncio.to_thread(_sign, signer, claims)
        else:
            token = _sign(signer, claims)
        return Issued(token, claims.token_id, now, self.lifetime)

    def _current(self, now: int) -> _Signer:
        replace_at = self._signer.replace_at
        if replace_at is not None and datetime.fromtimestamp(now, UTC) >= replace_at:
            self._signer = self._new_signer()
        return self._signer

    def _new_signer(self) -> _Signer:
        now = datetime.fromtimestamp(int(self._clock()), UTC)
        certificate = self._pair.usable_certificate(now)
        if certificate is None:
            return _direct(self._pair.key, {"kid": self.key_id}, None)
        if not may_sign_certificates(certificate):
            return _direct(self._pair.key, {"x5c": [_der(certificate)]}, certificate.not_valid_after_utc)
        return self._leaf(certificate, now)

    def _leaf(self, certificate: x509.Certificate, now: datetime) -> _Signer:
        key = ec.generate_private_key(ec.SECP256R1())
        end = min(now + _ROTATION + _OVERLAP + timedelta(seconds=self.lifetime), certificate.not_valid_after_utc)
        leaf = (
            x509.CertificateBuilder(certificate.subject, _LEAF_NAME, key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(max(now - _SKEW, certificate.not_valid_before_utc))
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(certificates=False), critical=True)
            .sign(self._pair.key, signature_hash(self._pair.key))
        )
        return _Signer(key, "ES256", {"x5c": [_der(leaf), _der(certificate)]}, min(now + _ROTATION, end))


_LEAF_NAME: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry token key")])


def _direct(key: PrivateKey, header: dict[str, Any], replace_at: datetime | None) -> _Signer:
    return _Signer(key, algorithms_of(key.public_key())[0], header, replace_at)


def _der(certificate: x509.Certificate) -> str:
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


def _sign(signer: _Signer, claims: Claims) -> str:
    return jwt.encode(claims.to_json(), signer.key, algorithm=signer.algorithm, headers=signer.header)
