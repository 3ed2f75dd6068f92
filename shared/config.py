"""Configuration: a YAML file and the environment, read into frozen dataclasses.

The dataclass is the schema: a field's name is the key, its type says what the value may be, its default what an
absent key means. Every problem is a ConfigError of one line that names the file or variable and the key.
"""

import dataclasses
import difflib
import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, Literal, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

T = TypeVar("T")

Duration = NewType("Duration", float)
"""Seconds; written as in Go: `500ms`, `1.5h`, `2h45m`."""

_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")


class ConfigError(Exception):
    """The configuration cannot be used; the message is one line for the administrator."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that never prints: `value` must be asked for by name."""

    value: str

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Foreign:
    """Keys of the program that we replace, by dotted path: `ignored` ones warn, `refused` ones stop the start.

    A key is refused, with the given advice, when a service that left it out would be less safe than its file says.
    """

    ignored: frozenset[str] = frozenset()
    refused: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[T]):
    """A configuration and what its reader should be told about it."""

    config: T
    warnings: tuple[str, ...]


class _Text(str):
    """A value from the environment: text where text is wanted, YAML elsewhere."""

    __slots__ = ()


def parse_duration(text: str) -> float:
    """Return the seconds of a Go duration such as `1m30s`; raises ValueError."""
    if text == "0":
        return 0.0
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration; write it as in 500ms, 30s or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(text))


def load(
    schema: type[T],
    path: Path,
    environ: Mapping[str, str],
    *,
    prefixes: Mapping[str, tuple[str, ...]],
    foreign: Foreign | None = None,
) -> Loaded[T]:
    """Read `path`, override it from `environ`, and build `schema`; raises ConfigError.

    `prefixes` says which part of the tree a variable's first word reaches: {"REGISTRY": ()} is the whole tree.
    """
    return _Loader(path, foreign or Foreign()).load(schema, environ, prefixes)


class _Loader:
    def __init__(self, path: Path, foreign: Foreign) -> None:
        self.path = path
        self.foreign = foreign
        self.warnings: list[str] = []
        self.variables: dict[str, str] = {}
        self.names: list[str] = []

    def load(self, schema: type[T], environ: Mapping[str, str], prefixes: Mapping[str, tuple[str, ...]]) -> Loaded[T]:
        tree = self._read()
        self.names = [
            "_".join([word, *path.split(".")[len(start) :]]).upper()
            for word, start in prefixes.items()
            for path in _paths(schema)
            if path.split(".")[: len(start)] == list(start)
        ]
        for variable in sorted(environ):
            word, _, rest = variable.partition("_")
            if word in prefixes and rest:
                start = [part.upper() for part in prefixes[word]]
                self._override(tree, schema, variable, [*start, *rest.split("_")], environ[variable])
        return Loaded(self._build(schema, tree, ""), tuple(self.warnings))

    def _read(self) -> dict[str, Any]:
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise ConfigError(f"{self.path}: there is no such file; give the path of a configuration file") from None
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise ConfigError(f"{self.path}: cannot be read: {reason}") from error
        tree = _yaml(text, str(self.path))
        if tree is None:
            return {}
        if not isinstance(tree, dict):
            raise ConfigError(f"{self.path}: must hold `key: value` lines at its top")
        return tree

    def _override(self, tree: dict[str, Any], schema: type, variable: str, words: list[str], text: str) -> None:
        """Set the value that a variable names in the tree, making the levels above it where they are missing."""
        steps = _resolve(schema, words)
        if steps is None:
            dotted = ".".join(words).lower()
            where = f"environment variable {variable}"
            if not self._foreign(dotted, where, text):
                near = difflib.get_close_matches(variable, self.names, n=1, cutoff=0.8)
                advice = f"; did you mean {near[0]}?" if near else ""
                self.warnings.append(f"{where}: names no configuration key and is ignored{advice}")
            return
        self.variables[_dotted(steps)] = variable
        place: Any = tree
        for depth, (step, following) in enumerate(zip(steps, [*steps[1:], None], strict=True), 1):
            value: Any = _Text(text) if following is None else [] if isinstance(following, int) else {}
            source = self.variables.get(_dotted(steps[:depth]), variable)
            place = self._descend(place, step, value, source, last=following is None)

    def _descend(self, place: Any, step: str | int, value: Any, variable: str, *, last: bool) -> Any:
        if isinstance(step, int):
            if step > len(place):
                raise ConfigError(f"{variable}: the list has only {len(place)} entries; the next index is {len(place)}")
            if step == len(place):
                place.append(value)
            elif last or not isinstance(place[step], type(value)):
                place[step] = value
            return place[step]
        present = place.get(step)
        if isinstance(present, _Text) and not last:
            present = place[step] = _yaml(present, variable)
        if last or not isinstance(present, type(value)):
            place[step] = value
        return place[step]

    def _foreign(self, dotted: str, where: str, value: Any) -> bool:
        """Warn of, or refuse, a key that only the replaced program has; return whether it was one.

        A key that asks for nothing (false, or empty) is never refused.
        """
        plain = re.sub(r"\[\d+\]", "", dotted)
        heads = {".".join(plain.split(".")[: i + 1]) for i in range(plain.count(".") + 1)}
        refused = sorted(heads & self.foreign.refused.keys())
        if refused and not _asks_for_nothing(value):
            raise ConfigError(f"{where}: {refused[0]} is not supported: {self.foreign.refused[refused[0]]}")
        if refused or heads & self.foreign.ignored:
            self.warnings.append(f"{where}: {dotted} has no effect here and is ignored")
            return True
        return False

    def _where(self, dotted: str) -> str:
        for key in (dotted, *(dotted[: m.start()] for m in reversed(list(re.finditer(r"[.\[]", dotted))))):
            if key in self.variables:
                return f"{self.variables[key]}: {dotted}"
        return f"{self.path}: {dotted}" if dotted else str(self.path)

    def _build(self, schema: type[T], tree: Any, dotted: str) -> T:
        if isinstance(tree, _Text):
            tree = _yaml(tree, self._where(dotted))
        tree = {} if tree is None else tree
        if not isinstance(tree, dict):
            raise ConfigError(f"{self._where(dotted)}: must be a section with keys below it, not a single value")
        hints = get_type_hints(schema)
        keys = {_key(field): field for field in dataclasses.fields(schema)}  # type: ignore[arg-type]
        self._check_keys(tree, keys, dotted)
        values: dict[str, Any] = {}
        for key, field in keys.items():
            below = f"{dotted}.{key}" if dotted else key
            if key in tree:
                values[field.name] = self._convert(hints[field.name], tree[key], below)
            elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                raise ConfigError(f"{self._where(below)} is missing; it has no default")
        return schema(**values)

    def _check_keys(self, tree: dict[Any, Any], keys: Mapping[str, Any], dotted: str) -> None:
        for key, value in tree.items():
            below = f"{dotted}.{key}" if dotted else str(key)
            if key not in keys and not self._foreign(below, str(self.path), value):
                near = difflib.get_close_matches(str(key), keys, n=1, cutoff=0.0)
                advice = f"; did you mean {near[0]}?" if near else ""
                raise ConfigError(f"{self._where(below)}: is not a key of the configuration{advice}")

    def _convert(self, hint: Any, value: Any, dotted: str) -> Any:
        origin, arguments = get_origin(hint), get_args(hint)
        if origin in (Union, types.UnionType):
            return self._optional(arguments, value, dotted)
        if dataclasses.is_dataclass(hint) and hint is not Secret:
            return self._build(hint, value, dotted)  # type: ignore[arg-type]
        if origin is tuple:
            return tuple(
                self._convert(arguments[0], item, f"{dotted}[{i}]") for i, item in enumerate(self._list(value, dotted))
            )
        if origin is dict:
            return {
                str(key): self._convert(arguments[1], item, f"{dotted}.{key}")
                for key, item in self._mapping(value, dotted).items()
            }
        return self._scalar(hint, value, dotted)

    def _optional(self, arguments: tuple[Any, ...], value: Any, dotted: str) -> Any:
        """Read `X | None`. A section that stands there without keys is a section, not an absent one."""
        (inner,) = (argument for argument in arguments if argument is not types.NoneType)
        is_section = dataclasses.is_dataclass(inner) and inner is not Secret
        return None if value is None and not is_section else self._convert(inner, value, dotted)

    def _list(self, value: Any, dotted: str) -> list[Any]:
        value = _yaml(value, self._where(dotted)) if isinstance(value, _Text) else value
        if value is None:
            return []
        if not isinstance(value, list):
            raise ConfigError(f"{self._where(dotted)}: must be a list")
        return value

    def _mapping(self, value: Any, dotted: str) -> dict[Any, Any]:
        value = _yaml(value, self._where(dotted)) if isinstance(value, _Text) else value
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise ConfigError(f"{self._where(dotted)}: must be a mapping of names to values")
        return value

    def _scalar(self, hint: Any, value: Any, dotted: str) -> Any:
        try:
            return _read_scalar(hint, value, self._where(dotted))
        except ValueError as error:
            raise ConfigError(f"{self._where(dotted)}: {error}") from None


def _key(field: "dataclasses.Field[Any]") -> str:
    return str(field.metadata.get("key", field.name))


def _dotted(steps: list[str | int]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".")


def _resolve(hint: Any, words: list[str]) -> list[str | int] | None:
    """Return the keys and indexes that the words of a variable name lead through, None when they lead nowhere."""
    if not words:
        return []
    arguments = get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        return _resolve(next(argument for argument in arguments if argument is not types.NoneType), words)
    if get_origin(hint) is tuple:
        rest = _resolve(arguments[0], words[1:]) if words[0].isdecimal() else None
        return None if rest is None else [int(words[0]), *rest]
    if get_origin(hint) is dict:
        return ["_".join(words).lower()]
    if not dataclasses.is_dataclass(hint) or hint is Secret:
        return None
    hints = get_type_hints(hint)
    for field in dataclasses.fields(hint):
        parts = _key(field).upper().split("_")
        if words[: len(parts)] == parts:
            rest = _resolve(hints[field.name], words[len(parts) :])
            if rest is not None:
                return [_key(field), *rest]
    return None


def _paths(schema: Any, above: str = "") -> list[str]:
    """Return the dotted path of every key that a variable can name, for advice; entries of lists are left out."""
    found: list[str] = []
    for field in dataclasses.fields(schema):
        path = f"{above}{_key(field)}"
        found.append(path)
        hint = get_type_hints(schema)[field.name]
        inner = next((one for one in get_args(hint) if one is not types.NoneType), hint)
        if dataclasses.is_dataclass(inner) and inner is not Secret and get_origin(hint) is not tuple:
            found += _paths(inner, f"{path}.")
    return found


def _asks_for_nothing(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_asks_for_nothing, value.values()))
    if isinstance(value, list):
        return all(map(_asks_for_nothing, value))
    return value in (None, False, "", 0, "false")


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error: one of the two would be lost unseen."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.value in seen and isinstance(key_node, yaml.ScalarNode):
                problem = f"the key {key_node.value!r} stands there twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            if isinstance(key_node, yaml.ScalarNode):
                seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def _yaml(text: str, where: str) -> Any:
    try:
        return yaml.load(text, _UniqueKeys)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(f"{where}: is not valid YAML: {line}{error.problem}") from None
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        # Beside its own errors PyYAML lets through what a value such as 2001-99-99 or `!!bool x` raises inside it.
        raise ConfigError(f"{where}: is not valid YAML: {' '.join(str(error).split())}") from None


def _read_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint in (str, Secret, Path):
        return _read_text(hint, value)
    if isinstance(value, _Text):
        value = str(value) if hint is Duration or get_origin(hint) is Literal else _yaml(value, where)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ValueError(f"must be one of {', '.join(map(str, get_args(hint)))}, not {value!r}")
        return value
    if hint is Duration:
        return _read_duration(value)
    if hint is bool and isinstance(value, bool):
        return value
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"must be {'true or false' if hint is bool else 'a whole number'}, not {value!r}")


def _read_text(hint: Any, value: Any) -> Any:
    if value is None:
        raise ValueError("has no value")
    if isinstance(value, dict | list | bool):
        raise ValueError("must be text; put it in quotes")
    return hint(str(value))


def _read_duration(value: Any) -> Duration:
    if isinstance(value, str):
        return Duration(parse_duration(value))
    nanoseconds_worth_meaning = 1_000_000
    if isinstance(value, int) and not isinstance(value, bool) and (value == 0 or value >= nanoseconds_worth_meaning):
        return Duration(value / 1e9)  # the Go registry's reading of a bare number
    raise ValueError(f"{value!r} is not a duration; write it with its unit, as in 500ms, 30s or 1h30m")
