"""Registry tokens: claims signed as a JWT that the Go registry 2.x and 3.x and our own accept.

With a CA certificate at hand a token is signed by a short-lived P-256 key whose certificate `auth.key` signs; the
header carries the chain (`x5c`). That is fifty times cheaper than RSA-4096 and rotates by itself. With a
certificate that may not sign others, `auth.key` signs and `x5c` holds that certificate. With the key alone, the
header carries its key id, of the kind that the registry looks up (`tokens.keyid`).
"""

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.tokens import LEEWAY_SECONDS, Claims, Scope, algorithms_of, public_jwk
from web_service.cache import Cache
from web_service.keygen import key_usage, signature_hash
from web_service.keys import KeyNaming, KeyPair, key_id, may_sign_certificates
from web_service.signers import ConfiguredKey, Leaf, Signer, x5c_entry

_ROTATION: Final = timedelta(hours=12)
_OVERLAP: Final = timedelta(hours=12)
"""How much longer than its use a token key is valid: more than any token lives, and room for slow clocks."""
_SKEW: Final = timedelta(minutes=5)
_LEAF_NAME: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry token key")])
_NEVER: Final = float("inf")
_OF_ONE_TOKEN: Final = frozenset({"nbf", "iat", "exp", "jti"})
_MOST_KEPT: Final = 1024
_LONGEST_KEPT: Final = 4096


@dataclass(frozen=True, slots=True)
class Issued:
    """A signed token; `expires_in` is seconds, `issued_at` seconds since the epoch."""

    token: str
    token_id: str
    issued_at: int
    expires_in: int


class _Said(NamedTuple):
    """What a token says but for when, by whom and to whom: see Claims."""

    subject: str
    access: tuple[Scope, ...]
    client_address: str
    readable: tuple[str, ...]
    unreadable: tuple[str, ...]
    limited: bool


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
        self._kept = Cache[str](_MOST_KEPT)

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
        now, token_id = int(self._clock()), secrets.token_hex(16)
        said = _Said(subject, tuple(access), client_address, tuple(readable), tuple(unreadable), limited)
        lasting = self._lasting(said)
        times = f'"nbf":{now - LEEWAY_SECONDS},"iat":{now},"exp":{now + self.lifetime}'
        payload = f'{lasting},{times},"jti":"{token_id}"}}'.encode()
        signer = self._current(now)
        # What is slow takes several milliseconds, too long for the event loop.
        token = await asyncio.to_thread(signer.sign, payload) if signer.is_slow else signer.sign(payload)
        return Issued(token, token_id, now, self.lifetime)

    def _lasting(self, said: _Said) -> str:
        """Return what is the same in every token that says the same: its claims but for times and id, still open."""
        kept = self._kept.get(said)
        if kept is None:
            claims = Claims(
                issuer=self.issuer,
                audience=(self.audience,),
                not_before=0,
                issued_at=0,
                expires_at=0,
                token_id="",
                **said._asdict(),
            ).to_json()
            lasting = {key: value for key, value in claims.items() if key not in _OF_ONE_TOKEN}
            kept = json.dumps(lasting, separators=(",", ":")).removesuffix("}")
            if len(kept) <= _LONGEST_KEPT:
                self._kept.put(said, kept)
        return kept

    def _current(self, now: int) -> Signer:
        if now >= self._signer.replace_at:
            self._signer = self._new_signer()
        return self._signer

    def _new_signer(self) -> Signer:
        now = datetime.fromtimestamp(int(self._clock()), UTC)
        certificate = self._pair.usable_certificate(now)
        if certificate is None:
            return ConfiguredKey(self._pair.key, {"kid": self.key_id}, _NEVER)
        if not may_sign_certificates(certificate):
            end = certificate.not_valid_after_utc.timestamp()
            return ConfiguredKey(self._pair.key, {"x5c": [x5c_entry(certificate)]}, end)
        return self._leaf(certificate, now)

    def _leaf(self, certificate: x509.Certificate, now: datetime) -> Signer:
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
        return Leaf(key, (leaf, certificate), min(now + _ROTATION, end).timestamp())
