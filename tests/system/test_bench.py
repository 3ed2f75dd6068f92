"""The benchmark runs: what it measures is no test, that it can measure is."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


def bench(*arguments):
    command = [ROOT / "scripts/bench", *arguments]
    return subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)


def test_every_row_can_be_measured(tmp_path):
    ran = bench("--quick", "--workers", "1", "--folder", tmp_path, "--json", tmp_path / "results.json")
    assert ran.returncode == 0, ran.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert {row["group"] for row in results["rows"]} == {
        "small", "log", "token", "up", "down", "pushes", "images", "lists", "referrers", "memory", "start", "issuing"
    }  # fmt: skip
    for row in results["rows"]:
        assert row["medians"]["ours"] > 0, row
        assert row["row"] in ran.stdout
        wanted = set() if row["group"] in {"log", "referrers", "issuing"} else {"docker-registry"}
        assert wanted <= row["medians"].keys(), row
        limited = row["group"] in {"up", "down", "pushes", "images"}
        assert ("limit" in row["medians"]) == limited, row
        assert (row["p99_ms"]["ours"] is not None) == (row["unit"] == "1/s"), row
    assert {line.partition(":")[0] for line in ran.stdout.splitlines() if line} >= {"machine", "sides", "configuration"}
    assert not list(tmp_path.glob("bench-*"))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--only", "nothing"], "there is no group nothing"),
        (["nonsense"], "must be NAME=PATH or NAME=URL"),
        (["other=/nowhere/at/all"], "/nowhere/at/all is no program"),
        (["--folder", "/nowhere"], "/nowhere is no folder that can be written to"),
        (["--folder", __file__], "is no folder that can be written to"),
    ],
)
def test_a_command_line_that_cannot_be_used(arguments, reason):
    ran = bench(*arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert reason in ran.stderr
