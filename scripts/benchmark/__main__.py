"""`scripts/bench`: our registry beside others on this machine, row by row."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

from scripts.benchmark import report
from scripts.benchmark.groups import GROUPS
from scripts.benchmark.load import Failed
from scripts.benchmark.reading import SILENT
from scripts.benchmark.results import LIMIT, Result
from scripts.benchmark.scene import MIB, QUICK, Group, Row, Scale, Scene
from scripts.benchmark.sides import ONE_WORKER, Kind, Program, Side
from scripts.benchmark.tokens import SIGNER
from scripts.benchmark.verdicts import OURS

_TOOLS: Final = ("wrk", "curl", "skopeo")
_KINDS: Final = ("go", "olareg")
_MOST_WORKERS: Final = 4


def main() -> int:
    """Measure, print the table, and return the exit code: 0 done, 2 the command line cannot be used."""
    options = _options(sys.argv[1:])
    lacking = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if lacking:
        print(f"bench: {', '.join(lacking)} not installed: scripts/install-system-packages", file=sys.stderr)  # noqa: T201
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    scale = QUICK if options.quick else Scale()
    programs = _programs(options)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as folder:
        scene = Scene(scale, Path(folder), programs)
        began = time.monotonic()
        results = [one for group in _wanted(options.only) for one in _run(scene, group)]
        settings = _settings(programs, scale, Path(folder))
    _print(results, settings, [*(one.name for one in programs), SILENT, SIGNER])
    if options.json is not None:
        report.write_json(options.json, report.document(results, settings, scale, time.monotonic() - began))
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure the registry beside others, on loopback, each row for all sides in turn.",
        epilog=f"Groups: {', '.join(group.name for group in GROUPS)}.",
    )
    parser.add_argument(
        "other", nargs="*", type=_program, metavar="NAME=PATH|URL",
        help="another registry: a binary that takes `serve CONFIG`, olareg=PATH for olareg, or the URL of one that "
        "runs; Debian's docker-registry takes part where it is installed",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="small sizes and one short round: does it work at all?")
    parser.add_argument("--only", action="append", default=[], metavar="GROUP", help="these groups of rows")
    parser.add_argument("--json", type=lambda text: Path(text).resolve(), metavar="FILE", help="write all there, too")
    parser.add_argument(
        "--folder", type=_folder, metavar="FOLDER", help="where images are kept meanwhile; 10 GiB or more"
    )
    parser.add_argument(
        "--workers", type=int, default=min(os.cpu_count() or 1, _MOST_WORKERS), metavar="N",
        help="worker processes of ours, beside which there is a column with one; default: the registry's own",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    unknown = set(options.only) - {group.name for group in GROUPS}
    if unknown:
        parser.error(f"there is no group {', '.join(sorted(unknown))}")
    return options


def _folder(text: str) -> Path:
    if not os.access(text, os.W_OK | os.X_OK) or not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no folder that can be written to")
    return Path(text)


def _program(text: str) -> Program:
    name, equals, where = text.partition("=")
    if not (equals and name and where):
        raise argparse.ArgumentTypeError(f"must be NAME=PATH or NAME=URL, not {text!r}")
    if where.startswith(("http://", "https://")):
        return Program(name, "url", where)
    path = shutil.which(where)
    if path is None:
        raise argparse.ArgumentTypeError(f"{where} is no program")
    return Program(name, cast("Kind", name if name in _KINDS else "go"), str(Path(path).resolve()))


def _programs(options: argparse.Namespace) -> list[Program]:
    programs = [Program(OURS, "ours", sys.executable, options.workers)]
    if options.workers > 1:
        programs.append(Program(ONE_WORKER, "ours", sys.executable))
    debian = shutil.which("docker-registry")
    if debian is not None:
        programs.append(Program("docker-registry", "go", debian))
    return [*programs, *options.other]


def _wanted(names: Sequence[str]) -> list[Group]:
    return [group for group in GROUPS if not names or group.name in names]


def _run(scene: Scene, group: Group) -> list[Result]:
    """Start the sides of a group and measure its rows; what cannot be started is a result as well."""
    results = [Result(row, _named(row, scene.scale), group.name) for row in group.rows]
    try:
        sides = group.sides(scene)
    except (RuntimeError, OSError) as error:
        for result in results:
            result.missing["all"] = str(error)
        return results
    try:
        for result in results:
            _measure(scene, result, sides)
    finally:
        for side in sides:
            side.stop()
    for side in sides:
        if side.folder is not None:
            shutil.rmtree(side.folder, ignore_errors=True)
    return results


def _measure(scene: Scene, result: Result, sides: Sequence[Side]) -> None:
    """Measure a row: in each round every side once, so that what disturbs the machine disturbs all of them."""
    row = result.row
    for number in range(1 if row.once else scene.scale.rounds * row.repeats):
        scene.round += 1
        if row.prepare is not None:
            row.prepare(scene)
        for side in sides if number % 2 == 0 else reversed(sides):
            if side.name in result.missing:
                continue
            if side.program.kind in row.lacking:
                result.missing[side.name] = row.lacking[side.program.kind]
                continue
            os.sync()  # what another side has left for the disk is not to be waited for by this one
            try:
                result.add(side.name, side.program.kind, row.measure(scene, side))
            except (Failed, OSError, RuntimeError) as error:
                result.missing[side.name] = str(error)
        if row.limit is not None:
            os.sync()
            result.add(LIMIT, LIMIT, row.limit(scene))
    values = (f"{side.name} {result.value(side.name):.4g}" for side in sides if side.name in result.samples)
    print(f"bench: {result.name}: {', '.join(values)}", file=sys.stderr, flush=True)  # noqa: T201


def _named(row: Row, scale: Scale) -> str:
    large, small = scale.image_large, scale.image_small
    return row.name.format(
        manifests=f"{scale.manifests:,}",
        tags=f"{scale.tags:,}",
        repositories=f"{scale.repositories:,}",
        referrers=f"{scale.referrers:,}",
        huge=f"{scale.huge_bytes // MIB} MiB",
        image_large=f"{large[0]} x {large[1] // MIB} MiB",
        image_small=f"{small[0]} x {small[1] >> 10} KiB",
    )


def _settings(programs: Sequence[Program], scale: Scale, folder: Path) -> dict[str, str]:
    command = ["stat", "--file-system", "--format", "%T", str(folder)]
    filesystem = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return {
        "machine": report.describe_machine(),
        "storage": f"a folder on {filesystem.stdout.strip() or 'an unknown file system'} for each side",
        "sides": "; ".join(f"{one.name}: {one.version()}" for one in programs),
        "configuration": "each as it comes, but: access log off and log level error for all (the rows that say so "
        "excepted), no purging of uploads, deletion allowed; no authentication but in the rows with a token; "
        "durability as each has it by default: ours syncs each file and folder before it answers",
        "rates": f"wrk, 32 connections, one thread, {scale.seconds:g} s; the same request again and again, but where "
        "the row says what changes: a header, the manifest, or a parameter of the query (every request another)",
        "lists": "median of the same request again and again, one after another over one connection",
        "rounds": f"median of {scale.rounds} (images: {3 * scale.rounds}), all sides in turn in each round; "
        "nothing waits for the disk at the begin",
        "large blob": f"{scale.large_bytes // MIB} MiB, curl",
    }


def _print(results: Sequence[Result], settings: dict[str, str], sides: Sequence[str]) -> None:
    for name, text in settings.items():
        print(f"{name}: {text}")  # noqa: T201
    print(f"\n{report.table(results, sides)}\n")  # noqa: T201
    for line in report.missing(results):
        print(f"not measured: {line}")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
