"""The results: a table for people, JSON for programs."""

import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.benchmark.results import LIMIT, Result
from scripts.benchmark.scene import Scale
from scripts.benchmark.verdicts import verdict


def describe_machine() -> str:
    """Return the class of this machine, without its name."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    memory = Path("/proc/meminfo").read_text().split()[1]
    kernel = ".".join(platform.release().split(".")[:2])
    python = platform.python_version()
    return f"{len(models)} cores of {models[0]}, {int(memory) >> 20} GiB, Linux {kernel}, Python {python}"


def table(results: Sequence[Result], sides: Sequence[str]) -> str:
    """Return the table in Markdown: a column for each side, the 99th percentile behind the rate; then the verdict."""
    columns = [side for side in (*sides, LIMIT) if any(side in result.samples for result in results)]
    lines = [
        "| " + " | ".join(["row", "unit", *columns, "ours is"]) + " |",
        "|" + " --- |" * (len(columns) + 3),
    ]
    for result in results:
        cells = [_cell(result, side) for side in columns]
        lines.append("| " + " | ".join([result.name, result.row.unit, *cells, verdict(result, results)]) + " |")
    return "\n".join(lines)


def _cell(result: Result, side: str) -> str:
    value, p99 = result.value(side), result.p99(side)
    if value is None:
        return "-"
    text = f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"  # noqa: PLR2004
    return text if p99 is None else f"{text} (p99 {p99:.1f} ms)"


def missing(results: Sequence[Result]) -> list[str]:
    """Return a line for everything that was not measured."""
    return [f"{result.name}: {side}: {why}" for result in results for side, why in result.missing.items()]


def document(results: Sequence[Result], settings: dict[str, str], scale: Scale, seconds: float) -> dict[str, Any]:
    """Return everything for programs to read."""
    rows = [
        {
            "row": result.name,
            "group": result.group,
            "unit": result.row.unit,
            "better": result.row.better,
            "goals": result.row.goals,
            "kinds": result.kinds,
            "medians": {side: result.value(side) for side in result.samples},
            "p99_ms": {side: result.p99(side) for side in result.samples},
            "samples": {side: [one.value for one in samples] for side, samples in result.samples.items()},
            "verdict": verdict(result, results),
            "missing": result.missing,
        }
        for result in results
    ]
    when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"when": when, "seconds": round(seconds), "settings": settings, "scale": vars(scale), "rows": rows}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write the document as a file."""
    path.write_text(json.dumps(content, indent=1, default=str) + "\n")
