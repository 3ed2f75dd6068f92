"""conf/*/config.reference.yml is the manual: every key stands in it, with the default that the code has."""

import dataclasses
import types
from pathlib import Path
from typing import Union, get_args, get_origin, get_type_hints

import pytest
import yaml

from registry_service.config import Config as RegistryConfig
from registry_service.config import Filesystem
from registry_service.loading import load_config
from shared.config import Secret
from web_service.config import Config as WebConfig
from web_service.config import load_config as load_web_config

CONF = Path(__file__).resolve().parents[1] / "conf"
REGISTRY = CONF / "registry/config.reference.yml"
WEB = CONF / "registry-web/config.reference.yml"


def keys(schema, above=""):
    """Return the dotted path of every key of a configuration."""
    found = set()
    hints = get_type_hints(schema)
    for field in dataclasses.fields(schema):
        dotted = f"{above}{field.metadata.get('key', field.name)}"
        found.add(dotted)
        section = section_of(hints[field.name])
        if section is not None:
            found |= keys(section, f"{dotted}.")
    return found


def section_of(hint):
    """Return the dataclass below a key: itself, optional, or as the entries of a list."""
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(one for one in get_args(hint) if one is not types.NoneType)
    if get_origin(hint) is tuple:
        hint = get_args(hint)[0]
    return hint if dataclasses.is_dataclass(hint) and hint is not Secret else None


def everything(path):
    """Return the file with its commented keys made real."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        bare = line.lstrip()
        indent = line[: len(line) - len(bare)]
        uncommented = bare.removeprefix("#").removeprefix(" ") if bare.startswith("#") else bare
        lines.append((indent, uncommented))
    return "\n".join(indent + text for indent, text in lines)


@pytest.mark.parametrize(("path", "schema"), [(REGISTRY, RegistryConfig), (WEB, WebConfig)], ids=["registry", "web"])
def test_every_key_is_in_the_manual(path, schema):
    text = everything(path)
    missing = [dotted for dotted in sorted(keys(schema)) if f"{dotted.rpartition('.')[2]}:" not in text]
    assert missing == []


def test_the_registrys_manual_states_the_defaults():
    loaded = load_config(REGISTRY, {})
    storage = dataclasses.replace(loaded.config.storage)
    assert storage.filesystem == Filesystem()
    assert loaded.config == RegistryConfig(storage=storage)
    assert dataclasses.replace(storage, filesystem=None) == type(storage)()
    assert loaded.warnings == ()


def test_the_consoles_manual_states_the_defaults():
    loaded = load_web_config(WEB, {})
    assert loaded.config == WebConfig()
    assert loaded.warnings == ()


def test_the_commented_sections_are_valid_yaml():
    """What an administrator uncomments must not be refused."""
    text = REGISTRY.read_text(encoding="utf-8")
    for start in ("# auth:", "  #  - name: listener", "  # tls:", "      #  - os: linux"):
        block = [line for line in text[text.index(start) :].split("\n\n")[0].splitlines() if line.strip()]
        indent = start.index("#")
        plain = "\n".join(line[indent:].removeprefix("#").removeprefix(" ") for line in block)
        assert yaml.safe_load(plain)
