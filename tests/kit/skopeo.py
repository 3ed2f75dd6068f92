"""skopeo, the quickest real client: it needs no daemon. Its logins are kept in the given folder."""

import subprocess
from pathlib import Path


def sign_in(folder: Path, registry: str, user: str, password: str) -> str:
    return skopeo(folder, "login", "--tls-verify=false", "-u", user, "--password-stdin", registry, stdin=password)


def copy(folder: Path, source: str, target: str) -> str:
    """Copy an image as it is, with its digests."""
    tls = ("--src-tls-verify=false", "--dest-tls-verify=false")
    return skopeo(folder, "copy", *tls, "--preserve-digests", source, target)


def skopeo(folder: Path, command: str, *arguments: str, stdin: str = "") -> str:
    """Run a command, which must succeed, and return all that it printed."""
    ran = subprocess.run(
        ["skopeo", command, "--authfile", f"{folder}/auth.json", *arguments],
        input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, f"skopeo {command} {arguments}\n{ran.stdout}"
    return ran.stdout
