"""What can go wrong in the domain, in words for the person in front of the screen.

Problem                 anything that is told to the user
├── Invalid             what was entered cannot be used
├── Conflict            it contradicts what is already there
├── Refused             the rights, or a rule of the house, forbid it
├── NotFound            there is no such thing
├── SignInFailed        wrong name or password, or a disabled account
│   ├── TooManyFailures wait first
│   └── Outdated        the password was right a moment ago
├── Unavailable         the database does not answer
├── Busy                somebody else does what only one may do at a time
└── RegistryProblem     the registry did not do what it was asked
    ├── RegistryUnreachable
    ├── RegistryNotFound
    └── DeletionDisabled
"""

from collections.abc import Callable
from typing import ClassVar


def N_(message: str) -> str:  # noqa: N802 - the name that message extraction looks for
    """Mark a text for translation and return it as it is; it is translated when it is shown."""
    return message


class Problem(Exception):
    """A text in English with named values, which may be problems themselves.

    `status` is the HTTP status of a page that shows it, `seconds` after how long to try again, 0 for not known.
    """

    status: ClassVar[int] = 500
    seconds: int = 0

    def __init__(self, message: str, /, **values: object) -> None:
        super().__init__(message)
        self.message = message
        self.values = values

    def text(self, translate: Callable[[str], str]) -> str:
        """Return the text in the language of `translate`."""
        values = {
            name: value.text(translate) if isinstance(value, Problem) else value for name, value in self.values.items()
        }
        return translate(self.message) % values if values else translate(self.message)

    def __str__(self) -> str:
        return self.text(str)


class Invalid(Problem):
    """What was entered cannot be used."""

    status = 400


class Conflict(Problem):
    """It contradicts what is already there."""

    status = 409


class Refused(Problem):
    """The rights of the user, or a rule that protects the installation, forbid it."""

    status = 403


class NotFound(Problem):
    """There is no such user, role, rule, repository or tag."""

    status = 404


class SignInFailed(Problem):
    """The name and password are not accepted."""

    status = 401


class TooManyFailures(SignInFailed):
    """Too many wrong passwords or tokens of a user or from an address; `seconds` is how long to wait."""

    status = 429

    def __init__(self, seconds: int) -> None:
        super().__init__(N_("Too many failed attempts; wait %(seconds)d seconds."), seconds=seconds)
        self.seconds = seconds


class Outdated(SignInFailed):
    """Between the look at the password and what it should give, it was changed, or the account closed."""

    def __init__(self) -> None:
        super().__init__(N_("The password was changed in the meantime; sign in again."))


class Unavailable(Problem):
    """The database does not answer; it may a moment later, and the log tells the reason."""

    status = 503

    def __init__(self) -> None:
        super().__init__(N_("The database cannot be reached at the moment; try again in a little while."))


class Busy(Problem):
    """Somebody else tries a change of rules; it is much to compute, so one does at a time."""

    status = 429
    seconds = 5

    def __init__(self) -> None:
        super().__init__(N_("Somebody else tries a change at the moment; try again in a little while."))


class RegistryProblem(Problem):
    """The registry answered in a way that we cannot use."""

    status = 502


class RegistryUnreachable(RegistryProblem):
    """No answer from the registry."""


class RegistryNotFound(RegistryProblem):
    """The registry knows no such repository, tag or manifest; `code` is how it says so, empty for a bare 404."""

    status = 404

    def __init__(self, message: str, code: str = "", /, **values: object) -> None:
        super().__init__(message, **values)
        self.code = code


class DeletionDisabled(RegistryProblem):
    """The registry is set up to delete nothing."""

    status = 409
