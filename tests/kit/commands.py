"""Commands as a user types them, and what they print."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

SECONDS = 120


class CommandFailed(AssertionError):
    """A command ended with another exit code than 0; the message holds all that it printed."""


def run(command: Sequence[str | Path], *, stdin: str = "", environ: Mapping[str, str] | None = None) -> str:
    """Return all that a command prints; raises CommandFailed."""
    ran = subprocess.run(
        command, input=stdin, env=os.environ | dict(environ or {}), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    if ran.returncode:
        raise CommandFailed(f"{' '.join(map(str, command))}: exit {ran.returncode}\n{ran.stdout}")
    return ran.stdout
