"""Rows that read: manifests, small blobs, large blobs, lists; without tokens and with them."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from scripts.benchmark.content import MANIFEST_TYPE, push_manifests, repository_name
from scripts.benchmark.heads import head_rate
from scripts.benchmark.kept import answer_seconds
from scripts.benchmark.limits import sendfile_server
from scripts.benchmark.load import ANOTHER_HEADER, ANOTHER_QUERY, IN_TURN, Sample, download, upload, wrk, wrk_varied
from scripts.benchmark.scene import Row, Scene
from scripts.benchmark.sides import ONE_WORKER, Side

SILENT: Final = "log off"
IMAGE: Final = "bench/image"
LARGE: Final = "bench/large"
_ACCEPT: Final = {"Accept": MANIFEST_TYPE}
_MANIFEST_GOALS: Final = {"go": 3.0, "olareg": 1.0}
_BLOB_GOALS: Final = {"go": 10.0, "olareg": 1.0}
_TOKEN_GOALS: Final = {"go": 3.0}
_DOWN_GOALS: Final = {"go": 1.2, "olareg": 1.0, "limit": 0.9}
_LIST_GOALS: Final = {"go": 5.0}
_NO_LAYOUT: Final = {"olareg": "its own layout on disk, which is not written here"}


def _rate(scene: Scene, side: Side, path: Callable[[Scene, Side], str], *, head: bool = False) -> Sample:
    url, headers = f"{side.url}{path(scene, side)}", {**_ACCEPT, **side.headers}
    if head:
        return head_rate(url, headers, scene.scale.seconds)
    return wrk(url, headers, seconds=scene.scale.seconds)


def _varied_rate(scene: Scene, side: Side, *, how: str) -> Sample:
    url, headers = f"{side.url}{_by_tag(scene, side)}", {**_ACCEPT, **side.headers}
    seconds, prefix = scene.scale.seconds, f"{scene.round}-"
    return wrk_varied(url, headers, seconds=seconds, folder=scene.folder, how=how, given=prefix)


def _rate_in_turn(scene: Scene, side: Side) -> Sample:
    known, bound = scene.folder / f"manifests-{side.url.rpartition(':')[2].strip('/')}", scene.scale.manifests
    if not known.exists():
        known.write_text(push_manifests(side, IMAGE, bound))
    url, headers = f"{side.url}/v2/{IMAGE}/manifests/{known.read_text()}", {**_ACCEPT, **side.headers}
    return wrk_varied(url, headers, seconds=scene.scale.seconds, folder=scene.folder, how=IN_TURN, given=bound)


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
        Row(f"{name}{suffix}", "1/s", partial(_rate, path=path, head=head), goals=wanted, compares_p99=True)
        for name, path, head, wanted in table
    )


def varied_rates(suffix: str = "") -> tuple[Row, ...]:
    """Return the rows of requests of which no two in a row are alike.

    In the first a header changes that means nothing, in the second the manifest, one of many; in the third the question
    is one that nobody has asked before, so that nothing that was answered helps.
    """
    goals = {"go": 3.0}
    table: tuple[tuple[str, Callable[[Scene, Side], Sample], dict[str, float]], ...] = (
        ("every request with another header", partial(_varied_rate, how=ANOTHER_HEADER), goals),
        ("{manifests} in turn", _rate_in_turn, goals),
        ("every request another", partial(_varied_rate, how=ANOTHER_QUERY), {**goals, ONE_WORKER: 1.6}),
    )
    return tuple(
        Row(f"manifest by tag, GET, {name}{suffix}", "1/s", measure, goals=wanted, compares_p99=True)
        for name, measure, wanted in table
    )


def log_rates() -> tuple[Row, ...]:
    """Return the rows that tell what the access log costs."""
    rows = rates(", access log on")[:2]
    return tuple(replace(row, goals={SILENT: 0.9}, compares_p99=False) for row in rows)


def token_rates() -> tuple[Row, ...]:
    """Return the rows of small answers to requests that carry a token."""
    return (*rates(", with a token", _TOKEN_GOALS), *varied_rates(", with a token"))


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
    """Return the rows of long lists; those of tags and of referrers also at a tenth of their length."""
    tenth = "tags, page of 100 of a tenth"
    tags = "/v2/bench/tags/tags/list"
    first, middle = "catalog, first page of 100", "catalog, a page from the middle"
    return (
        _list("tags, page of 100 of {tags}", partial(_fetch, path=f"{tags}?n=100"), goals=_LIST_GOALS, tenth=tenth),
        _list(tenth, partial(_fetch, path="/v2/bench/few-tags/tags/list?n=100")),
        _list("tags, all of {tags}", partial(_fetch, path=tags), goals=_LIST_GOALS),
        _list(f"{first} of {{repositories}}", _catalog_first, goals=_LIST_GOALS, tenth=f"{first} of a tenth"),
        _list(middle, _catalog_middle, goals=_LIST_GOALS, tenth=f"{middle} of a tenth"),
        _list(f"{middle}, every request with another header", partial(_catalog_middle, varied=True), goals=_LIST_GOALS),
    )


def few_repositories() -> tuple[Row, ...]:
    """Return the rows of a catalog of a tenth of the repositories."""
    return (
        _list("catalog, first page of 100 of a tenth", _catalog_first),
        _list("catalog, a page from the middle of a tenth", partial(_catalog_middle, shorter=10)),
    )


def referrers() -> tuple[Row, ...]:
    """Return the rows of a subject's referrers, all of them and a tenth."""
    tenth = "referrers, a tenth"
    lacking = {"go": "it has no referrers API"}
    return (
        Row("referrers of {referrers}", "ms", partial(_referrers, repository="bench/signed"), better="less",
            lacking=lacking, tenth=tenth, grown=10.0),
        Row(tenth, "ms", partial(_referrers, repository="bench/few-signed"), better="less", lacking=lacking),
    )  # fmt: skip


def _list(
    name: str, measure: Callable[[Scene, Side], Sample], goals: dict[str, float] | None = None, tenth: str = ""
) -> Row:
    return Row(name, "ms", measure, better="less", goals=goals or {}, lacking=_NO_LAYOUT, tenth=tenth)


def _fetch(scene: Scene, side: Side, *, path: str, varied: bool = False) -> Sample:
    prefix = f"{scene.round}-" if varied else ""
    return Sample(answer_seconds(f"{side.url}{path}", side.headers, prefix) * 1000)


def _catalog_first(scene: Scene, side: Side) -> Sample:
    return _fetch(scene, side, path="/v2/_catalog?n=100")


def _catalog_middle(scene: Scene, side: Side, *, varied: bool = False, shorter: int = 1) -> Sample:
    last = repository_name("many", scene.scale.repositories // shorter // 2)
    return _fetch(scene, side, path=f"/v2/_catalog?n=100&last={last}", varied=varied)


def _referrers(scene: Scene, side: Side, *, repository: str) -> Sample:
    return _fetch(scene, side, path=f"/v2/{repository}/referrers/{scene.image(side).manifest}")
