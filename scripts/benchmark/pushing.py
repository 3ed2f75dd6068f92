"""Rows that write: large blobs, and small durable ones."""

import hashlib
from functools import partial
from typing import Final

from scripts.benchmark.limits import hash_and_store, small_syncs
from scripts.benchmark.load import Sample, upload, wrk
from scripts.benchmark.reading import LARGE
from scripts.benchmark.scene import Row, Scene
from scripts.benchmark.sides import ONE_WORKER, Side

_UP_GOALS: Final = {"go": 1.3, "olareg": 1.0, "limit": 0.9}
_SMALL_BODIES: Final = 40_000
_PUSHERS: Final = 16
_PUSH_SMALL: Final = """\
local digests, body, location, counter, stride = {}, "", nil, 0, 1
local threads = 0
function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end
function init(arguments)
  for line in io.lines(arguments[1]) do digests[#digests + 1] = line end
  stride, prefix = tonumber(arguments[2]), arguments[3]
  counter = number
end
local function text(i)
  local head = string.format("%s-%08d-", prefix, i)
  return head .. string.rep("x", 1024 - #head)
end
function request()
  if location == nil then
    return wrk.format("POST", "/v2/bench/small/blobs/uploads/", nil, "")
  end
  local mark = string.find(location, "?", 1, true) and "&" or "?"
  local url = location .. mark .. "digest=sha256:" .. digests[counter + 1]
  location = nil
  local sent = text(counter)
  counter = counter + stride
  local headers = {["Content-Type"] = "application/octet-stream"}
  for name, value in pairs(wrk.headers) do headers[name] = value end
  return wrk.format("PUT", url, headers, sent)
end
function response(status, headers, body)
  if status == 202 then
    for name, value in pairs(headers) do
      if string.lower(name) == "location" then location = string.gsub(value, "^https?://[^/]+", "") end
    end
  end
end
"""


def uploads() -> tuple[Row, ...]:
    """Return the rows of large blobs coming in, by one PUT and by a streamed PATCH, one and four at once."""
    return tuple(
        Row(
            f"large blob up by {how}, {words}",
            "MB/s",
            partial(_up, streamed=streamed, number=number),
            prepare=partial(_fresh_files, number=number),
            limit=partial(_up_limit, number=number),
            goals=_UP_GOALS,
        )
        for how, streamed in (("PUT", False), ("PATCH", True))
        for words, number in (("one", 1), ("four at once", 4))
    )


def _fresh_files(scene: Scene, *, number: int) -> None:
    scene.fresh = scene.large_files(number)


def _up(scene: Scene, side: Side, *, streamed: bool, number: int) -> Sample:
    speed = upload(side, LARGE, scene.fresh[:number], streamed=streamed)
    side.forget_large_files(scene.scale.large_bytes - 1)
    return Sample(speed / 1e6)


def _up_limit(scene: Scene, *, number: int) -> Sample:
    return Sample(hash_and_store([path for path, _ in scene.fresh[:number]], scene.folder / "limit") / 1e6)


def small_pushes() -> tuple[Row, ...]:
    """Return the row of blobs of 1 KiB, each two requests, from sixteen clients at once."""
    row = Row("blobs of 1 KiB pushed, 16 at once", "1/s", _push_small, prepare=_small_bodies, limit=_small_limit,
              goals={"go": 2.0, ONE_WORKER: 1.6}, compares_p99=True)  # fmt: skip
    return (row,)


def _small_bodies(scene: Scene) -> None:
    """Write down the digests of the bodies that the load generator makes, for it cannot hash."""
    digests = []
    for i in range(_SMALL_BODIES):
        head = f"{scene.mark()}-{i:08}-"
        digests.append(hashlib.sha256((head + "x" * (1024 - len(head))).encode()).hexdigest())
    (scene.folder / "digests").write_text("\n".join(digests))
    (scene.folder / "push.lua").write_text(_PUSH_SMALL)


def _push_small(scene: Scene, side: Side) -> Sample:
    arguments = ["--", str(scene.folder / "digests"), str(_PUSHERS), scene.mark()]
    seconds = scene.scale.seconds
    sample = wrk(side.url, side.headers, seconds=seconds, connections=_PUSHERS, threads=_PUSHERS,
                 script=scene.folder / "push.lua", arguments=arguments)  # fmt: skip
    return Sample(sample.value / 2, sample.p99)


def _small_limit(scene: Scene) -> Sample:
    return Sample(small_syncs(scene.folder / "syncs", scene.scale.seconds))
