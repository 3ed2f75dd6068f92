from pathlib import Path

import pytest

from shared.config import ConfigError, Secret
from web_service.config import (
    Config,
    HTTPConfig,
    NotificationsConfig,
    PostgreSQL,
    certificate_path,
    database_place,
    listen_address,
    load_config,
    notification_token,
    trusted_networks,
)

PUBLISHED = """registry:
   url: http://registry:5000/v2
   name: registry:5000
   readonly: false
   auth:
     enabled: true
     key: /conf/auth.key
     issuer: test
"""


@pytest.fixture
def load(tmp_path):
    path = tmp_path / "config.yml"

    def load(text, **environ):
        path.write_text(text)
        return load_config(path, environ)

    return load


def test_the_published_file_is_read_as_it_stands(load):
    loaded = load(PUBLISHED)
    registry = loaded.config.registry
    assert (registry.url, registry.name, registry.readonly) == ("http://registry:5000/v2", "registry:5000", False)
    assert (registry.auth.enabled, str(registry.auth.key), registry.auth.issuer) == (True, "/conf/auth.key", "test")
    assert loaded.warnings == ()


def test_an_empty_file_gives_the_defaults(load):
    assert load("").config == Config()


def test_the_environment_reaches_both_kinds_of_sections(load):
    config = load(
        PUBLISHED,
        REGISTRY_URL="https://r.example/v2",
        REGISTRY_AUTH_ENABLED="false",
        REGISTRY_BASIC_AUTH="dTpw",
        WEB_ADMIN_PASSWORD="12345678",
        WEB_HTTP_ADDR="127.0.0.1:9",
        WEB_HTTP_TRUSTEDPROXIES="[10.0.0.0/8]",
        WEB_TOKENS_LIFETIME="5m",
        WEB_NOTIFICATIONS_TOKENFILE="/conf/notification.token",
    ).config
    assert config.registry.url == "https://r.example/v2"
    assert config.registry.auth.enabled is False
    assert config.registry.basic_auth == Secret("dTpw")
    assert config.admin.password == Secret("12345678")
    assert config.http == HTTPConfig("127.0.0.1:9", ("10.0.0.0/8",))
    assert config.tokens.lifetime == 300
    assert str(config.notifications.tokenfile) == "/conf/notification.token"


def test_keys_of_the_old_program_that_we_lack_are_warned_of(load):
    text = PUBLISHED.replace("   name:", "   context_path: /app\n   trust_any_ssl: true\n   name:")
    warnings = load(text).warnings
    assert [warning.split(": ")[1].split()[0] for warning in warnings] == [
        "registry.context_path",
        "registry.trust_any_ssl",
    ]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("registry: {url: registry:5000}", "registry.url"),
        ("registry: {url: 'http://user:secret@registry:5000/v2'}", "registry.basic_auth"),
        ("registry: {name: ''}", "registry.name"),
        ("registry: {readonly: maybe}", "registry.readonly"),
        ("registry: {urll: x}", "did you mean url"),
        ("http: {trustedproxies: [10.0.0.0/99]}", "http.trustedproxies"),
        ("http: {addr: nowhere}", "http.addr"),
        ("http: {addr: 'a:70000'}", "http.addr"),
        ("database: {url: 'mysql://x'}", "database.url"),
        ("database: {url: 'postgresql://host'}", "database.url: must have the form"),
        ("tokens: {lifetime: 10s}", "tokens.lifetime"),
        ("sessions: {lifetime: 1s}", "sessions.lifetime"),
        ("admin: {password: ''}", "admin.password"),
        ("log: {level: loud}", "log.level"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_file_and_key(load, text, names):
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert names in str(caught.value)
    assert "config.yml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        (":8080", ("0.0.0.0", 8080)),
        ("[::1]:80", ("::1", 80)),
    ],
)
def test_listen_addresses(text, expected):
    assert listen_address(text) == expected


def test_the_certificate_is_found_beside_the_key(keys, tmp_path):
    auth = Config().registry.auth
    assert certificate_path(type(auth)(key=keys.key)) == keys.key.with_name("auth.cert")
    assert certificate_path(type(auth)(key=tmp_path / "auth.key")) is None
    chosen = tmp_path / "other.cert"
    assert certificate_path(type(auth)(key=keys.key, certificate=chosen)) == chosen


def test_the_notification_secret_comes_from_key_or_file(tmp_path):
    file = tmp_path / "token"
    file.write_text("from-file\n")
    assert notification_token(NotificationsConfig(token=Secret("here"))) == "here"
    assert notification_token(NotificationsConfig(tokenfile=file)) == "from-file"
    assert notification_token(NotificationsConfig()) == ""


@pytest.mark.parametrize("content", [None, " \n"])
def test_a_missing_or_empty_secret_file_is_an_error(tmp_path, content):
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=r"notifications\.tokenfile"):
        notification_token(NotificationsConfig(tokenfile=file))


def test_trusted_proxies_become_networks():
    networks = trusted_networks(HTTPConfig(trustedproxies=("10.0.0.0/8", "::1")))
    assert [str(network) for network in networks] == ["10.0.0.0/8", "::1/128"]


@pytest.mark.parametrize(
    ("url", "place", "options"),
    [
        (
            "postgresql://me:p%40ss%2F@db.example:5433/web",
            "postgresql://me@db.example:5433/web",
            {"host": "db.example", "port": "5433", "user": "me", "password": "p@ss/"},
        ),
        ("postgresql://db/web?sslmode=require", "postgresql://db/web", {"host": "db", "sslmode": "require"}),
        (
            "postgresql:///web?host=/run/postgresql&user=me&password=hush",
            "postgresql://me@/run/postgresql/web",
            {"host": "/run/postgresql", "user": "me", "password": "hush"},
        ),
    ],
)
def test_a_server_is_named_without_its_password(url, place, options):
    assert database_place(Secret(url)) == PostgreSQL(place, "web", options)
    assert options.get("password", "-none-") not in repr(database_place(Secret(url)))


def test_a_file_is_a_path():
    assert database_place(Secret("sqlite:////data/web.db")) == Path("/data/web.db")
    assert database_place(Secret("sqlite:///web.db")) == Path("web.db")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hush/hush@db/web",
        "postgresql://me:hush#hush@db/web",
        "postgresql://me:hush?hush@db/web",
        "postgresql://me:1/hush@db/web",
        "postgresql://me:1#hush@db/web",
        "postgresql://me:1?hush@db/web",
        "postgresql://me:[hush@db/web",
        "postgresql://me:hush@db",
        "postgresql://me:hush@db/",
        "postgresql://me:hush@db/a/b",
        "postgresql://me:hush@db/web?dbname=other",
        "postgres://me:hush@db/web",
        "me:hush@db/web",
    ],
)
def test_a_wrong_url_is_refused_without_quoting_its_password(load, url):
    with pytest.raises(ConfigError, match=r"config.yml: database.url: must ") as caught:
        load(f"database: {{url: '{url}'}}")
    assert "hush" not in str(caught.value)
    assert "postgresql://user:password@host:port/name" in str(caught.value)


def test_secrets_do_not_print(load):
    config = load(
        "admin: {password: hush-hush}\nnotifications: {token: hush-hush}\nregistry: {basic_auth: hush-hush}\n"
        "database: {url: 'postgresql://me:hush@db/web'}"
    )
    assert "hush" not in repr(config)
