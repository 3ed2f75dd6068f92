"""The registry's configuration: the Go registry's file, ours, and what is said of the rest."""

import re
from pathlib import Path

import pytest

from registry_service.config import (
    FOREIGN,
    HTTP,
    TLS,
    AccessLog,
    Auth,
    Config,
    Enabled,
    Endpoint,
    Filesystem,
    Ignore,
    IndexValidation,
    InMemory,
    Log,
    Maintenance,
    ManifestValidation,
    Notifications,
    Platform,
    Storage,
    Token,
    UploadPurging,
    Validation,
    split_address,
)
from registry_service.loading import load_config
from shared.config import ConfigError, Duration

DOCUMENT = """\
version: 0.1

storage:
  filesystem:
    rootdirectory: /var/lib/registry
  delete:
    enabled: true

http:
  addr: 0.0.0.0:5000

auth:
  token:
    realm: http://localhost:8090/api/auth
    service: registry:5000
    issuer: test
    rootcertbundle: /etc/docker/registry/auth.cert

log:
  level: info

notifications:
  endpoints:
    - name: listener
      url: http://localhost:8090/api/notification
      timeout: 500ms
      threshold: 5
      backoff: 1s
"""
MINIMAL = "storage: {inmemory: }"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "config.yml"


def read(path, text=MINIMAL, environ=None):
    path.write_text(text, encoding="utf-8")
    return load_config(path, environ or {})


def refusal(path, text=MINIMAL, environ=None):
    with pytest.raises(ConfigError) as caught:
        read(path, text, environ)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_file_of_the_document_is_read_as_it_stands(path):
    loaded = read(path, DOCUMENT)
    assert loaded.warnings == ()
    assert loaded.config == Config(
        version="0.1",
        storage=Storage(filesystem=Filesystem(Path("/var/lib/registry")), delete=Enabled(enabled=True)),
        http=HTTP(addr="0.0.0.0:5000"),
        auth=Auth(
            Token(
                realm="http://localhost:8090/api/auth",
                service="registry:5000",
                issuer="test",
                rootcertbundle=Path("/etc/docker/registry/auth.cert"),
            )
        ),
        log=Log(level="info"),
        notifications=Notifications(
            (
                Endpoint(
                    name="listener",
                    url="http://localhost:8090/api/notification",
                    timeout=Duration(0.5),
                    threshold=5,
                    backoff=Duration(1.0),
                ),
            )
        ),
    )


def test_the_file_of_the_document_can_be_adapted_by_variables_alone(path):
    """As compose.yml does."""
    environ = {
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": "/data",
        "REGISTRY_STORAGE_DELETE_ENABLED": "false",
        "REGISTRY_HTTP_ADDR": ":80",
        "REGISTRY_AUTH_TOKEN_REALM": "https://web/api/auth",
        "REGISTRY_LOG_LEVEL": "debug",
        "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL": "http://registry-web:8080/api/notification",
        "REGISTRY_NOTIFICATIONS_ENDPOINTS_1": "{name: second, url: 'http://second/'}",
        "REGISTRY_CONFIGURATION_PATH": "/etc/x.yml",
    }
    loaded = read(path, DOCUMENT, environ)
    config = loaded.config
    assert loaded.warnings == ()
    assert config.storage == Storage(filesystem=Filesystem(Path("/data")))
    assert (config.http.addr, config.log.level) == (":80", "debug")
    assert config.auth.token is not None
    assert (config.auth.token.realm, config.auth.token.issuer) == ("https://web/api/auth", "test")
    first, second = config.notifications.endpoints
    assert (first.name, first.url, first.threshold) == ("listener", "http://registry-web:8080/api/notification", 5)
    assert (second.name, second.url, second.threshold) == ("second", "http://second/", 10)


OTHER_KEYS = """\
storage:
  inmemory:
  maintenance:
    uploadpurging: {enabled: false, age: 1h, interval: 30m, dryrun: true}
    readonly: {enabled: true}
http:
  addr: localhost:0
  host: https://registry.example.com
  prefix: /registry/
  warnings: [be kind]
  relativeurls: false
  draintimeout: 5s
  headers: {X-Frame-Options: [deny], Strict-Transport-Security: ["max-age=1", "x"]}
  tls: {certificate: /c.pem, key: /k.pem, minimumtls: tls1.3}
log: {level: warn, formatter: json, accesslog: {disabled: true}}
notifications:
  endpoints:
    - name: a
      url: https://a/
      disabled: true
      headers: {Authorization: [Bearer x]}
      tokenfile: /t
      ignoredmediatypes: [text/a]
      ignore: {mediatypes: [text/b], actions: [pull]}
validation:
  disabled: true
  manifests:
    payloadsizelimit: 1000
    indexes: {platforms: list, platformlist: [{os: linux, architecture: amd64}]}
"""


def test_every_other_key(path):
    config = read(path, OTHER_KEYS).config
    purging = UploadPurging(enabled=False, age=Duration(3600.0), interval=Duration(1800.0), dryrun=True)
    assert config.storage == Storage(inmemory=InMemory(), maintenance=Maintenance(purging, Enabled(enabled=True)))
    assert config.http == HTTP(
        addr="localhost:0",
        host="https://registry.example.com",
        prefix="/registry/",
        warnings=("be kind",),
        relativeurls=False,
        draintimeout=Duration(5.0),
        headers={"X-Frame-Options": ("deny",), "Strict-Transport-Security": ("max-age=1", "x")},
        tls=TLS(Path("/c.pem"), Path("/k.pem"), "tls1.3"),
    )
    assert config.log == Log("warn", "json", AccessLog(disabled=True))
    indexes = IndexValidation("list", (Platform("linux", "amd64"),))
    assert config.validation == Validation(True, ManifestValidation(indexes, 1000))
    assert config.notifications.endpoints[0] == Endpoint(
        name="a",
        url="https://a/",
        disabled=True,
        headers={"Authorization": ("Bearer x",)},
        tokenfile=Path("/t"),
        ignoredmediatypes=("text/a",),
        ignore=Ignore(("text/b",), ("pull",)),
    )


def test_what_is_absent_is_as_in_the_go_registry_where_that_is_safe(path):
    config = read(path).config
    assert config.http.addr == ":5000"
    assert not config.storage.delete.enabled
    assert config.storage.maintenance == Maintenance(UploadPurging(True, Duration(168 * 3600.0), Duration(24 * 3600.0)))
    assert config.auth.token is None
    assert read(path, "storage: {filesystem: }").config.storage.filesystem == Filesystem(Path("/var/lib/registry"))


ENDPOINT = "storage: {inmemory: }\nnotifications: {endpoints: [{name: a, url: %s}]}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "storage is missing; it has no default"),
        ("version: 0.1", "storage is missing; it has no default"),
        ("storage:", "storage: must have exactly one of filesystem and inmemory, and has 0"),
        ("storage: {filesystem: , inmemory: }", "storage: must have exactly one of filesystem and inmemory, and has 2"),
        ("storage: {delete: {enabled: true}}", "storage: must have exactly one of filesystem and inmemory, and has 0"),
        ("storage: {inmemory: {a: 1}}", "storage.inmemory.a: is not a key of the configuration"),
        ("storage: {filesystem: {rootdirectry: /x}}", "storage.filesystem.rootdirectry: is not a key of the configuration; did you mean rootdirectory?"),  # noqa: E501
        (MINIMAL + "\nstorag: x", "storag: is not a key of the configuration; did you mean storage?"),
        (MINIMAL + "\nhttp: {adr: ':1'}", "http.adr: is not a key of the configuration; did you mean addr?"),
        (MINIMAL + "\nversion: 0.2", "version: must be 0.1, not '0.2'"),
        (MINIMAL + "\nversion: 1", "version: must be 0.1, not '1'"),
        (MINIMAL + "\nhttp: {addr: '5000'}", "http.addr: must have the form host:port, not '5000'"),
        (MINIMAL + "\nhttp: {addr: 'a:99999'}", "http.addr: must have the form host:port, not 'a:99999'"),
        (MINIMAL + "\nhttp: {host: registry}", "http.host: must be a URL such as https://registry.example.com"),
        (MINIMAL + "\nhttp: {tls: {certificate: /c}}", "http.tls: certificate and key belong together"),
        (MINIMAL + "\nhttp: {tls: {certificate: a, key: b, minimumtls: tls1.0}}", "http.tls.minimumtls: must be one of tls1.2, tls1.3, not 'tls1.0'"),  # noqa: E501
        (MINIMAL + "\nauth: {token: {realm: a, service: b, issuer: c}}", "auth.token: must have rootcertbundle (certificates of the token server) or jwks"),  # noqa: E501
        (MINIMAL + "\nauth: {token: }", "auth.token.realm is missing; it has no default"),
        (MINIMAL + "\nauth: {tokn: }", "auth.tokn: is not a key of the configuration; did you mean token?"),
        (MINIMAL + "\nlog: {level: loud}", "log.level: must be one of error, warn, info, debug, not 'loud'"),
        (MINIMAL + "\nlog: {formatter: xml}", "log.formatter: must be one of text, json, logstash, not 'xml'"),
        (MINIMAL + "\nhttp: {prefix: v2/}", "http.prefix: must start and end with /"),
        (MINIMAL + "\nhttp: {prefix: /v2}", "http.prefix: must start and end with /"),
        (MINIMAL + "\nhttp: {warnings: [中]}", "http.warnings: must be ASCII text of at most 3500 bytes"),
        (MINIMAL + f"\nhttp: {{warnings: [{'a' * 2000}, {'b' * 1501}]}}", "http.warnings: must be ASCII text of at"),
        (MINIMAL + "\nvalidation: {manifests: {payloadsizelimit: 0}}", "validation.manifests.payloadsizelimit: must be a number of bytes above 0"),  # noqa: E501
        (MINIMAL + "\nvalidation: {manifests: {indexes: {platforms: some}}}", "validation.manifests.indexes.platforms: must be one of all, none, list, not 'some'"),  # noqa: E501
        (MINIMAL + '\nhttp: {headers: {X: ["a", "b\\n"]}}', "http.headers.X: must be one line of printable characters"),
        ('storage: {inmemory: }\nnotifications: {endpoints: [{name: a, url: "http://a", headers: {X: ["b\\n"]}}]}', "notifications.endpoints[0].headers.X: must be one line of printable characters"),  # noqa: E501
        (ENDPOINT % "ftp://x", "notifications.endpoints[0].url: must start with http:// or https://"),
        (MINIMAL + "\nnotifications: {endpoints: [{name: a}]}", "notifications.endpoints[0].url is missing"),
        (MINIMAL + "\nnotifications: {endpoints: [{name: a, url: 'http://a'}, {name: a, url: 'http://b'}]}", "notifications.endpoints: each endpoint needs a name of its own"),  # noqa: E501
        (MINIMAL + "\nnotifications: {endpoints: [{name: a, url: 'http://a', timeout: 5}]}", "notifications.endpoints[0].timeout: 5 is not a duration; write it with its unit, as in 500ms, 30s or 1h30m"),  # noqa: E501
    ],
    ids=lambda value: value[-50:],
)  # fmt: skip
def test_an_error_is_one_line_with_the_file_and_the_key(path, text, message):
    assert refusal(path, text).startswith(f"{path}: {message}")


def nested(dotted, value="x"):
    """Return the YAML of one key by its dotted name."""
    words = dotted.split(".")
    lines = [f"{'  ' * depth}{word}:" for depth, word in enumerate(words)]
    return "\n".join(lines) + f" {value}\n"


def with_key(dotted):
    """Return a file that has a key of the Go registry beside the least that ours needs."""
    return nested(dotted) + (f"  {MINIMAL[10:-1]}" if dotted.startswith("storage") else MINIMAL)


@pytest.mark.parametrize("dotted", sorted(FOREIGN.refused))
def test_a_key_without_which_the_registry_would_be_less_safe_stops_the_start(path, dotted):
    advice = FOREIGN.refused[dotted]
    assert refusal(path, with_key(dotted)) == f"{path}: {dotted} is not supported: {advice}"
    variable = "REGISTRY_" + dotted.upper().replace(".", "_")
    message = f"environment variable {variable}: {dotted} is not supported: {advice}"
    assert refusal(path, environ={variable: "x"}) == message


@pytest.mark.parametrize("dotted", sorted(FOREIGN.ignored))
def test_a_key_that_means_nothing_here_warns(path, dotted):
    text = with_key(dotted)
    if dotted == "storage.filesystem.maxthreads":
        text = nested(dotted, "100")
    assert read(path, text).warnings == (f"{path}: {dotted} has no effect here and is ignored",)


@pytest.mark.parametrize(
    ("variable", "warning"),
    [
        ("REGISTRY_STORAG", "names no configuration key and is ignored; did you mean REGISTRY_STORAGE?"),
        ("REGISTRY_HTTP_ADR", "names no configuration key and is ignored; did you mean REGISTRY_HTTP_ADDR?"),
        ("REGISTRY_PORT_5000_TCP", "names no configuration key and is ignored"),
        ("REGISTRY_HTTP_SECRET", "http.secret has no effect here and is ignored"),
        ("REGISTRY_HTTP_DEBUG_ADDR", "http.debug.addr has no effect here and is ignored"),
    ],
)
def test_a_variable_that_reaches_nothing_warns(path, variable, warning):
    loaded = read(path, environ={variable: "x"})
    assert loaded.warnings == (f"environment variable {variable}: {warning}",)
    assert loaded.config == read(path).config


def test_the_path_of_the_file_itself_is_no_key(path):
    assert read(path, environ={"REGISTRY_CONFIGURATION_PATH": "/x"}).warnings == ()


@pytest.mark.parametrize(
    ("environ", "attribute", "expected"),
    [
        ({"REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED": "true"}, "readonly", Enabled(enabled=True)),
        ({"REGISTRY_STORAGE_MAINTENANCE_READONLY": '{"enabled":true}'}, "readonly", Enabled(enabled=True)),
        (
            {"REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING": "{enabled: false}"},
            "uploadpurging",
            UploadPurging(enabled=False),
        ),
        (
            {"REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_AGE": "1h"},
            "uploadpurging",
            UploadPurging(age=Duration(3600.0)),
        ),
    ],
    ids=str,
)
def test_a_section_may_be_set_whole_or_key_by_key(path, environ, attribute, expected):
    assert getattr(read(path, environ=environ).config.storage.maintenance, attribute) == expected


def test_an_error_in_a_variable_names_it(path):
    message = refusal(path, environ={"REGISTRY_LOG_LEVEL": "loud"})
    assert message == "REGISTRY_LOG_LEVEL: log.level: must be one of error, warn, info, debug, not 'loud'"


@pytest.mark.parametrize(
    ("platforms", "platform", "required"),
    [
        ("all", Platform("linux", "amd64"), True),
        ("all", None, True),
        ("none", Platform("linux", "amd64"), False),
        ("list", Platform("linux", "amd64"), True),
        ("list", Platform("linux", "arm64"), False),
        ("list", None, False),
    ],
)
def test_an_index_needs_the_images_of_the_platforms_configured(platforms, platform, required):
    assert IndexValidation(platforms, (Platform("linux", "amd64"),)).requires(platform) is required


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (":5000", (None, 5000)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:5000", ("::1", 5000)),
        ("[::]:65535", ("::", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(address, expected):
    assert split_address(address) == expected


@pytest.mark.parametrize("address", ["", "5000", "a", "a:", "a:b", "a:65536", "a:-1", "a:1.5", "a: 1"])
def test_what_is_no_address(address):
    with pytest.raises(ValueError, match=re.escape(f"http.addr: must have the form host:port, not {address!r}")):
        split_address(address)
