"""Opaque secrets of access and refresh tokens: random, recognisable, and kept only as a hash. Pure but for chance.

A secret is `prefix_` and 40 letters and digits (238 bits), the last six of which are a checksum (CRC-32) of what is
before them: a scanner for leaked secrets, and we, can tell one from a password without asking anybody. So much chance
needs no slow hash; SHA-256 is what is stored.
"""

import hashlib
import re
import secrets
import string
import zlib
from enum import StrEnum
from typing import Final

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM: Final = 34
_CHECK: Final = 6
_FORM: Final = re.compile(rf"(ckp|ckr|ckf)_[0-9A-Za-z]{{{_RANDOM + _CHECK}}}")
HINT: Final = 8
"""So much of a secret is shown, by which people know it again."""


class Kind(StrEnum):
    """What a secret is for, as its beginning tells."""

    PERSONAL = "ckp"
    ROBOT = "ckr"
    REFRESH = "ckf"


def new_secret(kind: Kind) -> str:
    """Return a new secret."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    text = f"{kind}_{body}"
    return text + _checksum(text)


def kind_of(text: str) -> Kind | None:
    """Return what a text is a secret for; None for what cannot be one of ours."""
    if not _FORM.fullmatch(text) or _checksum(text[:-_CHECK]) != text[-_CHECK:]:
        return None
    return Kind(text[:3])


def masked(name: str) -> str:
    """Return a name as it may be written down: a secret that somebody typed in its place is cut to its hint."""
    return f"{name.strip()[:HINT]}…" if kind_of(name.strip()) else name


def hash_secret(text: str) -> str:
    """Return what is stored of a secret, and looked for."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _checksum(text: str) -> str:
    number, digits = zlib.crc32(text.encode()), []
    for _ in range(_CHECK):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
