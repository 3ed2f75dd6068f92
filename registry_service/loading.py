"""Reading the configuration, and what it must satisfy beyond its types.

Each check raises ValueError with the key and what to do; `load_config` adds the file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from registry_service.config import (
    CONFIGURATION_PATH,
    FOREIGN,
    HTTP,
    Config,
    Endpoint,
    Maintenance,
    Notifications,
    Storage,
    Token,
    split_address,
)
from shared.config import ConfigError, Loaded, load
from shared.proxies import parse_networks

_MOST_WORKERS: Final = 64
_MOST_WARNING_BYTES: Final = 3500
"""The specification allows 4096 for all headers; each costs some bytes around its text."""


def load_config(path: Path, environ: Mapping[str, str]) -> Loaded[Config]:
    """Read the file and the REGISTRY_* variables; raises ConfigError."""
    variables = {name: text for name, text in environ.items() if name != CONFIGURATION_PATH}
    loaded = load(Config, path, variables, prefixes={"REGISTRY": ()}, foreign=FOREIGN)
    try:
        _check(loaded.config)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    return loaded


def _check(config: Config) -> None:
    if config.version != "0.1":
        raise ValueError(f"version: must be 0.1, not {config.version!r}")
    if config.validation.manifests.payloadsizelimit < 1:
        raise ValueError("validation.manifests.payloadsizelimit: must be a number of bytes above 0")
    _check_storage(config.storage)
    _check_http(config.http)
    if config.storage.inmemory is not None and config.http.workers > 1:
        raise ValueError("http.workers: must be 0 or 1 with storage.inmemory, which is one process's own")
    if config.auth.token is not None:
        _check_token(config.auth.token)
    _check_notifications(config.notifications)


def _check_storage(storage: Storage) -> None:
    drivers = [name for name in ("filesystem", "inmemory") if getattr(storage, name) is not None]
    if len(drivers) != 1:
        raise ValueError(f"storage: must have exactly one of filesystem and inmemory, and has {len(drivers)}")
    _check_maintenance(storage.maintenance)


def _check_maintenance(maintenance: Maintenance) -> None:
    if maintenance.uploadpurging.enabled and maintenance.uploadpurging.interval <= 0:
        raise ValueError("storage.maintenance.uploadpurging.interval: must be above 0")


def _check_http(http: HTTP) -> None:
    split_address(http.addr)
    if not 0 <= http.workers <= _MOST_WORKERS:
        raise ValueError(f"http.workers: must be 0 (one per core, four at most) to {_MOST_WORKERS}, not {http.workers}")
    if not (http.prefix.startswith("/") and http.prefix.endswith("/")):
        raise ValueError("http.prefix: must start and end with /")
    if http.tls is not None and (http.tls.certificate is None) != (http.tls.key is None):
        raise ValueError("http.tls: certificate and key belong together; one of them is missing")
    if http.host and not http.host.startswith(("http://", "https://")):
        raise ValueError("http.host: must be a URL such as https://registry.example.com")
    if sum(map(len, http.warnings)) > _MOST_WARNING_BYTES or not "".join(http.warnings).isascii():
        raise ValueError(f"http.warnings: must be ASCII text of at most {_MOST_WARNING_BYTES} bytes")
    _check_headers({f"warnings[{i}]": (text,) for i, text in enumerate(http.warnings)}, "http")
    _check_headers(http.headers, "http.headers")
    try:
        parse_networks(http.trustedproxies)
    except ValueError as error:
        raise ValueError(f"http.trustedproxies: {error}") from None


def _check_token(token: Token) -> None:
    if token.rootcertbundle is None and token.jwks is None:
        raise ValueError(
            "auth.token: must have rootcertbundle (certificates of the token server) or jwks (its public keys), or both"
        )


def _check_notifications(notifications: Notifications) -> None:
    names = [endpoint.name for endpoint in notifications.endpoints]
    if len(names) != len(set(names)):
        raise ValueError("notifications.endpoints: each endpoint needs a name of its own")
    for i, endpoint in enumerate(notifications.endpoints):
        _check_endpoint(endpoint, f"notifications.endpoints[{i}]")


def _check_endpoint(endpoint: Endpoint, key: str) -> None:
    _check_headers(endpoint.headers, f"{key}.headers")
    if not endpoint.url.startswith(("http://", "https://")):
        raise ValueError(f"{key}.url: must start with http:// or https://")
    if endpoint.timeout <= 0 or endpoint.backoff <= 0:
        raise ValueError(f"{key}: timeout and backoff must be above 0")


def _check_headers(headers: Mapping[str, tuple[str, ...]], key: str) -> None:
    """Refuse what could not be sent: a line end, as a YAML block leaves one behind a text, ends a header."""
    for name, values in headers.items():
        if not all(value.isprintable() for value in (name, *values)):
            raise ValueError(f"{key}.{name}: must be one line of printable characters")
