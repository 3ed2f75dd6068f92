"""Password hashes (argon2id; bcrypt of older databases), and what a new password must be."""

from typing import Final

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from web_service.errors import N_, Invalid
from web_service.opaque import kind_of

SHORTEST: Final = 8
LONGEST: Final = 1024
_BCRYPT: Final = ("$2a$", "$2b$", "$2y$")
_BCRYPT_BYTES: Final = 72
"""What bcrypt looks at; those who made the hashes cut off the rest."""

# The OWASP minimum for argon2id: 19 MiB, two passes. A docker client logs in again for every pull and push.
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hash_password(password: str) -> str:
    """Return the hash to store; takes some 20 ms of processor time."""
    return _HASHER.hash(password)


def verify_password(stored: str, password: str) -> bool:
    """Return whether the password is the one of the hash; takes as long as hashing."""
    if stored.startswith(_BCRYPT):
        try:
            return bcrypt.checkpw(password.encode()[:_BCRYPT_BYTES], stored.encode())
        except ValueError:  # a damaged hash, or a password with a NUL
            return False
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def needs_new_hash(stored: str) -> bool:
    """Return whether a hash that was just verified was made in another way than new ones are."""
    return stored.startswith(_BCRYPT) or _HASHER.check_needs_rehash(stored)


def check_new_password(name: str, password: str) -> None:
    """See that a password may be given to a user; raises Invalid."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(N_("A password has at least %(least)d characters."), least=SHORTEST)
    if password.casefold() == name.casefold():
        raise Invalid(N_("The password must not be the user name."))
    if kind_of(password) is not None:
        raise Invalid(N_("This is an access token; choose a password of your own."))
