"""The house rules of docs/architecture.md that a machine can hold: who imports whom, how long a thing may be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("shared", "registry_service", "web_service")
MODULES = sorted(path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
SOURCES = sorted([*MODULES, *(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py"))])
DRAWERS = {"utils", "helpers", "common", "base", "manager"}
MOST_FILE_LINES = 400
MOST_FUNCTION_LINES = 60

PURE = {
    "registry_service/api/framing.py",
    "registry_service/api/http.py",
    "registry_service/api/questions.py",
    "registry_service/layout.py",
    "registry_service/manifests.py",
    "registry_service/notifications/events.py",
    "shared/globs.py",
    "shared/names.py",
    "shared/proxies.py",
    "shared/texts.py",
    "shared/tokens.py",
    "web_service/access.py",
    "web_service/actors.py",
    "web_service/errors.py",
    "web_service/foreign.py",
    "web_service/limits.py",
    "web_service/opaque.py",
    "web_service/patterns.py",
}
IMPURE_LIBRARIES = {"aiohttp", "aiofiles", "asyncio", "peewee", "sqlite3", "socket", "os", "time", "pathlib", "logging"}
PEEWEE = {"models", "db", "migrations", "users", "roles", "sessions", "events"} | {
    "accounts",
    "administrators",
    "groups",
    "audit",
    "access_tokens",
    "refresh_tokens",
    "asked",
}


def tree(module: Path) -> ast.Module:
    return ast.parse((ROOT / module).read_text(encoding="utf-8"))


def imports(module: Path) -> set[str]:
    """Return the dotted names that a module imports, `from a import b` as both `a` and `a.b`."""
    found: set[str] = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def top(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_service_reaches_into_the_other(module):
    allowed = {"shared": {"shared"}}.get(module.parts[0], {"shared", module.parts[0]})
    assert top(imports(module)) & set(PACKAGES) <= allowed


@pytest.mark.parametrize("module", sorted(PURE))
def test_pure_modules_do_no_io(module):
    assert not top(imports(Path(module))) & IMPURE_LIBRARIES


@pytest.mark.parametrize("module", [one for one in MODULES if one.parts[1] == "storage"], ids=str)
def test_drivers_know_bytes_only(module):
    if module.name == "__init__.py":
        return
    inside = {name for name in imports(module) if name.startswith(("registry_service", "shared"))}
    siblings = ("driver", "files", "writing")
    assert all(name.startswith(tuple(f"registry_service.storage.{one}" for one in siblings)) for name in inside)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_only_the_edges_speak_http(module):
    edge = module.parts[1] in {"app.py", "api", "views"}
    assert edge or not {"aiohttp.web", "aiohttp_jinja2"} & imports(module)


@pytest.mark.parametrize("module", [one for one in MODULES if one.parts[0] == "web_service"], ids=str)
def test_only_the_domain_touches_the_database(module):
    at_home = len(module.parts) == 2 and module.stem in PEEWEE
    assert at_home or "peewee" not in top(imports(module))


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_every_module_imports_alone(module):
    """A module that only imports after another hides a circle; one that warns will break."""
    name = ".".join(module.with_suffix("").parts).removesuffix(".__init__")
    command = [sys.executable, "-W", "error", "-c", f"import {name}"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_files_and_functions_can_be_held_in_mind(source):
    assert source.stem not in DRAWERS
    text = (ROOT / source).read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno + 1 <= MOST_FUNCTION_LINES, node.name
