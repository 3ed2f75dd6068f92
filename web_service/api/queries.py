"""What can be asked behind the question mark. A parameter that is not known, or is given twice, is refused."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from shared.texts import clean

LARGEST_PAGE: Final = 100_000
LARGEST_SIZE: Final = 200
DEFAULT_SIZE: Final = 50
_LONGEST: Final = 255
_LONGEST_NUMBER: Final = 9


class Query(BaseModel):
    """The parameters of a query."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Action(StrEnum):
    """What can be asked for: the actions of the registry, and deletion in the console."""

    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"
    ANY = "*"
    UI_DELETE = "ui-delete"


class EventAction(StrEnum):
    """What happens in the registry."""

    PUSH = "push"
    PULL = "pull"
    DELETE = "delete"
    MOUNT = "mount"


def _number(value: object) -> object:
    """Take digits alone for a number: no sign, no space, no point."""
    is_number = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _LONGEST_NUMBER
    if isinstance(value, str) and not is_number:
        raise ValueError("it is no number")
    return value


def _time(value: object) -> object:
    """Take nothing but RFC 3339 for a time: no date alone, no seconds since the epoch."""
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value.upper())
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or "T" not in value.upper():
        raise ValueError("it is no time such as 2026-01-31T12:00:00Z")
    return moment


_Number = Annotated[int, BeforeValidator(_number)]
_Text = Annotated[str, Field(max_length=_LONGEST), AfterValidator(clean)]


class Paging(Query):
    """Which page of a list."""

    page: _Number = Field(1, ge=1, le=LARGEST_PAGE, description="Counted from 1.")
    size: _Number = Field(DEFAULT_SIZE, ge=1, le=LARGEST_SIZE, description="How many items a page has at most.")


class AccessQuery(Query):
    """A question whether somebody may do something."""

    user: _Text = Field("", description="Empty for who has not signed in.")
    repository: Annotated[str, Field(min_length=1, max_length=_LONGEST), AfterValidator(clean)]
    action: Action = Action.PULL
    address: _Text = Field("", alias="from", description="The address of the client; empty for one's own.")


class EventsQuery(Paging):
    """Which events."""

    user: _Text = Field("", description="Of this user.")
    repository: _Text = Field("", description="Of repositories whose name has this in it.")
    action: EventAction | None = Field(None, description="Of this kind.")


class AuditQuery(Paging):
    """Which entries of the audit trail."""

    actor: _Text = Field("", description="By this one.")
    action: _Text = Field("", description="Of this kind; what ends in a point stands for all that begin so.")
    subject: _Text = Field("", description="About something whose name has this in it.")
    since: Annotated[AwareDatetime | None, BeforeValidator(_time)] = Field(None, description="From this time on.")
