"""Password hashes (argon2id), and what a new password must be."""

from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from web_service.errors import N_, Invalid

SHORTEST: Final = 8
LONGEST: Final = 1024

# The OWASP minimum for argon2id: 19 MiB, two passes. A docker client logs in again for every pull and push.
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hash_password(password: str) -> str:
    """Return the hash to store; takes some 20 ms of processor time."""
    return _HASHER.hash(password)


def verify_password(stored: str, password: str) -> bool:
    """Return whether the password is the one of the hash; takes as long as hashing."""
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def check_new_password(name: str, password: str) -> None:
    """See that a password may be given to a user; raises Invalid."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(N_("A password has at least %(least)d characters."), least=SHORTEST)
    if password.casefold() == name.casefold():
        raise Invalid(N_("The password must not be the user name."))
