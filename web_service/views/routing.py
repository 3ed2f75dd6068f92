"""What a route says about itself, and the keys under which views find the parts of the service and their visitor."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

import jinja2
from aiohttp import web

from shared.draining import InFlight
from shared.proxies import Client
from web_service.access import Rule
from web_service.accounts import User
from web_service.actors import Actor, Via
from web_service.authentication import Login
from web_service.i18n import Language
from web_service.parts import Parts

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Needs(Enum):
    """Who may use a route."""

    MACHINE = auto()
    """Programs: they bring their own credentials, get JSON, and have no session that could be abused."""
    OPEN = auto()
    """Everybody."""
    SIGNED_IN = auto()
    """Every user; the page is about accounts and does not exist without them."""
    BROWSE = auto()
    """Users with UI_USER or UI_ADMIN, and everybody when nobody has to sign in."""
    LOOK = auto()
    """As BROWSE, and everybody while the role `anonymous` is enabled: they see what it lets them pull."""
    ADMIN = auto()
    """Users with UI_ADMIN; the page is about accounts and does not exist without them."""
    OPERATE = auto()
    """Users with UI_ADMIN, and everybody when nobody has to sign in."""


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the route table. What does not say otherwise is for signed-in users."""

    method: str
    path: str
    handler: Handler
    needs: Needs = Needs.SIGNED_IN


@dataclass(slots=True)
class Visit:
    """One request: where it comes from, in which language it is answered, and who is signed in.

    `as_admin` is whether the route is for administrators. `public` are the rules that count for a visitor who may only
    LOOK, None for all others.
    `token` is the session's, or for someone not signed in that of a cookie which only proves that a form is ours.
    `login` is who came by a program, and how. `refusal` is why the request is refused, in English, for the audit trail.
    `facts` go to the log line of the request.
    """

    client: Client
    language: Language
    user: User | None = None
    public: tuple[Rule, ...] | None = None
    as_admin: bool = False
    token: str = ""
    token_is_new: bool = False
    login: Login | None = None
    refusal: str = ""
    facts: dict[str, object] = field(default_factory=dict)

    @property
    def actor(self) -> Actor:
        """Who acts, for the audit trail."""
        user = self.user
        return Actor(user.name if user else "", Via.CONSOLE, self.client.address, user.id if user else 0, self.as_admin)

    @property
    def csrf(self) -> str:
        """What a form must carry to be accepted from this browser."""
        return hashlib.sha256(f"form:{self.token}".encode()).hexdigest()


PARTS: Final = web.AppKey("parts", Parts)
IN_FLIGHT: Final = web.AppKey("in_flight", InFlight)
NEEDS: Final = web.AppKey("needs", dict[web.AbstractRoute, Needs])
TEMPLATES: Final = {code: web.AppKey(f"templates_{code}", jinja2.Environment) for code in ("en", "zh-CN")}
VISIT: Final = web.RequestKey("visit", Visit)


def needs_of(request: web.Request) -> Needs:
    """Return who may use the route of a request."""
    route = request.match_info.route
    return request.app[NEEDS].get(route, Needs.SIGNED_IN)
