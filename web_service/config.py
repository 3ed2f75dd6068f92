"""The configuration of the web service: every key, its type and its default.

`registry.*` is what the program we replace reads (variables REGISTRY_<KEY>); the other sections are ours
(variables WEB_<SECTION>_<KEY>).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from shared import logs
from shared.config import ConfigError, Duration, Foreign, Loaded, Secret, load
from shared.proxies import Network, parse_networks
from web_service.keys import KeyNaming

DEFAULT_ADMIN_PASSWORD: Final = "admin"  # noqa: S105 - well known on purpose; the console warns until it is changed
SHORTEST_TOKEN_LIFETIME: Final = 60
"""Seconds; Docker's clients take any shorter lifetime for this one."""

_UNSET: Final = Secret("")
_ADMIN_PASSWORD: Final = Secret(DEFAULT_ADMIN_PASSWORD)
_DATABASE: Final = Secret("sqlite:////data/registry-web.db")
_SQLITE: Final = "sqlite:///"
_POSTGRESQL: Final = "postgresql://"
_PREFIXES: Final = {"REGISTRY": ("registry",), "WEB": ()}
_FOREIGN: Final = Foreign(
    ignored=frozenset({"registry.context_path", "registry.trust_any_ssl", "registry.auth.allow_anonymous"})
)


@dataclass(frozen=True, slots=True)
class AuthConfig:
    """`registry.auth`: whether users sign in, and with what tokens are signed."""

    enabled: bool = False
    key: Path = Path("/conf/auth.key")
    certificate: Path | None = None
    issuer: str = "test-issuer"


@dataclass(frozen=True, slots=True)
class RegistryConfig:
    """`registry`: the registry that is browsed and for which tokens are issued."""

    url: str = "http://localhost:5000/v2"
    name: str = "localhost:5000"
    readonly: bool = True
    basic_auth: Secret = _UNSET
    auth: AuthConfig = field(default_factory=AuthConfig)


@dataclass(frozen=True, slots=True)
class HTTPConfig:
    """`http`: where we listen, and whose forwarding headers are believed."""

    addr: str = "0.0.0.0:8080"
    trustedproxies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """`database`: where users, roles, sessions and events are kept. The URL may hold a password."""

    url: Secret = _DATABASE


@dataclass(frozen=True, slots=True)
class AdminConfig:
    """`admin`: the password of the first user, used only when the database is empty."""

    password: Secret = _ADMIN_PASSWORD


@dataclass(frozen=True, slots=True)
class TokensConfig:
    """`tokens`: how long a registry token is valid, and a refresh token that nobody uses; how their key is named."""

    lifetime: Duration = Duration(600.0)
    keyid: KeyNaming = "libtrust"
    refreshidle: Duration = Duration(30 * 24 * 3600.0)


@dataclass(frozen=True, slots=True)
class SessionsConfig:
    """`sessions`: how long a sign-in to the console lasts."""

    lifetime: Duration = Duration(12 * 3600.0)


@dataclass(frozen=True, slots=True)
class NotificationsConfig:
    """`notifications`: the secret that the registry sends along with its events, itself or as a file."""

    token: Secret = _UNSET
    tokenfile: Path | None = None


@dataclass(frozen=True, slots=True)
class EventsConfig:
    """`events`: how long they are kept."""

    retention: Duration = Duration(8760 * 3600.0)


@dataclass(frozen=True, slots=True)
class AuditConfig:
    """`audit`: how long the trail of changes and sign-ins is kept, and what was asked of the registry."""

    retention: Duration = Duration(3 * 8760 * 3600.0)
    requests: Duration = Duration(30 * 24 * 3600.0)


@dataclass(frozen=True, slots=True)
class LogConfig:
    """`log`: from which level, and in which form."""

    level: logs.Level = "info"
    format: logs.Format = "text"


@dataclass(frozen=True, slots=True)
class Config:
    """All of it."""

    registry: RegistryConfig = field(default_factory=RegistryConfig)
    http: HTTPConfig = field(default_factory=HTTPConfig)
    database: DatabaseConfig = field(default_factory=DatabaseConfig)
    admin: AdminConfig = field(default_factory=AdminConfig)
    tokens: TokensConfig = field(default_factory=TokensConfig)
    sessions: SessionsConfig = field(default_factory=SessionsConfig)
    notifications: NotificationsConfig = field(default_factory=NotificationsConfig)
    events: EventsConfig = field(default_factory=EventsConfig)
    audit: AuditConfig = field(default_factory=AuditConfig)
    log: LogConfig = field(default_factory=LogConfig)


@dataclass(frozen=True, slots=True)
class PostgreSQL:
    """A database on a PostgreSQL server: `place` is for people, `options` are keywords of libpq, password and all."""

    place: str
    name: str
    options: Mapping[str, str] = field(repr=False)


def load_config(path: Path, environ: Mapping[str, str]) -> Loaded[Config]:
    """Read the file and the environment and check every value; raises ConfigError."""
    loaded = load(Config, path, environ, prefixes=_PREFIXES, foreign=_FOREIGN)
    try:
        _check(loaded.config)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    return loaded


def listen_address(text: str) -> tuple[str, int]:
    """Return host and port of `host:port`, `:port` (all IPv4 addresses) or `[v6]:port`; raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004 - the last TCP port
        raise ValueError(f"{text!r} is not host:port")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - what `:port` means


def trusted_networks(config: HTTPConfig) -> tuple[Network, ...]:
    """Return the proxies whose X-Forwarded-* headers are believed."""
    return parse_networks(config.trustedproxies)


def certificate_path(auth: AuthConfig) -> Path | None:
    """Return the configured certificate, or the `auth.cert` that lies beside the key, or None."""
    beside = auth.key.with_name("auth.cert")
    return auth.certificate or (beside if beside.exists() else None)


def database_place(url: Secret) -> Path | PostgreSQL:
    """Return the SQLite file, or the database on a server, that the URL means; raises ValueError without quoting it."""
    if url.value.startswith(_SQLITE):
        return Path(url.value.removeprefix(_SQLITE))
    if not url.value.startswith(_POSTGRESQL):
        raise ValueError("must be sqlite:///path/to/file or postgresql://user:password@host:port/name")
    try:
        return _postgresql(urlsplit(url.value))
    except ValueError:  # its text may quote a part of the password
        raise ValueError(
            "must have the form postgresql://user:password@host:port/name, with special characters in the password "
            "as %XX, such as %40 for @ and %2F for /"
        ) from None


def _postgresql(url: SplitResult) -> PostgreSQL:
    """Take the URL apart; raises ValueError also for what looks like a password with characters not escaped."""
    name = unquote(url.path[1:])
    if not name or set(url.path[1:]) & {"/", "@"} or url.fragment:
        raise ValueError
    parts = {"host": url.hostname, "port": url.port, "user": url.username, "password": url.password}
    named = {key: unquote(str(value)) for key, value in parts.items() if value is not None}
    asked = dict(parse_qsl(url.query, strict_parsing=True)) if url.query else {}
    if "dbname" in asked:
        raise ValueError
    options = named | asked
    user = f"{options['user']}@" if "user" in options else ""
    port = f":{options['port']}" if "port" in options else ""
    return PostgreSQL(f"{_POSTGRESQL}{user}{options.get('host', '')}{port}/{name}", name, options)


def notification_token(config: NotificationsConfig) -> str:
    """Return the secret that events must come with, empty when none is asked for; raises ConfigError."""
    if config.tokenfile is None:
        return config.token.value
    where = f"{config.tokenfile}: notifications.tokenfile"
    try:
        token = config.tokenfile.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: cannot be read: {getattr(error, 'strerror', None) or 'not text'}") from None
    if not token:
        raise ConfigError(f"{where}: is empty; it must hold the secret on one line")
    return token


def _check(config: Config) -> None:
    _check_registry(config.registry)
    try:
        trusted_networks(config.http)
    except ValueError as error:
        raise ValueError(f"http.trustedproxies: {error}") from None
    try:
        listen_address(config.http.addr)
    except ValueError as error:
        raise ValueError(f"http.addr: {error}") from None
    try:
        database_place(config.database.url)
    except ValueError as error:
        raise ValueError(f"database.url: {error}") from None
    if config.tokens.lifetime < SHORTEST_TOKEN_LIFETIME:
        raise ValueError("tokens.lifetime: must be at least 1m")
    if config.tokens.refreshidle < SHORTEST_TOKEN_LIFETIME:
        raise ValueError("tokens.refreshidle: must be at least 1m")
    if config.sessions.lifetime < SHORTEST_TOKEN_LIFETIME:
        raise ValueError("sessions.lifetime: must be at least 1m")
    if not config.admin.password.value:
        raise ValueError("admin.password: must not be empty")


def _check_registry(registry: RegistryConfig) -> None:
    if not registry.url.startswith(("http://", "https://")):
        raise ValueError("registry.url: must start with http:// or https://")
    if urlsplit(registry.url).username is not None:
        raise ValueError("registry.url: must not hold a user and password, which pages show; use registry.basic_auth")
    if not registry.name:
        raise ValueError("registry.name: must not be empty; it is the service of the registry's auth.token section")
