"""What an operation of the API says about itself, and the call that its handler gets."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, TypeVar

from aiohttp import web

from web_service.actors import Actor
from web_service.actors import Via as Way
from web_service.api.queries import Paging, Query
from web_service.authentication import Login
from web_service.documents import Document, Listing
from web_service.inputs import Input
from web_service.parts import Parts
from web_service.views.routing import VISIT

PREFIX: Final = "/api/v1"
LARGEST_ID: Final = (1 << 31) - 1

_Input = TypeVar("_Input", bound=Input)
_Query = TypeVar("_Query", bound=Query)
_Listing = TypeVar("_Listing", bound=Listing[Any])
_Found = TypeVar("_Found")


class Right(Enum):
    """Who may use an operation."""

    OPEN = auto()
    """Everybody, without signing in."""
    SELF = auto()
    """Every account, about itself."""
    BROWSE = auto()
    """Accounts with UI_USER or UI_ADMIN, of what they may see."""
    ADMIN = auto()
    """Accounts with UI_ADMIN."""


class Via(Enum):
    """With which credentials an operation may be used."""

    PASSWORD = auto()
    """The password alone."""
    TOKEN = auto()
    """Also an access token that may use the API and is not limited to repositories."""
    LIMITED_TOKEN = auto()
    """Also one that is: the answer tells no more than the limits allow."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request whose sender may make it, with all that was sent along."""

    request: web.Request
    parts: Parts
    signed_in: Login | None = None
    query: Query | None = None
    body: Input | None = None

    @property
    def login(self) -> Login:
        """Who calls; there is one where the operation has a right but OPEN."""
        if self.signed_in is None:
            raise TypeError("the operation is open to everybody")
        return self.signed_in

    @property
    def actor(self) -> Actor:
        """Who acts, for the audit trail."""
        user = self.login.user
        visit = self.request[VISIT]
        return Actor(user.name, Way.API, visit.client.address, user.id, visit.as_admin)

    def name(self, of: str) -> str:
        """Return a name in the path."""
        return self.request.match_info[of]

    def number(self, of: str = "id") -> int:
        """Return a number in the path; 0, which nothing has, for one that is too large."""
        text = self.request.match_info[of]
        number = int(text) if len(text) <= len(str(LARGEST_ID)) else 0
        return number if number <= LARGEST_ID else 0

    def given(self, kind: type[_Input]) -> _Input:
        """Return the document that was sent."""
        if not isinstance(self.body, kind):
            raise TypeError(f"the operation does not take {kind.__name__}")
        return self.body

    def asked(self, kind: type[_Query]) -> _Query:
        """Return the query."""
        if not isinstance(self.query, kind):
            raise TypeError(f"the operation is not asked by {kind.__name__}")
        return self.query

    def listing(self, kind: type[_Listing], found: Sequence[_Found], show: Callable[[_Found], Document]) -> _Listing:
        """Return the page that was asked for of all that was found."""
        asked = self.asked(Paging)
        start = (asked.page - 1) * asked.size
        items = [show(one) for one in found[start : start + asked.size]]
        return kind(items=items, page=asked.page, size=asked.size, more=len(found) > start + asked.size)


Handler = Callable[[Call], Awaitable[Document | None]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of the table: `path` is below PREFIX, `errors` are statuses beyond those that follow from the rest."""

    method: str
    path: str
    handler: Handler
    right: Right
    id: str
    summary: str
    takes: type[Input] | None = None
    query: type[Query] | None = None
    gives: type[Document] | None = None
    created: bool = False
    errors: tuple[int, ...] = ()
    via: Via = Via.TOKEN

    @property
    def status(self) -> int:
        """The status of success."""
        if self.gives is None:
            return web.HTTPNoContent.status_code
        return web.HTTPCreated.status_code if self.created else web.HTTPOk.status_code

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.method == "GET"

    @property
    def parameters(self) -> Mapping[str, type]:
        """What stands in the path, and as what."""
        names = [part[1:-1] for part in self.path.split("/") if part.startswith("{")]
        return {name: int if name == "id" else str for name in names}
