"""The loader of configuration files, with a schema of its own that holds every kind of value."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.config import ConfigError, Duration, Foreign, Secret, load, parse_duration


@dataclass(frozen=True)
class Limits:
    size: int = 7
    wait: Duration = Duration(1.0)


@dataclass(frozen=True)
class Member:
    name: str
    password: Secret | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Example:
    title: str
    mode: Literal["fast", "safe"] = "safe"
    active: bool = False
    folder: Path = Path("/srv")
    limits: Limits = Limits()
    extra: Limits | None = None
    members: tuple[Member, ...] = ()
    headers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    from_: str = field(default="", metadata={"key": "from"})
    two_words: str = ""


FOREIGN = Foreign(
    ignored=frozenset({"cache", "limits.burst", "members.legacy"}), refused={"plugin": "write it yourself"}
)
PREFIXES = {"APP": (), "LIMITS": ("limits",)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "app.yml"


def read(path, text="title: t", environ=None):
    path.write_text(text, encoding="utf-8")
    return load(Example, path, environ or {}, prefixes=PREFIXES, foreign=FOREIGN)


def refusal(path, text="title: t", environ=None):
    """Return the message of the error, which must be one line."""
    with pytest.raises(ConfigError) as caught:
        read(path, text, environ)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


FULL = """
title: t
mode: fast
active: true
folder: /x
limits: {size: 9, wait: 1m30s}
extra:
members:
  - name: alice
    password: s3cret
    tags: [a, b]
  - name: bob
headers:
  X-One: [a]
  X-Two: [b, c]
from: here
two_words: yes it is
"""


def test_every_kind_of_value_is_read(path):
    loaded = read(path, FULL)
    assert loaded.warnings == ()
    assert loaded.config == Example(
        title="t",
        mode="fast",
        active=True,
        folder=Path("/x"),
        limits=Limits(9, Duration(90.0)),
        extra=Limits(),
        members=(Member("alice", Secret("s3cret"), ("a", "b")), Member("bob")),
        headers={"X-One": ("a",), "X-Two": ("b", "c")},
        from_="here",
        two_words="yes it is",
    )


def test_what_is_absent_has_its_default(path):
    assert read(path).config == Example("t")


@pytest.mark.parametrize("text", ["title: t\nlimits:", "title: t\nheaders:\nmembers:", "title: t\nlimits: {}"])
def test_a_section_without_keys_has_the_defaults(path, text):
    assert read(path, text).config == Example("t")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "{path}: title is missing; it has no default"),
        ("- a", "{path}: must hold `key: value` lines at its top"),
        ("word", "{path}: must hold `key: value` lines at its top"),
        ("a: [", "{path}: is not valid YAML: line 1, column 5: expected the node content, but found '<stream end>'"),
        ("a: b: c", "{path}: is not valid YAML: line 1, column 5: mapping values are not allowed here"),
        ("title: t\nmod: fast", "{path}: mod: is not a key of the configuration; did you mean mode?"),
        ("title: t\nlimits: {siz: 1}", "{path}: limits.siz: is not a key of the configuration; did you mean size?"),
        ("title: t\nTitle: t", "{path}: Title: is not a key of the configuration; did you mean title?"),
        ("title: t\n1: t", "{path}: 1: is not a key of the configuration; did you mean "),
        ("title: t\nmode: slow", "{path}: mode: must be one of fast, safe, not 'slow'"),
        ("title: t\nactive: 1", "{path}: active: must be true or false, not 1"),
        ("title: t\nactive: 'true'", "{path}: active: must be true or false, not 'true'"),
        ("title: t\nlimits: {size: true}", "{path}: limits.size: must be a whole number, not True"),
        ("title: t\nlimits: {size: 1.5}", "{path}: limits.size: must be a whole number, not 1.5"),
        ("title: t\nlimits: {wait: soon}", "{path}: limits.wait: 'soon' is not a duration; write it as in 500ms"),
        ("title: t\nlimits: {wait: 5}", "{path}: limits.wait: 5 is not a duration; write it with its unit"),
        ("title: t\nlimits: {wait: 1.5}", "{path}: limits.wait: 1.5 is not a duration"),
        ("title: t\nlimits: {wait: true}", "{path}: limits.wait: True is not a duration"),
        ("title: t\nlimits: 5", "{path}: limits: must be a section with keys below it, not a single value"),
        ("title: t\nlimits: [size]", "{path}: limits: must be a section with keys below it"),
        ("title: t\nextra: no", "{path}: extra: must be a section with keys below it"),
        ("title: t\nmembers: {name: a}", "{path}: members: must be a list"),
        ("title: t\nmembers: [{name: a}, {}]", "{path}: members[1].name is missing; it has no default"),
        ("title: t\nmembers: [{name: a, tags: b}]", "{path}: members[0].tags: must be a list"),
        ("title: t\nmembers: [{name: a, nam: b}]", "{path}: members[0].nam: is not a key of the configuration"),
        ("title: t\nheaders: [a]", "{path}: headers: must be a mapping of names to values"),
        ("title: t\nheaders: {X: a}", "{path}: headers.X: must be a list"),
        ("title: [t]", "{path}: title: must be text; put it in quotes"),
        ("title: true", "{path}: title: must be text; put it in quotes"),
        ("title:", "{path}: title: has no value"),
        ("title: t\nplugin: x", "{path}: plugin is not supported: write it yourself"),
        ("title: t\nplugin: {deep: x}", "{path}: plugin is not supported: write it yourself"),
        ("title: 2001-99-99", "{path}: is not valid YAML: "),
        ("title: 0b_", "{path}: is not valid YAML: "),
        ("title: !!bool x", "{path}: is not valid YAML: "),
        ("title: !!timestamp x", "{path}: is not valid YAML: "),
        ("title: " + "[" * 3000, "{path}: is not valid YAML: "),
        ("title: a\0b", "{path}: is not valid YAML: "),
        ("title: !!python/name:os.system", "{path}: is not valid YAML: "),
    ],
    ids=lambda value: ascii(value[:40]),
)
def test_an_error_is_one_line_with_file_and_key(path, text, message):
    assert refusal(path, text).startswith(message.format(path=path))


def test_a_missing_file_is_named(path):
    with pytest.raises(ConfigError, match=re.escape(f"{path}: there is no such file")):
        load(Example, path, {}, prefixes=PREFIXES)


def test_a_folder_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path}: cannot be read: Is a directory")):
        load(Example, tmp_path, {}, prefixes=PREFIXES)


def test_a_file_that_is_not_utf8_is_named(path):
    path.write_bytes(b"title: \xff")
    with pytest.raises(ConfigError, match="cannot be read: it is not UTF-8 text"):
        load(Example, path, {}, prefixes=PREFIXES)


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("cache: x", "{path}: cache has no effect here and is ignored"),
        ("cache: {a: [1]}", "{path}: cache has no effect here and is ignored"),
        ("limits: {burst: 1}", "{path}: limits.burst has no effect here and is ignored"),
        ("members: [{name: a, legacy: 1}]", "{path}: members[0].legacy has no effect here and is ignored"),
    ],
)
def test_a_foreign_key_warns(path, text, warning):
    assert read(path, f"title: t\n{text}").warnings == (warning.format(path=path),)


@pytest.mark.parametrize(
    ("variable", "value", "attribute", "expected"),
    [
        ("APP_TITLE", "new", "title", "new"),
        ("APP_TITLE", "true", "title", "true"),
        ("APP_TITLE", "0123", "title", "0123"),
        ("APP_TITLE", "", "title", ""),
        ("APP_TITLE", "a: b # c", "title", "a: b # c"),
        ("APP_MODE", "fast", "mode", "fast"),
        ("APP_ACTIVE", "true", "active", True),
        ("APP_FOLDER", "/y", "folder", Path("/y")),
        ("APP_LIMITS_SIZE", "3", "limits", Limits(3)),
        ("APP_LIMITS_WAIT", "2s", "limits", Limits(wait=Duration(2.0))),
        ("LIMITS_SIZE", "3", "limits", Limits(3)),
        ("APP_LIMITS", "{size: 1, wait: 0}", "limits", Limits(1, Duration(0.0))),
        ("APP_EXTRA_SIZE", "3", "extra", Limits(3)),
        ("APP_EXTRA", "", "extra", Limits()),
        ("APP_MEMBERS_0_NAME", "carol", "members", (Member("carol"),)),
        ("APP_MEMBERS_0", "{name: carol, tags: [x]}", "members", (Member("carol", tags=("x",)),)),
        ("APP_MEMBERS", "[{name: a}, {name: b}]", "members", (Member("a"), Member("b"))),
        ("APP_HEADERS_X-Y", "[a]", "headers", {"x-y": ("a",)}),
        ("APP_HEADERS", "{X: [a]}", "headers", {"X": ("a",)}),
        ("APP_FROM", "there", "from_", "there"),
        ("APP_TWO_WORDS", "x", "two_words", "x"),
    ],
)  # fmt: skip
def test_a_variable_overrides_by_the_path_of_its_name(path, variable, value, attribute, expected):
    loaded = read(path, environ={variable: value})
    assert getattr(loaded.config, attribute) == expected
    assert loaded.warnings == ()


def test_a_variable_leaves_its_neighbours_alone(path):
    config = read(
        path, FULL, {"APP_MEMBERS_1_NAME": "carol", "APP_MEMBERS_2_NAME": "dave", "APP_LIMITS_SIZE": "1"}
    ).config
    assert config.members == (Member("alice", Secret("s3cret"), ("a", "b")), Member("carol"), Member("dave"))
    assert config.limits == Limits(1, Duration(90.0))


def test_a_list_element_is_replaced_as_a_whole(path):
    config = read(path, FULL, {"APP_MEMBERS_0_TAGS_1": "new", "APP_MEMBERS_0_TAGS_2": "more"}).config
    assert config.members[0].tags == ("a", "new", "more")


def test_a_part_overrides_a_whole_that_comes_from_the_environment_too(path):
    environ = {"APP_LIMITS": "{size: 1, wait: 1h}", "APP_LIMITS_SIZE": "2"}
    assert read(path, environ=environ).config.limits == Limits(2, Duration(3600.0))


def test_a_single_value_in_the_file_gives_way_to_a_section(path):
    assert read(path, "title: t\nlimits:", {"APP_LIMITS_SIZE": "2"}).config.limits == Limits(2)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"APP_LIMITS_SIZE": "many"}, "APP_LIMITS_SIZE: limits.size: must be a whole number, not 'many'"),
        ({"LIMITS_SIZE": "many"}, "LIMITS_SIZE: limits.size: must be a whole number, not 'many'"),
        ({"APP_LIMITS": "3"}, "APP_LIMITS: limits: must be a section with keys below it"),
        ({"APP_LIMITS": "{siz: 3}"}, "APP_LIMITS: limits.siz: is not a key of the configuration; did you mean size?"),
        ({"APP_LIMITS": "{size: ["}, "APP_LIMITS: limits: is not valid YAML: line 1"),
        ({"APP_LIMITS": "a: b: c", "APP_LIMITS_SIZE": "1"}, "APP_LIMITS: is not valid YAML: line 1"),
        ({"APP_MODE": "slow"}, "APP_MODE: mode: must be one of fast, safe, not 'slow'"),
        ({"APP_ACTIVE": "["}, "APP_ACTIVE: active: is not valid YAML: line 1"),
        ({"APP_ACTIVE": "on it"}, "APP_ACTIVE: active: must be true or false, not 'on it'"),
        ({"APP_LIMITS_SIZE": "0b_"}, "APP_LIMITS_SIZE: limits.size: "),
        ({"APP_MEMBERS_1_NAME": "a"}, "APP_MEMBERS_1_NAME: the list has only 0 entries; the next index is 0"),
        ({"APP_MEMBERS_0_TAGS": "[x]"}, "{path}: members[0].name is missing; it has no default"),
        ({"APP_MEMBERS": "3"}, "APP_MEMBERS: members: must be a list"),
        ({"APP_MEMBERS": "[{}]"}, "APP_MEMBERS: members[0].name is missing; it has no default"),
        ({"APP_HEADERS": "3"}, "APP_HEADERS: headers: must be a mapping"),
        ({"APP_HEADERS_X": "a"}, "APP_HEADERS_X: headers.x: must be a list"),
        ({"APP_PLUGIN_A": "x"}, "environment variable APP_PLUGIN_A: plugin is not supported: write it yourself"),
    ],
    ids=str,
)
def test_an_error_in_a_variable_names_the_variable(path, environ, message):
    assert refusal(path, environ=environ).startswith(message.replace("{path}", str(path)))


@pytest.mark.parametrize(
    ("variable", "warning"),
    [
        ("APP_TITEL", "environment variable APP_TITEL: names no configuration key and is ignored"),
        ("APP_LIMITS_SIZ", "environment variable APP_LIMITS_SIZ: names no configuration key and is ignored"),
        ("APP_MEMBERS_X_NAME", "environment variable APP_MEMBERS_X_NAME: names no configuration key and is ignored"),
        ("APP_MEMBERS_0_PASSWORD_X", "environment variable APP_MEMBERS_0_PASSWORD_X: names no configuration key"),
        ("APP_CACHE_SIZE", "environment variable APP_CACHE_SIZE: cache.size has no effect here and is ignored"),
        ("APP_LIMITS_BURST", "environment variable APP_LIMITS_BURST: limits.burst has no effect here and is ignored"),
    ],
)
def test_a_variable_that_names_nothing_of_ours_warns(path, variable, warning):
    (said,) = read(path, environ={variable: "x"}).warnings
    assert said.startswith(warning)


@pytest.mark.parametrize("variable", ["TITLE", "APP", "APP_", "app_title", "APPLE_TITLE", "PATH"])
def test_other_variables_are_none_of_our_business(path, variable):
    loaded = read(path, environ={variable: "x"})
    assert (loaded.config, loaded.warnings) == (Example("t"), ())


def test_a_secret_never_prints(path):
    config = read(path, FULL, {"APP_MEMBERS_1_PASSWORD": "hunter2"}).config
    shown = f"{config!r} {config} {config.members[0].password} {config.members[1].password!s:>20}"
    assert "s3cret" not in shown
    assert "hunter2" not in shown
    assert config.members[1].password.value == "hunter2"


def test_a_bare_number_is_a_duration_in_nanoseconds_as_in_go(path):
    assert read(path, "title: t\nlimits: {wait: 1500000000}").config.limits.wait == 1.5


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0), ("0s", 0), ("500ms", 0.5), ("1s", 1), ("1.5h", 5400), ("2h45m", 9900), ("1m30s", 90),
        ("168h", 604800), ("1h1m1s1ms", 3661.001), ("10us", 1e-5), ("10µs", 1e-5), ("10ns", 1e-8),
    ],
)  # fmt: skip
def test_a_duration_is_read_as_go_reads_it(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1", "s", "1 s", "-1s", "1s ", "1d", "1S", "1.s", "1,5s", "1s2", "1h-1m", "1e3s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="is not a duration; write it as in 500ms"):
        parse_duration(text)


@given(st.lists(st.tuples(st.integers(0, 999), st.sampled_from(["h", "m", "s", "ms"])), min_size=1, max_size=4))
def test_a_duration_is_the_sum_of_its_parts(parts):
    units = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert parse_duration(text) == pytest.approx(sum(number * units[unit] for number, unit in parts))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.sampled_from(list("abt: -[]{}&*!|>'\"%@`#?\n\t0123456789.xe_~,"))) | st.text())
def test_any_file_is_a_configuration_or_one_line_of_error(path, text):
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        load(Example, path, {}, prefixes=PREFIXES)
    except ConfigError as error:
        message = str(error)
    else:
        message = "none"
    assert len(message.splitlines()) == 1
