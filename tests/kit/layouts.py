"""Images as files, in the layout that both the OCI's clients and `docker load` read: no test pulls anything."""

import io
import json
import os
import platform
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.kit.content import CONFIG_TYPE, LAYER_TYPE, Content, image, index

GREETING = "Hello from Cangku!"
PLATFORMS = ("amd64", "arm64")
BUSYBOX = Path("/bin/busybox")


@dataclass(frozen=True)
class Image:
    """An image of one platform; the digest of its config is what clients call the image's id."""

    architecture: str
    config: Content
    layers: tuple[Content, ...]

    @property
    def id(self) -> str:
        return self.config.digest

    @cached_property
    def manifest(self) -> Content:
        return image(list(self.layers), self.config)

    @property
    def descriptor(self) -> dict[str, object]:
        return self.manifest.descriptor | {"platform": {"os": "linux", "architecture": self.architecture}}


@dataclass(frozen=True)
class Layout:
    """A folder and a tar archive with one image, or with an index over several; its tag is `latest`."""

    folder: Path
    images: tuple[Image, ...]
    top: Content

    @property
    def image(self) -> Image:
        """The only image."""
        (one,) = self.images
        return one

    @property
    def oci(self) -> str:
        """The name under which skopeo, podman and buildah read it."""
        return f"oci:{self.folder}:latest"

    @property
    def archive(self) -> Path:
        path = self.folder.with_suffix(".tar")
        if not path.exists():
            with tarfile.open(path, "w") as packed:
                packed.add(self.folder, arcname=".")
        return path


def make_image(*, architecture: str = "", extra: int = 0) -> Image:
    """Return an image that prints GREETING; another layer holds `extra` random bytes, so that each image is new."""
    layers = [tar_layer({"bin/busybox": BUSYBOX.read_bytes()}), tar_layer({"random": os.urandom(extra or 64)})]
    config = {
        "architecture": architecture or platform_architecture(),
        "os": "linux",
        "config": {"Cmd": ["/bin/busybox", "echo", GREETING]},
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
    }
    return Image(config["architecture"], Content(json.dumps(config).encode(), CONFIG_TYPE), tuple(layers))


def write_layout(folder: Path, *images: Image) -> Layout:
    """Write the images, or a new one if there is none; several lie under an index."""
    images = images or (make_image(),)
    top = images[0].manifest if len(images) == 1 else index_of(images)
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)
    for content in {top, *(part for one in images for part in (*one.layers, one.config, one.manifest))}:
        (blobs / content.digest.removeprefix("sha256:")).write_bytes(content.body)
    named = top.descriptor | {"annotations": {"org.opencontainers.image.ref.name": "latest"}}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "manifest.json").write_text(json.dumps([_docker_entry(one) for one in images]))
    return Layout(folder, images, top)


def write_two_platforms(folder: Path) -> Layout:
    """Write an index over an image for each of PLATFORMS."""
    return write_layout(folder, *(make_image(architecture=architecture) for architecture in PLATFORMS))


def index_of(images: tuple[Image, ...]) -> Content:
    plain = index([])
    document = json.loads(plain.body) | {"manifests": [one.descriptor for one in images]}
    return Content(json.dumps(document).encode(), plain.media_type)


def tar_layer(files: Mapping[str, bytes]) -> Content:
    """Return an uncompressed layer with these files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, body in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(body), 0o755
            archive.addfile(entry, io.BytesIO(body))
    return Content(packed.getvalue(), LAYER_TYPE)


def platform_architecture() -> str:
    """Return this machine's architecture as images name it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _docker_entry(one: Image) -> dict[str, object]:
    """Return the entry of manifest.json, `docker load`'s table of contents."""
    return {"Config": _path(one.config), "Layers": [_path(layer) for layer in one.layers]}


def _path(content: Content) -> str:
    return f"blobs/sha256/{content.digest.removeprefix('sha256:')}"
