"""What the table says of ours in its default configuration: ratios to others, and whether the goals hold."""

from collections.abc import Iterator, Sequence
from typing import Final

from scripts.benchmark.results import LIMIT, Result

OURS: Final = "ours"
"""The column of our default configuration."""

_PEERS: Final = ("go", "olareg", "url")
_NOISE: Final = 1.25
_NOISE_MILLISECONDS: Final = 0.05
"""Two rows of the same side differ by so much for no reason."""


def verdict(result: Result, results: Sequence[Result]) -> str:
    """Return in words what a row tells of ours; rows of the same run may be needed for it."""
    if OURS not in result.samples:
        return ""
    return ", ".join([*_ratios(result), *_reached(result), *_p99(result), *_growth(result, results)])


def _ratios(result: Result) -> Iterator[str]:
    """Yield how many times better ours is than each other, with the goal where there is one."""
    for other, kind in result.kinds.items():
        ratio = result.ratio(OURS, other)
        goal = result.row.goals.get(other, result.row.goals.get(kind))
        if other == OURS or ratio is None or (kind == "ours" and goal is None):
            continue
        yield f"{ratio:.2f}x {other}" + ("" if goal is None else f" ({_held(result, other, ratio, goal)})")


def _held(result: Result, other: str, ratio: float, goal: float) -> str:
    if ratio >= goal:
        return f"holds {goal:g}x"
    possible = result.ratio(LIMIT, other) if result.row.bounding else None
    reach = f"; out of reach, the limit is {possible:.2f}x" if possible is not None and possible < goal else ""
    return f"MISSES {goal:g}x{reach}"


def _reached(result: Result) -> Iterator[str]:
    """Yield whether a value that is a goal of its own is reached."""
    value, row = result.value(OURS), result.row
    if row.reach and value is not None:
        held = value >= row.reach if row.better == "more" else value <= row.reach
        yield f"{'holds' if held else 'MISSES'} {row.reach:,g} {row.unit}"


def _p99(result: Result) -> Iterator[str]:
    """Yield how the slowest answers compare with those of the best peer."""
    own = result.p99(OURS)
    peers = [(p99, side) for side, kind in result.kinds.items() if kind in _PEERS and (p99 := result.p99(side))]
    if result.row.compares_p99 and own is not None and peers:
        best, side = min(peers)
        yield f"p99 {'holds' if own <= best else 'MISSES'}: {own:.2f} ms, {side} {best:.2f} ms"


def _growth(result: Result, results: Sequence[Result]) -> Iterator[str]:
    """Yield how the time compares with that of a tenth of the entries."""
    row = result.row
    tenth = next((one for one in results if row.tenth and one.row.name == row.tenth), None)
    own, small = result.value(OURS), tenth.value(OURS) if tenth is not None else None
    if own and small:
        times = own / small
        held = "holds" if own <= small * row.grown * _NOISE + _NOISE_MILLISECONDS else "MISSES"
        yield f"{times:.1f}x the time of a tenth ({held}, at most {row.grown:g}x)"
