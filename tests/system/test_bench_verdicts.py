"""What the benchmark makes of numbers: ratios, goals held and missed, growth, and the slowest answers."""

import pytest

from scripts.benchmark.load import Sample
from scripts.benchmark.report import document, table
from scripts.benchmark.results import LIMIT, Result
from scripts.benchmark.scene import QUICK, Row
from scripts.benchmark.verdicts import verdict

KINDS = {"ours": "ours", "ours x1": "ours", "log off": "ours", "go3": "go", "olareg": "olareg", "RSA": "signer"}


def result(name="row", samples=None, **row):
    """Return what was measured of a row: for each side a value, or a value and a 99th percentile."""
    found = Result(Row(name, "1/s", lambda *_: Sample(0.0), **row), name, "group")
    for side, value in (samples or {}).items():
        found.add(side, KINDS.get(side, side), Sample(*value) if isinstance(value, tuple) else Sample(value))
    return found


@pytest.mark.parametrize(
    ("samples", "row", "expected"),
    [
        ({"ours": 30.0, "go3": 10.0}, {}, "3.00x go3"),
        ({"ours": 30.0, "go3": 10.0}, {"goals": {"go": 3.0}}, "3.00x go3 (holds 3x)"),
        ({"ours": 29.0, "go3": 10.0}, {"goals": {"go": 3.0}}, "2.90x go3 (MISSES 3x)"),
        ({"ours": 2.0, "go3": 3.0}, {"goals": {"go": 1.2}, "better": "less"}, "1.50x go3 (holds 1.2x)"),
        ({"ours": 30.0, "ours x1": 10.0}, {}, ""),
        ({"ours": 30.0, "ours x1": 10.0}, {"goals": {"ours x1": 1.6}}, "3.00x ours x1 (holds 1.6x)"),
        ({"ours": 8.0, "log off": 10.0}, {"goals": {"log off": 0.9}}, "0.80x log off (MISSES 0.9x)"),
        ({"ours": 80.0, "RSA": 10.0}, {"goals": {"signer": 10.0}}, "8.00x RSA (MISSES 10x)"),
        ({"ours": 80.0}, {"reach": 100.0}, "MISSES 100 1/s"),
        ({"ours": 80.0}, {"reach": 100.0, "better": "less"}, "holds 100 1/s"),
        ({"go3": 10.0}, {"goals": {"go": 3.0}}, ""),
        ({"ours": 10.0, LIMIT: 20.0}, {"goals": {LIMIT: 0.9}}, "0.50x limit (MISSES 0.9x)"),
    ],
)
def test_ratios_and_goals(samples, row, expected):
    one = result(samples=samples, **row)
    assert verdict(one, [one]) == expected


def test_a_goal_that_the_limit_itself_misses_is_out_of_reach():
    samples = {"ours": 1.0, "go3": 1.1, "olareg": 0.9, LIMIT: 0.95}
    row = {"goals": {"go": 1.2, "olareg": 1.0}, "better": "less"}
    bounded, free = result(samples=samples, bounding=True, **row), result(samples=samples, **row)
    assert verdict(bounded, []) == (
        "1.10x go3 (MISSES 1.2x; out of reach, the limit is 1.16x), "
        "0.90x olareg (MISSES 1x; out of reach, the limit is 0.95x), 0.95x limit"
    )
    assert "out of reach" not in verdict(free, [])


@pytest.mark.parametrize(("own", "held"), [(2.0, "holds"), (3.0, "MISSES")])
def test_the_slowest_answers_are_held_against_the_best_peer(own, held):
    samples = {"ours": (1.0, own), "ours x1": (1.0, 0.1), "go3": (1.0, 9.0), "olareg": (1.0, 2.5)}
    one = result(samples=samples, compares_p99=True)
    assert verdict(one, []).endswith(f"p99 {held}: {own:.2f} ms, olareg 2.50 ms")
    assert "p99" not in verdict(result(samples=samples), [])


@pytest.mark.parametrize(
    ("own", "grown", "expected"),
    [
        (1.2, 1.0, "1.2x the time of a tenth (holds, at most 1x)"),
        (1.5, 1.0, "1.5x the time of a tenth (MISSES, at most 1x)"),
        (11.0, 10.0, "11.0x the time of a tenth (holds, at most 10x)"),
        (14.0, 10.0, "14.0x the time of a tenth (MISSES, at most 10x)"),
    ],
)
def test_a_list_ten_times_as_long_takes_no_longer(own, grown, expected):
    tenth = result("few", {"ours": 1.0}, better="less")
    one = result("many", {"ours": own}, better="less", tenth="few", grown=grown)
    assert verdict(one, [one, tenth]) == expected
    assert verdict(one, [one]) == ""


def test_the_table_and_the_document_say_the_same():
    one = result(samples={"ours": (1234.0, 1.26), "ours x1": 12.0, "go3": 10.0})
    lines = table([one], ["ours", "ours x1", "go3", "olareg"]).splitlines()
    assert lines[0] == "| row | unit | ours | ours x1 | go3 | ours is |"
    assert lines[2] == "| row | 1/s | 1,234 (p99 1.3 ms) | 12.0 | 10.0 | 123.40x go3 |"
    (row,) = document([one], {}, QUICK, 1.0)["rows"]
    assert (row["verdict"], row["medians"]["ours"], row["p99_ms"]["ours"]) == ("123.40x go3", 1234.0, 1.26)
