"""The registry's configuration, in the Go registry's names and shape.

Source: the configuration reference of Docker's registry 2.x and 3.x. `conf/registry/config.reference.yml` is the
manual of every key; a test holds the two together.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from shared.config import Duration, Foreign
from shared.logs import Level

CONFIGURATION_PATH: Final = "REGISTRY_CONFIGURATION_PATH"
"""The variable that names the file itself, where the command line names none."""
HOUR: Final = 3600.0
_MOST_WORKERS_UNASKED: Final = 4


@dataclass(frozen=True)
class Filesystem:
    """Images on a local disk, or on a volume that several replicas share."""

    rootdirectory: Path = Path("/var/lib/registry")


@dataclass(frozen=True)
class InMemory:
    """Images in this process only, gone at its end: for trials and tests."""


@dataclass(frozen=True)
class Enabled:
    """A switch, off unless the file says otherwise."""

    enabled: bool = False


@dataclass(frozen=True)
class UploadPurging:
    """Removal of uploads that nobody finished: older than `age`, looked for every `interval` (seconds)."""

    enabled: bool = True
    age: Duration = Duration(168 * HOUR)
    interval: Duration = Duration(24 * HOUR)
    dryrun: bool = False


@dataclass(frozen=True)
class Maintenance:
    """Upkeep of the storage; `readonly` refuses every write."""

    uploadpurging: UploadPurging = UploadPurging()
    readonly: Enabled = Enabled()


@dataclass(frozen=True)
class Storage:
    """Where images are kept: exactly one of `filesystem` and `inmemory`."""

    filesystem: Filesystem | None = None
    inmemory: InMemory | None = None
    delete: Enabled = Enabled()
    maintenance: Maintenance = Maintenance()


@dataclass(frozen=True)
class TLS:
    """The server's own certificate chain and key, PEM files; without both of them the registry speaks plain HTTP."""

    certificate: Path | None = None
    key: Path | None = None
    minimumtls: Literal["tls1.2", "tls1.3"] = "tls1.2"


@dataclass(frozen=True)
class HTTP:
    """The listening socket. `host` is the registry's URL as clients know it, when it cannot be told from a request.

    `prefix` is the path below which the API is; `warnings` are sentences that every client is told; forwarding headers
    are believed from `trustedproxies` (networks) only. `workers` processes answer requests, 0 for one per core.
    """

    addr: str = ":5000"
    workers: int = 0
    host: str = ""
    prefix: str = "/"
    warnings: tuple[str, ...] = ()
    relativeurls: bool = True
    trustedproxies: tuple[str, ...] = ()
    draintimeout: Duration = Duration(30.0)
    headers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    tls: TLS | None = None


@dataclass(frozen=True)
class Token:
    """Tokens of `issuer`, for `service`; clients fetch them at `realm`.

    They are proven by a certificate of the bundle or a key of the JSON Web Key Set; one of the two files must be given.
    """

    realm: str
    service: str
    issuer: str
    rootcertbundle: Path | None = None
    jwks: Path | None = None


@dataclass(frozen=True)
class Auth:
    """Who may use the registry; without `token` anybody who reaches it."""

    token: Token | None = None


@dataclass(frozen=True)
class AccessLog:
    """The line that each request leaves."""

    disabled: bool = False


@dataclass(frozen=True)
class Log:
    """What is logged, and in which form; `logstash` is taken for JSON."""

    level: Level = "info"
    formatter: Literal["text", "json", "logstash"] = "text"
    accesslog: AccessLog = AccessLog()


@dataclass(frozen=True)
class Ignore:
    """Events that an endpoint does not want."""

    mediatypes: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Endpoint:
    """A receiver of events. `timeout` bounds one attempt; after `threshold` failures in a row each waits `backoff`.

    `tokenfile` names a file whose content is sent as a bearer token, so that a secret need not stand in this file.
    """

    name: str
    url: str
    disabled: bool = False
    timeout: Duration = Duration(1.0)
    threshold: int = 10
    backoff: Duration = Duration(1.0)
    headers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    tokenfile: Path | None = None
    ignoredmediatypes: tuple[str, ...] = ()
    ignore: Ignore = Ignore()


@dataclass(frozen=True)
class Notifications:
    """Who is told of pushes, pulls and deletions."""

    endpoints: tuple[Endpoint, ...] = ()


@dataclass(frozen=True)
class Platform:
    """An operating system and a processor architecture, in Go's names."""

    os: str
    architecture: str


@dataclass(frozen=True)
class IndexValidation:
    """Which images of an index must be there before it: all, none, or those of the platforms in `platformlist`."""

    platforms: Literal["all", "none", "list"] = "all"
    platformlist: tuple[Platform, ...] = ()

    def requires(self, platform: Platform | None) -> bool:
        """Tell whether an index may only be pushed after its image for a platform."""
        return self.platforms == "all" or (self.platforms == "list" and platform in self.platformlist)


@dataclass(frozen=True)
class ManifestValidation:
    """What a manifest must satisfy; `payloadsizelimit` is in bytes."""

    indexes: IndexValidation = IndexValidation()
    payloadsizelimit: int = 4 << 20


@dataclass(frozen=True)
class Validation:
    """What is checked when a manifest is pushed; `disabled` accepts manifests that refer to what is not there."""

    disabled: bool = False
    manifests: ManifestValidation = ManifestValidation()


@dataclass(frozen=True)
class Config:
    """The whole file."""

    storage: Storage
    version: str = "0.1"
    http: HTTP = HTTP()
    auth: Auth = Auth()
    log: Log = Log()
    notifications: Notifications = Notifications()
    validation: Validation = Validation()


_UNSAFE_AUTH: Final = "use auth.token, or leave auth out for a registry that everybody may use"
FOREIGN: Final = Foreign(
    ignored=frozenset(
        {
            "catalog",
            "compatibility",
            "health",
            "http.debug",
            "http.h2c",
            "http.http2",
            "http.net",
            "http.secret",
            "log.fields",
            "log.hooks",
            "log.reportcaller",
            "loglevel",
            "notifications.events",
            "redis",
            "reporting",
            "storage.cache",
            "storage.filesystem.maxthreads",
            "storage.redirect",
            "storage.tag",
            "tags",
            "validation.enabled",
            "validation.manifests.urls",
        }
    ),
    refused={
        "auth.htpasswd": _UNSAFE_AUTH,
        "auth.silly": _UNSAFE_AUTH,
        "auth.token.autoredirect": "give the token server's URL as auth.token.realm",
        "auth.token.signingalgorithms": "each key is only used with its own algorithms",
        "http.tls.clientcas": "let a proxy in front check client certificates",
        "http.tls.letsencrypt": "give http.tls.certificate and http.tls.key",
        "middleware": "there are no middleware plug-ins here",
        "policy": "the kinds of repositories cannot be restricted",
        "proxy": "this registry cannot be a pull-through cache yet",
        "storage.azure": "use storage.filesystem",
        "storage.gcs": "use storage.filesystem",
        "storage.oss": "use storage.filesystem",
        "storage.s3": "use storage.filesystem",
        "storage.swift": "use storage.filesystem",
    },
)


def split_address(address: str) -> tuple[str | None, int]:
    """Read the `host:port` of http.addr; an empty host means every interface. Raises ValueError."""
    host, colon, port = address.rpartition(":")
    highest_port = 65535
    if not colon or not port.isascii() or not port.isdecimal() or int(port) > highest_port:
        raise ValueError(f"http.addr: must have the form host:port, not {address!r}")
    return host.removeprefix("[").removesuffix("]") or None, int(port)


def worker_count(config: Config) -> int:
    """Return how many processes answer requests: those of http.workers, or one for each core up to four."""
    if config.storage.inmemory is not None:
        return 1
    return config.http.workers or min(len(os.sched_getaffinity(0)), _MOST_WORKERS_UNASKED)
