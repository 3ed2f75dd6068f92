"""The load: wrk for many small requests, curl for large bodies, skopeo for whole images."""

import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.benchmark.content import closing, open_upload
from scripts.benchmark.sides import Side

_RATE: Final = re.compile(r"Requests/sec:\s+([\d.]+)")
_P99: Final = re.compile(r"99%\s+([\d.]+)(us|ms|s|m)\b")
_REFUSED: Final = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_MILLISECONDS: Final = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
_DEADLINE_SECONDS: Final = 600
_COUNTING: Final = """\
local counter, given = 0, ""
function init(arguments) given = arguments[1] end
function request()
  counter = counter + 1
  %s
end
"""
ANOTHER_HEADER: Final = _COUNTING % 'wrk.headers["X-Request-Id"] = given .. counter; return wrk.format()'
"""A header counts up behind a prefix: the question is the same."""
ANOTHER_QUERY: Final = _COUNTING % 'return wrk.format(nil, wrk.path .. "?another=" .. given .. counter)'
"""A parameter that means nothing counts up behind a prefix: nothing that was answered before helps."""
IN_TURN: Final = _COUNTING % 'return wrk.format(nil, wrk.path .. string.format("%05d", counter % given))'
"""The path ends in a number of five digits, from 0 up to a bound and again."""


@dataclass(frozen=True)
class Sample:
    """One measured value, in the unit of its row; `p99` in milliseconds where it is known."""

    value: float
    p99: float | None = None


class Failed(Exception):
    """A row could not be measured; the message says why."""


def wrk(url: str, headers: dict[str, str], *, seconds: float, connections: int = 32, script: Path | None = None,
        threads: int = 1, arguments: Sequence[str] = ()) -> Sample:  # fmt: skip
    """Ask for a URL over many connections and return answers a second; raises Failed when one is refused."""
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds:g}s", "--latency", "--timeout", "30s"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    command += ["-s", str(script)] if script is not None else []
    output = _run([*command, url, *arguments])
    rate, p99, refused = _RATE.search(output), _P99.search(output), _REFUSED.search(output)
    if refused is not None:
        raise Failed(f"{refused.group(1)} requests refused")
    if rate is None or float(rate.group(1)) == 0:
        raise Failed("no answer in time")
    return Sample(float(rate.group(1)), float(p99.group(1)) * _MILLISECONDS[p99.group(2)] if p99 else None)


def wrk_varied(
    url: str, headers: dict[str, str], *, seconds: float, folder: Path, how: str, given: str | int
) -> Sample:
    """Do as `wrk` does with requests that differ: `how` is one of the scripts above, which is given prefix or bound."""
    script = folder / "varied.lua"
    script.write_text(how)
    return wrk(url, headers, seconds=seconds, script=script, arguments=["--", str(given)])


def upload(side: Side, name: str, files: Sequence[tuple[Path, str]], *, streamed: bool) -> float:
    """Push files at the same time, each by one PUT or by a streamed PATCH and a PUT; return bytes a second."""
    locations = [open_upload(side, name) for _ in files]
    began = time.perf_counter()
    if streamed:
        bodies = [_curl(side, "PATCH", url, file) for url, (file, _) in zip(locations, files, strict=True)]
        locations = [_location(side, text) for text in _finish(bodies)]
        targets = [closing(url, digest) for url, (_, digest) in zip(locations, files, strict=True)]
        _finish([_curl(side, "PUT", url, None) for url in targets])
    else:
        targets = [closing(url, digest) for url, (_, digest) in zip(locations, files, strict=True)]
        _finish([_curl(side, "PUT", url, file) for url, (file, _) in zip(targets, files, strict=True)])
    return sum(file.stat().st_size for file, _ in files) / (time.perf_counter() - began)


def download(url: str, headers: dict[str, str], size: int, *, at_once: int, times: int = 3) -> float:
    """Fetch a URL `times` in a row, from each of so many clients; return bytes a second."""
    command = ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*"]
    for name, value in headers.items():
        command += ["--header", f"{name}: {value}"]
    for _ in range(times):
        command += ["--output", "/dev/null", url]
    began = time.perf_counter()
    _finish([_popen(command) for _ in range(at_once)])
    return size * times * at_once / (time.perf_counter() - began)


def skopeo(source: str, target: str) -> float:
    """Copy an image and return the seconds that it took."""
    command = ["skopeo", "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false"]
    began = time.perf_counter()
    _run([*command, "--preserve-digests", source, target])
    return time.perf_counter() - began


def _curl(side: Side, method: str, url: str, file: Path | None) -> subprocess.Popen[str]:
    command = ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--request", method]
    for name, value in {**side.headers, "Content-Type": "application/octet-stream", "Expect": ""}.items():
        command += ["--header", f"{name}: {value}" if value else f"{name}:"]
    if file is not None and method == "PATCH":  # a stream: its length is not told beforehand
        command += ["--header", "Transfer-Encoding: chunked"]
    command += ["--upload-file", str(file)] if file is not None else ["--data-binary", ""]
    return _popen([*command, "--output", "/dev/null", "--write-out", "%header{location}", url])


def _location(side: Side, text: str) -> str:
    return text if text.startswith("http") else f"{side.url}{text}"


def _popen(command: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603


def _finish(processes: Sequence[subprocess.Popen[str]]) -> list[str]:
    """Wait for all, and return what they wrote; raises Failed when one did not do well."""
    outputs = []
    reason = ""
    for process in processes:
        try:
            output, errors = process.communicate(timeout=_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
        outputs.append(output)
        if process.returncode:
            reason = (errors.strip().splitlines() or ["it failed"])[-1][:200]
    if reason:
        raise Failed(reason)
    return outputs


def _run(command: Sequence[str]) -> str:
    return _finish([_popen(command)])[0]
