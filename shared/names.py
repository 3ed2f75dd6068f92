"""Repository names, tags and digests: their grammar and limits, in one place.

Source: OCI distribution-spec 1.1, "Pulling manifests" (name, reference); OCI image-spec 1.1, "Digests".
"""

import re
from dataclasses import dataclass
from typing import Final

MAX_REPOSITORY_LENGTH: Final = 255

_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_HEX_LENGTHS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
_HEX = re.compile(r"[0-9a-f]+")
_NUMBER = re.compile(r"(\d+)")

ALGORITHMS: Final = tuple(_HEX_LENGTHS)
"""The algorithms of digests that we compute, the canonical one first."""


class InvalidName(ValueError):
    """A repository name outside the grammar or longer than 255 characters."""


class InvalidTag(ValueError):
    """A tag outside the grammar."""


class InvalidDigest(ValueError):
    """A digest that is malformed or of an algorithm we do not compute."""


@dataclass(frozen=True, slots=True)
class Digest:
    """A content address: `algorithm` is sha256, sha384 or sha512, `hex` its lower-case hexadecimal value."""

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> "Digest":
        """Read `algorithm:hex`; raises InvalidDigest with the reason."""
        algorithm, colon, value = text.partition(":")
        if not colon:
            raise InvalidDigest("a digest has the form algorithm:hex")
        length = _HEX_LENGTHS.get(algorithm)
        if length is None:
            raise InvalidDigest(f"unsupported digest algorithm {algorithm[:32]!r}")
        if len(value) != length or not _HEX.fullmatch(value):
            raise InvalidDigest(f"a {algorithm} digest has {length} lower-case hexadecimal digits")
        return cls(algorithm, value)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


@dataclass(frozen=True, slots=True)
class Tag:
    """A name within a repository that points to one manifest at a time."""

    name: str

    @classmethod
    def parse(cls, text: str) -> "Tag":
        """Read a tag; raises InvalidTag."""
        if not _TAG.fullmatch(text):
            raise InvalidTag(
                "a tag has up to 128 letters, digits, '_', '.' or '-', and starts with neither '.' nor '-'"
            )
        return cls(text)

    def __str__(self) -> str:
        return self.name


Reference = Tag | Digest


def check_repository(name: str) -> str:
    """Return `name` when it is a valid repository name; raises InvalidName with the reason."""
    if len(name) > MAX_REPOSITORY_LENGTH:
        raise InvalidName(f"a repository name has at most {MAX_REPOSITORY_LENGTH} characters")
    if not _REPOSITORY.fullmatch(name):
        raise InvalidName(
            "a repository name has lower-case letters and digits, with single separators (. _ __ -), parts joined by /"
        )
    return name


def parse_reference(text: str) -> Reference:
    """Read a manifest reference: a digest if it contains a colon, else a tag."""
    return Digest.parse(text) if ":" in text else Tag.parse(text)


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Return a sort key under which 1.10 comes after 1.9, as people count versions."""
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in _NUMBER.split(text)]
