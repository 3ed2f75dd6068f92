"""The parts of a running service, as `app` puts them together and the views use them."""

from dataclasses import dataclass

from shared.proxies import Network
from web_service.access_tokens import AccessTokens
from web_service.asked import AskedFor
from web_service.audit import Audit
from web_service.authentication import Authenticator
from web_service.browsing import Browser
from web_service.config import Config
from web_service.db import Database
from web_service.doorkeeper import Doorkeeper
from web_service.events import Events
from web_service.groups import Groups
from web_service.guests import Guests
from web_service.i18n import Languages
from web_service.refresh_tokens import RefreshTokens
from web_service.roles import Roles
from web_service.sessions import Sessions
from web_service.simulation import Simulation
from web_service.tag_lists import TagLists
from web_service.tokens import TokenIssuer
from web_service.users import Users


@dataclass(frozen=True, slots=True)
class Settings:
    """All that is read before anything is opened. `issuer` is None when nobody has to sign in."""

    config: Config
    issuer: TokenIssuer | None
    notification_secret: str
    trusted_proxies: tuple[Network, ...]
    languages: Languages
    version: str

    @property
    def has_accounts(self) -> bool:
        """Whether users sign in."""
        return self.config.registry.auth.enabled


@dataclass(frozen=True, slots=True)
class Parts:
    """All that answers requests."""

    settings: Settings
    database: Database
    users: Users
    roles: Roles
    groups: Groups
    access_tokens: AccessTokens
    refresh_tokens: RefreshTokens
    audit: Audit
    doorkeeper: Doorkeeper
    guests: Guests
    asked: AskedFor
    simulation: Simulation
    sessions: Sessions
    events: Events
    authenticator: Authenticator
    browser: Browser
    tag_lists: TagLists
