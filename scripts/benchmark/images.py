"""Rows of whole images, pushed and pulled by skopeo, beside what skopeo needs when a server costs nothing."""

import shutil
from functools import partial
from typing import Final

from scripts.benchmark.bare import bare_registry
from scripts.benchmark.load import Sample, skopeo
from scripts.benchmark.scene import Row, Scene
from scripts.benchmark.sides import Side

_IMAGE_GOALS: Final = {"go": 1.2, "olareg": 1.0}


def images() -> tuple[Row, ...]:
    """Return the rows of images pushed and pulled by skopeo, with few large layers and with many small ones."""
    rows = []
    for words, small in (("{image_large}", False), ("{image_small}", True)):
        rows += [
            Row(f"image of {words} pushed", "s", partial(_push_image, small=small),
                prepare=partial(_fresh_layout, small=small), limit=partial(_push_limit, small=small), better="less",
                goals=_IMAGE_GOALS, bounding=True, repeats=3),
            Row(f"image of {words} pulled", "s", partial(_pull_image, small=small),
                limit=partial(_pull_limit, small=small), better="less", goals=_IMAGE_GOALS, bounding=True, repeats=3),
        ]  # fmt: skip
    return tuple(rows)


def _scale(scene: Scene, *, small: bool) -> tuple[int, int]:
    return scene.scale.image_small if small else scene.scale.image_large


def _fresh_layout(scene: Scene, *, small: bool) -> None:
    scene.layout(*_scale(scene, small=small))


def _target(url: str, *, small: bool) -> str:
    return f"docker://{url.partition('://')[2]}/bench/{'small' if small else 'large'}-layers:latest"


def _push_image(scene: Scene, side: Side, *, small: bool) -> Sample:
    return _push(scene, side.url, small=small)


def _push(scene: Scene, url: str, *, small: bool) -> Sample:
    layers = _scale(scene, small=small)[0]
    return Sample(skopeo(f"oci:{scene.folder}/layout-{layers}:latest", _target(url, small=small)))


def _pull_image(scene: Scene, side: Side, *, small: bool) -> Sample:
    return _pull(scene, side.url, small=small)


def _pull(scene: Scene, url: str, *, small: bool) -> Sample:
    folder = scene.folder / "pulled"
    try:
        return Sample(skopeo(_target(url, small=small), f"dir:{folder}"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _push_limit(scene: Scene, *, small: bool) -> Sample:
    """Push to a server that only makes durable what comes: what is left is skopeo itself, and the disk."""
    with bare_registry(scene.empty("kept")) as url:
        return _push(scene, url, small=small)


def _pull_limit(scene: Scene, *, small: bool) -> Sample:
    """Pull the image that was pushed last from a server that does no more than `sendfile`."""
    layers, layer_bytes = _scale(scene, small=small)
    folder = scene.folder / f"layout-{layers}"
    with bare_registry(scene.empty("kept"), folder if folder.exists() else scene.layout(layers, layer_bytes)) as url:
        return _pull(scene, url, small=small)
