"""A fresh copy of the project, as a clone with the changes at hand would be."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def fresh_copy(folder: Path) -> Path:
    """Copy every file that git knows or would take up, and nothing that was built, and return the folder."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, folder / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            target.chmod(source.stat().st_mode)
    return folder


def processes_of(folder: Path) -> dict[int, str]:
    """Return the processes whose command line names a file in the folder."""
    found = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208  only names are wanted
        if not entry.isdecimal() or int(entry) == os.getpid():
            continue
        try:
            command = Path("/proc", entry, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it ended meanwhile
        if f"{folder}/" in command:
            found[int(entry)] = command
    return found
