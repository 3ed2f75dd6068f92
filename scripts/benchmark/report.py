"""The results: a table for people, JSON for programs."""

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from scripts.benchmark.load import Sample
from scripts.benchmark.scene import Row, Scale

LIMIT: Final = "limit"


@dataclass
class Result:
    """What was measured of a row: the samples of each side, and why those of others are missing."""

    row: Row
    name: str
    group: str
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def add(self, side: str, kind: str, sample: Sample) -> None:
        """Take a sample of a side, or of the limit."""
        self.samples.setdefault(side, []).append(sample)
        self.kinds[side] = kind

    def value(self, side: str) -> float | None:
        """Return the median of a side's samples."""
        found = self.samples.get(side)
        return median(sample.value for sample in found) if found else None

    def p99(self, side: str) -> float | None:
        """Return the median 99th percentile of a side's samples, in milliseconds."""
        found = [sample.p99 for sample in self.samples.get(side, []) if sample.p99 is not None]
        return median(found) if found else None

    def ratio(self, side: str, other: str) -> float | None:
        """Return how many times better a side is than another."""
        own, theirs = self.value(side), self.value(other)
        if not own or not theirs:
            return None
        return own / theirs if self.row.better == "more" else theirs / own

    def verdict(self, side: str) -> str:
        """Return the ratios of a side to all others, each with its goal where there is one."""
        parts = []
        for other, kind in self.kinds.items():
            ratio = self.ratio(side, other)
            if other == side or kind == "ours" or ratio is None:
                continue
            goal = self.row.goals.get(kind)
            held = "" if goal is None else f" ({'holds' if ratio >= goal else 'MISSES'} {goal:g}x)"
            parts.append(f"{ratio:.2f}x {other}{held}")
        return ", ".join(parts)


def describe_machine() -> str:
    """Return the class of this machine, without its name."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    memory = Path("/proc/meminfo").read_text().split()[1]
    kernel = ".".join(platform.release().split(".")[:2])
    python = platform.python_version()
    return f"{len(models)} cores of {models[0]}, {int(memory) >> 20} GiB, Linux {kernel}, Python {python}"


def table(results: Sequence[Result], sides: Sequence[str]) -> str:
    """Return the table in Markdown: a column for each side, the 99th percentile behind the rate."""
    columns = [side for side in (*sides, LIMIT) if any(side in result.samples for result in results)]
    lines = [
        "| " + " | ".join(["row", "unit", *columns, "ours is"]) + " |",
        "|" + " --- |" * (len(columns) + 3),
    ]
    for result in results:
        cells = [_cell(result, side) for side in columns]
        best = next((side for side in result.samples if result.kinds[side] == "ours"), sides[0])
        lines.append("| " + " | ".join([result.name, result.row.unit, *cells, result.verdict(best)]) + " |")
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
            "missing": result.missing,
        }
        for result in results
    ]
    when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"when": when, "seconds": round(seconds), "settings": settings, "scale": vars(scale), "rows": rows}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write the document as a file."""
    path.write_text(json.dumps(content, indent=1, default=str) + "\n")
