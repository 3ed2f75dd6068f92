"""Rows that write: large blobs, small durable blobs, whole images; and the memory that they take."""

import hashlib
import shutil
import threading
from functools import partial
from pathlib import Path
from typing import Final

from scripts.benchmark.content import write_large_file
from scripts.benchmark.limits import hash_and_store, small_syncs
from scripts.benchmark.load import Failed, Sample, download, skopeo, upload, wrk
from scripts.benchmark.reading import LARGE
from scripts.benchmark.scene import MIB, Row, Scene
from scripts.benchmark.sides import Side

_UP_GOALS: Final = {"go": 1.3, "olareg": 1.0, "limit": 0.9}
_IMAGE_GOALS: Final = {"go": 1.2, "olareg": 1.0}
_SMALL_BODIES: Final = 40_000
_PUSHERS: Final = 16
_SAMPLE_SECONDS: Final = 0.05
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
    listing = "\n".join(f"{path}\t{digest}" for path, digest in scene.large_files(number))
    (scene.folder / "fresh").write_text(listing)


def _fresh(scene: Scene) -> list[tuple[Path, str]]:
    pairs = (line.split("\t") for line in (scene.folder / "fresh").read_text().splitlines())
    return [(Path(path), digest) for path, digest in pairs]


def _up(scene: Scene, side: Side, *, streamed: bool, number: int) -> Sample:
    speed = upload(side, LARGE, _fresh(scene)[:number], streamed=streamed)
    side.forget_large_files(scene.scale.large_bytes - 1)
    return Sample(speed / 1e6)


def _up_limit(scene: Scene, *, number: int) -> Sample:
    return Sample(hash_and_store([path for path, _ in _fresh(scene)[:number]], scene.folder / "limit") / 1e6)


def small_pushes() -> tuple[Row, ...]:
    """Return the row of blobs of 1 KiB, each two requests, from sixteen clients at once."""
    row = Row("blobs of 1 KiB pushed, 16 at once", "1/s", _push_small, prepare=_small_bodies, limit=_small_limit,
              goals={"go": 2.0})  # fmt: skip
    return (row,)


def _small_bodies(scene: Scene) -> None:
    """Write down the digests of the bodies that the load generator makes, for it cannot hash."""
    digests = []
    for i in range(_SMALL_BODIES):
        head = f"{_prefix(scene)}-{i:08}-"
        digests.append(hashlib.sha256((head + "x" * (1024 - len(head))).encode()).hexdigest())
    (scene.folder / "digests").write_text("\n".join(digests))
    (scene.folder / "push.lua").write_text(_PUSH_SMALL)


def _prefix(scene: Scene) -> str:
    return f"{scene.folder.name}-{scene.round}"


def _push_small(scene: Scene, side: Side) -> Sample:
    arguments = ["--", str(scene.folder / "digests"), str(_PUSHERS), _prefix(scene)]
    seconds = scene.scale.seconds
    sample = wrk(side.url, side.headers, seconds=seconds, connections=_PUSHERS, threads=_PUSHERS,
                 script=scene.folder / "push.lua", arguments=arguments)  # fmt: skip
    return Sample(sample.value / 2, sample.p99)


def _small_limit(scene: Scene) -> Sample:
    return Sample(small_syncs(scene.folder / "syncs", scene.scale.seconds))


def images() -> tuple[Row, ...]:
    """Return the rows of images pushed and pulled by skopeo, with few large layers and with many small ones."""
    rows = []
    for words, small in (("{image_large}", False), ("{image_small}", True)):
        rows += [
            Row(f"image of {words} pushed", "s", partial(_push_image, small=small),
                prepare=partial(_fresh_layout, small=small), better="less", goals=_IMAGE_GOALS),
            Row(f"image of {words} pulled", "s", partial(_pull_image, small=small), better="less",
                goals=_IMAGE_GOALS),
        ]  # fmt: skip
    return tuple(rows)


def _layout_name(scene: Scene, *, small: bool) -> tuple[int, int]:
    return scene.scale.image_small if small else scene.scale.image_large


def _fresh_layout(scene: Scene, *, small: bool) -> None:
    scene.layout(*_layout_name(scene, small=small))


def _target(side: Side, *, small: bool) -> str:
    return f"docker://{side.url.partition('://')[2]}/bench/{'small' if small else 'large'}-layers:latest"


def _push_image(scene: Scene, side: Side, *, small: bool) -> Sample:
    layers = _layout_name(scene, small=small)[0]
    return Sample(skopeo(f"oci:{scene.folder}/layout-{layers}:latest", _target(side, small=small)))


def _pull_image(scene: Scene, side: Side, *, small: bool) -> Sample:
    folder = scene.folder / "pulled"
    try:
        return Sample(skopeo(_target(side, small=small), f"dir:{folder}"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def memory() -> tuple[Row, ...]:
    """Return the rows of the memory of the largest process while four huge blobs come in and go out."""
    return (
        Row("memory, four of {huge} up", "MB", _memory_up, prepare=_huge_files, better="less", once=True),
        Row("memory, four of {huge} down", "MB", _memory_down, better="less", once=True),
    )


def _huge_files(scene: Scene) -> None:
    paths = [scene.folder / f"huge-{i}" for i in range(4)]
    for i, path in enumerate(paths):
        write_large_file(path, scene.scale.huge_bytes)
        with path.open("r+b") as file:
            file.write(f"{_prefix(scene)}-{i}".encode())
    listing = "\n".join(f"{path}\t{_digest(path)}" for path in paths)
    (scene.folder / "fresh").write_text(listing)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


class _Watch(threading.Thread):
    """Looks at the memory of a side until it is told to stop."""

    def __init__(self, side: Side) -> None:
        super().__init__(daemon=True)
        self._side = side
        self._over = threading.Event()
        self._peak = 0

    def run(self) -> None:
        """Look again and again."""
        while not self._over.wait(_SAMPLE_SECONDS):
            self._peak = max(self._peak, self._side.resident_bytes())

    def peak(self) -> Sample:
        """Stop looking, and return the most that was seen; raises Failed for a side that is no process here."""
        self._over.set()
        self.join()
        if not self._peak:
            raise Failed("not a process of this machine")
        return Sample(self._peak / MIB)


def _memory_up(scene: Scene, side: Side) -> Sample:
    watch = _Watch(side)
    watch.start()
    upload(side, LARGE, _fresh(scene), streamed=False)
    return watch.peak()


def _memory_down(scene: Scene, side: Side) -> Sample:
    watch = _Watch(side)
    watch.start()
    url = f"{side.url}/v2/{LARGE}/blobs/{_fresh(scene)[0][1]}"
    download(url, side.headers, scene.scale.huge_bytes, at_once=4, times=1)
    return watch.peak()
