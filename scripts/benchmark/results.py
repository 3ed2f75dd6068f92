"""What was measured of a row."""

from dataclasses import dataclass, field
from statistics import median
from typing import Final

from scripts.benchmark.load import Sample
from scripts.benchmark.scene import Row

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
