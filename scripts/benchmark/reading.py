"""Rows that read: manifests, small blobs, large blobs, lists; without tokens and with them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from scripts.benchmark.content import MANIFEST_TYPE
from scripts.benchmark.heads import head_rate
from scripts.benchmark.limits import sendfile_server
from scripts.benchmark.load import Sample, download, fetch_seconds, upload, wrk
from scripts.benchmark.scene import Row, Scene
from scripts.benchmark.sides import Side

IMAGE: Final = "bench/image"
LARGE: Final = "bench/large"
_ACCEPT: Final = {"Accept": MANIFEST_TYPE}
_MANIFEST_GOALS: Final = {"go": 3.0, "olareg": 1.0}
_BLOB_GOALS: Final = {"go": 10.0, "olareg": 1.0}
_TOKEN_GOALS: Final = {"go": 3.0}
_DOWN_GOALS: Final = {"go": 1.2, "olareg": 1.0, "limit": 0.9}
_LIST_GOALS: Final = {"go": 5.0}


def _rate(scene: Scene, side: Side, path: Callable[[Scene, Side], str], *, head: bool = False) -> Sample:
    url, headers = f"{side.url}{path(scene, side)}", {**_ACCEPT, **side.headers}
    if head:
        return head_rate(url, headers, scene.scale.seconds)
    return wrk(url, headers, seconds=scene.scale.seconds)


def _by_tag(_: Scene, __: Side) -> str:
    return f"/v2/{IMAGE}/manifests/v1"


def _by_digest(scene: Scene, side: Side) -> str:
    return f"/v2/{IMAGE}/manifests/{scene.image(side).manifest}"


def _config(scene: Scene, side: Side) -> str:
    return f"/v2/{IMAGE}/blobs/{scene.image(side).config}"


def _ping(_: Scene, __: Side) -> str:
    return "/v2/"


def rates(suffix: str = "", goals: dict[str, float] | None = None) -> tuple[Row, ...]:
    """Return the rows of small answers; `suffix` tells in their names how the sides were started."""
    manifest, blob = goals or _MANIFEST_GOALS, goals or _BLOB_GOALS
    table: tuple[tuple[str, Callable[[Scene, Side], str], bool, dict[str, float]], ...] = (
        ("/v2/", _ping, False, {}),
        ("manifest by tag, GET", _by_tag, False, manifest),
        ("manifest by tag, HEAD", _by_tag, True, manifest),
        ("manifest by digest, GET", _by_digest, False, manifest),
        ("blob, HEAD", _config, True, manifest),
        ("blob of 1.5 KB, GET", _config, False, blob),
    )
    return tuple(
        Row(f"{name}{suffix}", "1/s", partial(_rate, path=path, head=head), goals=wanted)
        for name, path, head, wanted in table
    )


def token_rates() -> tuple[Row, ...]:
    """Return the rows of small answers to requests that carry a token."""
    return rates(", with a token", _TOKEN_GOALS)


def downloads() -> tuple[Row, ...]:
    """Return the rows of one large blob going out, to one client and to four."""
    return tuple(
        Row(
            f"large blob down, {words}",
            "MB/s",
            partial(_down, at_once=number),
            limit=partial(_down_limit, at_once=number),
            goals=_DOWN_GOALS,
        )
        for words, number in (("one", 1), ("four at once", 4))
    )


def _large_blob(scene: Scene, side: Side) -> str:
    """Return the path of a large blob, pushed when it is first asked for."""
    known = scene.folder / f"down-{side.url.rpartition(':')[2].strip('/')}"
    if not known.exists():
        file, digest = scene.large_files(1)[0]
        upload(side, LARGE, [(file, digest)], streamed=False)
        known.write_text(digest)
    return f"/v2/{LARGE}/blobs/{known.read_text()}"


def _down(scene: Scene, side: Side, *, at_once: int) -> Sample:
    url = f"{side.url}{_large_blob(scene, side)}"
    return Sample(download(url, side.headers, scene.scale.large_bytes, at_once=at_once) / 1e6)


def _down_limit(scene: Scene, *, at_once: int) -> Sample:
    file: Path = scene.large_files(1)[0][0]
    with sendfile_server(file) as url:
        return Sample(download(url, {}, scene.scale.large_bytes, at_once=at_once) / 1e6)


def lists() -> tuple[Row, ...]:
    """Return the rows of long lists, each also at a tenth of its length: it should not matter."""
    no_layout = {"olareg": "its own layout on disk, which is not written here"}
    tags = (("tags, page of 100 of {tags}", "bench/tags"), ("tags, page of 100 of a tenth", "bench/few-tags"))
    rows = [
        Row(name, "ms", partial(_fetch, path=f"/v2/{repository}/tags/list?n=100"), better="less", goals=_LIST_GOALS,
            lacking=no_layout)
        for name, repository in tags
    ]  # fmt: skip
    rows += [
        Row("tags, all of {tags}", "ms", partial(_fetch, path="/v2/bench/tags/tags/list"), better="less",
            goals=_LIST_GOALS, lacking=no_layout),
        Row("catalog, first page of 100 of {repositories}", "ms", partial(_fetch, path="/v2/_catalog?n=100"),
            better="less", goals=_LIST_GOALS, lacking=no_layout),
        Row("catalog, a page from the middle", "ms", _catalog_middle, better="less", goals=_LIST_GOALS,
            lacking=no_layout),
    ]  # fmt: skip
    return tuple(rows)


def referrers() -> tuple[Row, ...]:
    """Return the rows of a subject's referrers, all of them and a tenth."""
    lacking = {"go": "it has no referrers API"}
    return tuple(
        Row(name, "ms", partial(_referrers, repository=repository), better="less", goals={"olareg": 5.0},
            lacking=lacking)
        for name, repository in (
            ("referrers of {referrers}", "bench/signed"), ("referrers, a tenth", "bench/few-signed")
        )
    )  # fmt: skip


def _fetch(_: Scene, side: Side, *, path: str) -> Sample:
    times = sorted(fetch_seconds(f"{side.url}{path}", side.headers) for _ in range(3))
    return Sample(times[1] * 1000)


def _catalog_middle(scene: Scene, side: Side) -> Sample:
    return _fetch(scene, side, path=f"/v2/_catalog?n=100&last=many{scene.scale.repositories // 2000:04}/r0500")


def _referrers(scene: Scene, side: Side, *, repository: str) -> Sample:
    return _fetch(scene, side, path=f"/v2/{repository}/referrers/{scene.image(side).manifest}")
