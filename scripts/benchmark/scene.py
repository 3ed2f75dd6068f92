"""What the rows share: how large everything is, where it lies, and what is ready to be sent."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from scripts.benchmark.content import Image, renew, write_large_file, write_layout
from scripts.benchmark.load import Sample
from scripts.benchmark.sides import Program, Side

MIB: Final = 1 << 20


@dataclass(frozen=True)
class Scale:
    """Sizes and numbers: seconds of one run, rounds whose median counts, bytes of large blobs, lengths of lists."""

    seconds: float = 2.0
    rounds: int = 3
    large_bytes: int = 256 * MIB
    huge_bytes: int = 1024 * MIB
    image_large: tuple[int, int] = (10, 20 * MIB)
    image_small: tuple[int, int] = (60, 100 << 10)
    manifests: int = 2_000
    tags: int = 10_000
    repositories: int = 100_000
    referrers: int = 1_000


QUICK: Final = Scale(
    seconds=1.0,
    rounds=1,
    large_bytes=64 * MIB,
    huge_bytes=256 * MIB,
    image_large=(10, 2 * MIB),
    image_small=(20, 100 << 10),
    manifests=200,
    tags=1_000,
    repositories=2_000,
    referrers=100,
)


@dataclass
class Scene:
    """A run of the whole table.

    `images` are what the reading rows read, by the side's URL; `fresh` are the large files that every side is sent in
    this round, each with its digest.
    """

    scale: Scale
    folder: Path
    programs: list[Program]
    images: dict[str, Image] = field(default_factory=dict)
    round: int = 0
    fresh: list[tuple[Path, str]] = field(default_factory=list)

    def image(self, side: Side) -> Image:
        """Return the small image that was pushed to a side."""
        return self.images[side.url]

    def large_files(self, number: int) -> list[tuple[Path, str]]:
        """Return so many large files that nobody has yet, each with its digest."""
        paths = [self.folder / f"large-{i}" for i in range(number)]
        for path in paths:
            if not path.exists():
                write_large_file(path, self.scale.large_bytes)
        return [(path, renew(path)) for path in paths]

    def mark(self) -> str:
        """Return a text that belongs to this run and this round alone."""
        return f"{self.folder.name}-{self.round}"

    def layout(self, layers: int, layer_bytes: int) -> Path:
        """Return an OCI layout with an image that nobody has yet."""
        folder = self.folder / f"layout-{layers}"
        write_layout(folder, layers, layer_bytes)
        return folder

    def empty(self, name: str) -> Path:
        """Return an empty folder."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder


@dataclass(frozen=True)
class Row:
    """A line of the table.

    `prepare` makes what every side of one round is given; `limit` measures what the machine can do; `goals` are ratios
    of ours to another kind, to a side by its name, or to "limit"; kinds in `lacking` do not offer what is measured.
    `once` spares the rounds, `repeats` makes them so many times as many. `reach` is a value to be reached whatever
    others do; with `compares_p99` the slowest answers must be no slower than those of the best peer. `tenth` names the
    row of a tenth of the entries: this one must take no longer, or `grown` times as long where the answer is so much
    longer. Nobody can be faster than a limit that is `bounding`.
    """

    name: str
    unit: str
    measure: Callable[[Scene, Side], Sample]
    prepare: Callable[[Scene], None] | None = None
    limit: Callable[[Scene], Sample] | None = None
    better: Literal["more", "less"] = "more"
    goals: dict[str, float] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)
    once: bool = False
    repeats: int = 1
    reach: float = 0.0
    compares_p99: bool = False
    tenth: str = ""
    grown: float = 1.0
    bounding: bool = False


@dataclass(frozen=True)
class Group:
    """Rows that are measured on the same running sides; `sides` starts them and makes what the rows read."""

    name: str
    sides: Callable[[Scene], list[Side]]
    rows: tuple[Row, ...]
