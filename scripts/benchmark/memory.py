"""Rows of the memory that large blobs take on their way in and out."""

import threading
from typing import Final

from scripts.benchmark.content import file_digest, write_large_file
from scripts.benchmark.load import Failed, Sample, download, upload
from scripts.benchmark.reading import LARGE
from scripts.benchmark.scene import MIB, Row, Scene
from scripts.benchmark.sides import Side

_SAMPLE_SECONDS: Final = 0.05
_MOST_MIB: Final = 100.0


def memory() -> tuple[Row, ...]:
    """Return the rows of the memory of the largest process while four huge blobs come in and go out."""
    return (
        Row("memory, four of {huge} up", "MB", _memory_up, prepare=_huge_files, better="less", once=True,
            reach=_MOST_MIB),
        Row("memory, four of {huge} down", "MB", _memory_down, better="less", once=True, reach=_MOST_MIB),
    )  # fmt: skip


def _huge_files(scene: Scene) -> None:
    paths = [scene.folder / f"huge-{i}" for i in range(4)]
    for i, path in enumerate(paths):
        write_large_file(path, scene.scale.huge_bytes)
        with path.open("r+b") as file:
            file.write(f"{scene.mark()}-{i}".encode())
    scene.fresh = [(path, file_digest(path)) for path in paths]


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
    upload(side, LARGE, scene.fresh, streamed=False)
    return watch.peak()


def _memory_down(scene: Scene, side: Side) -> Sample:
    watch = _Watch(side)
    watch.start()
    url = f"{side.url}/v2/{LARGE}/blobs/{scene.fresh[0][1]}"
    download(url, side.headers, scene.scale.huge_bytes, at_once=4, times=1)
    return watch.peak()
