"""The scripts that people and CI call."""

import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography import x509

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


def run(script, *arguments, **environ):
    return subprocess.run(
        [script, *arguments], env=os.environ | environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


@pytest.fixture
def conf(checkout):
    """The folders in which generate-keys works, without any key."""
    kept = {path for path in (checkout / "conf").rglob("*") if path.suffix == ".yml"}
    yield checkout / "conf"
    for path in (checkout / "conf").rglob("*"):
        if path.is_file() and path not in kept:
            path.unlink()


def test_generate_keys_writes_where_the_configuration_files_look(checkout, conf):
    made = run(checkout / "scripts/generate-keys", "--cn", "registry.example.com")
    assert made.returncode == 0, made.stderr
    key, certificate = conf / "registry-web/auth.key", conf / "registry/auth.cert"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert certificate.read_bytes() == (conf / "registry-web/auth.cert").read_bytes()
    read = x509.load_pem_x509_certificate(certificate.read_bytes())
    assert read.subject.rfc4514_string() == "CN=registry.example.com"
    assert read.public_key().key_size == 4096
    assert 3649 <= (read.not_valid_after_utc - read.not_valid_before_utc).days <= 3651
    secret = "notification.token"
    assert (conf / "registry" / secret).read_text() == (conf / "registry-web" / secret).read_text()


def test_generate_keys_replaces_nothing_unless_it_is_told_to(checkout, conf):
    assert run(checkout / "scripts/generate-keys", "--type", "ec").returncode == 0
    before = (conf / "registry-web/auth.key").read_bytes()

    refused = run(checkout / "scripts/generate-keys", "--type", "ec")
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert (conf / "registry-web/auth.key").read_bytes() == before

    assert run(checkout / "scripts/generate-keys", "--type", "ec", "--force").returncode == 0
    assert (conf / "registry-web/auth.key").read_bytes() != before


def test_every_script_has_its_line_in_the_readme(checkout):
    text = (checkout / "scripts/README.md").read_text()
    listed = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    assert listed == {path.name for path in (checkout / "scripts").iterdir() if path.is_file()} - {"README.md"}


def test_system_packages_that_are_there_take_no_time(checkout):
    start = time.monotonic()
    again = run(checkout / "scripts/install-system-packages")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert time.monotonic() - start < 5


@pytest.fixture
def path_without_apt(tmp_path):
    """A PATH that has what the scripts need, but not apt."""
    for command in ("cat", "cmp", "dirname", "id", "sh"):
        (tmp_path / command).symlink_to(shutil.which(command))
    (tmp_path / "python3").symlink_to(Path(sys.executable).resolve())
    return str(tmp_path)


def test_test_script_tells_what_it_leaves_out(checkout, path_without_apt):
    ran = run(checkout / "scripts/test", "--collect-only", "-q", "tests/system", PATH=path_without_apt, CI="")
    assert "LEFT OUT" in ran.stderr
    assert "install-system-packages" in ran.stderr
    assert "tests/system/test_scripts.py" in ran.stdout + ran.stderr


def test_test_script_leaves_nothing_out_on_ci(checkout, path_without_apt):
    ran = run(checkout / "scripts/test", PATH=path_without_apt, CI="true")
    assert ran.returncode == 2
    assert "the system tests cannot run here" in ran.stderr


def test_python_that_is_too_old_is_told_in_one_line(checkout):
    ran = run(checkout / "scripts/run", CANGKU_VENV=str(checkout / "absent"), PYTHON="false")
    assert ran.returncode == 2
    assert ran.stderr == "run: needs Python 3.11 or newer, as python3 or named in $PYTHON; there is none\n"
