"""Who does something, and by which way. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Via(StrEnum):
    """By which way somebody came."""

    CONSOLE = "console"
    API = "api"
    DOCKER = "docker"
    SHELL = "shell"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: the name of a user, or of the account on the server for the shell; 0 is nobody's id.

    `as_admin` is somebody who does it by the right of an administrator.
    """

    name: str
    via: Via
    address: str = ""
    user_id: int = 0
    as_admin: bool = False


SYSTEM: Final = Actor("registry-web", Via.SYSTEM)
"""The service itself."""
