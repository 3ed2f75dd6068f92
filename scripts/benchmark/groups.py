"""The groups of rows, and how the sides of each are started and filled."""

from contextlib import ExitStack
from typing import Final

from scripts.benchmark import content
from scripts.benchmark.images import images
from scripts.benchmark.load import Sample
from scripts.benchmark.memory import memory
from scripts.benchmark.pushing import small_pushes, uploads
from scripts.benchmark.reading import (
    IMAGE,
    SILENT,
    downloads,
    few_repositories,
    lists,
    log_rates,
    rates,
    referrers,
    token_rates,
    varied_rates,
)
from scripts.benchmark.scene import Group, Row, Scene
from scripts.benchmark.sides import Kind, Program, Settings, Side, start
from scripts.benchmark.tokens import make_keys, mint, start_signing_server, start_token_server, token_rows

_BY_TREE: Final[frozenset[Kind]] = frozenset({"ours", "go"})
"""Kinds whose images lie in the Go registry's layout."""


def _plain(scene: Scene) -> list[Side]:
    return _started(scene, "plain", scene.programs)


def _with_log(scene: Scene) -> list[Side]:
    """Start ours twice, its access log off and on; with one worker, for which the load generator leaves room."""
    where = next(one.where for one in scene.programs if one.kind == "ours")
    silent = _started(scene, "silent", [Program(SILENT, "ours", where)])
    return [*_started(scene, "talking", [Program("ours", "ours", where)], log=True), *silent]


def _with_tokens(scene: Scene) -> list[Side]:
    folder = scene.empty("keys")
    bundle = make_keys(folder)
    programs = [one for one in scene.programs if one.kind in _BY_TREE]
    token = mint(folder, f"repository:{IMAGE}:pull,push")
    sides: list[Side] = []
    with ExitStack() as undo:
        for program in programs:
            side = start(program, Settings(scene.empty(f"token-{program.name}/images"), bundle=bundle))
            undo.callback(side.stop)
            side.headers["Authorization"] = f"Bearer {token}"
            scene.images[side.url] = content.push_small_image(side, IMAGE)
            sides.append(side)
        undo.pop_all()
    return sides


def _with_lists(scene: Scene) -> list[Side]:
    programs = [one for one in scene.programs if one.kind in _BY_TREE]
    sides = _started(scene, "lists", programs)
    for side in sides:
        assert side.folder is not None  # noqa: S101 - these kinds have one
        digest = scene.image(side).manifest
        for name, number in (("bench/tags", scene.scale.tags), ("bench/few-tags", scene.scale.tags // 10)):
            content.push_small_image(side, name)
            content.write_tags(side.folder, name, number, digest)
        content.write_repositories(side.folder, "many", scene.scale.repositories)
    return sides


def _with_few_repositories(scene: Scene) -> list[Side]:
    sides = _started(scene, "few", [one for one in scene.programs if one.kind in _BY_TREE])
    for side in sides:
        assert side.folder is not None  # noqa: S101 - these kinds have one
        content.write_repositories(side.folder, "many", scene.scale.repositories // 10)
    return sides


def _with_referrers(scene: Scene) -> list[Side]:
    programs = [one for one in scene.programs if one.kind != "go"]
    sides = _started(scene, "referrers", programs)
    for side in sides:
        image = scene.image(side)
        for name, number in (
            ("bench/signed", scene.scale.referrers),
            ("bench/few-signed", scene.scale.referrers // 10),
        ):
            subject = {"mediaType": content.MANIFEST_TYPE, "digest": image.manifest, "size": image.manifest_bytes}
            content.push_referrers(side, name, subject, number)
    return sides


def _fresh(scene: Scene) -> list[Side]:
    return _started(scene, "fresh", [one for one in scene.programs if one.kind != "url"])


def _none_yet(scene: Scene) -> list[Side]:
    """Return sides that do not run: their row starts them."""
    return [Side(one, "", None, None) for one in scene.programs if one.kind != "url"]


def _token_server(scene: Scene) -> list[Side]:
    folder = scene.empty("token-server")
    make_keys(folder)
    sides: list[Side] = []
    with ExitStack() as undo:
        for begin in (start_token_server, start_signing_server):
            sides.append(begin(folder))
            undo.callback(sides[-1].stop)
        undo.pop_all()
    return sides


def _started(scene: Scene, group: str, programs: list[Program], *, log: bool = False) -> list[Side]:
    sides: list[Side] = []
    with ExitStack() as undo:
        for program in programs:
            side = start(program, Settings(scene.empty(f"{group}-{program.name}/images"), log=log))
            undo.callback(side.stop)
            scene.images[side.url] = content.push_small_image(side, IMAGE)
            sides.append(side)
        undo.pop_all()
    return sides


def _start_and_stop(scene: Scene, side: Side) -> Sample:
    started = start(side.program, Settings(scene.empty(f"start-{side.name}/images")))
    started.stop()
    return Sample(started.started_after)


_START: Final = Row("start to first answer", "s", _start_and_stop, better="less", reach=0.7)
GROUPS: Final = (
    Group("small", _plain, (*rates(), *varied_rates())),
    Group("log", _with_log, log_rates()),
    Group("token", _with_tokens, token_rates()),
    Group("up", _plain, uploads()),
    Group("down", _plain, downloads()),
    Group("pushes", _plain, small_pushes()),
    Group("images", _plain, images()),
    Group("lists", _with_lists, lists()),
    Group("lists", _with_few_repositories, few_repositories()),
    Group("referrers", _with_referrers, referrers()),
    Group("memory", _fresh, memory()),
    Group("start", _none_yet, (_START,)),
    Group("issuing", _token_server, token_rows()),
)
