"""What manifests and image configurations say, read into dataclasses. No I/O.

Whoever can push decides what stands in them, so nothing is taken for granted: a value of the wrong type is an absent
one. Sources: OCI image-spec 1.1 (manifest, index, config); Docker image manifest V2 schema 2.
"""

from dataclasses import dataclass
from typing import Any, Final

from web_service.errors import N_, RegistryProblem
from web_service.foreign import parse_json, parse_size, parse_time

INDEX_TYPES: Final = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
IMAGE_TYPES: Final = frozenset(
    {"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"}
)
MANIFEST_TYPES: Final = tuple(sorted(INDEX_TYPES | IMAGE_TYPES))
_CONFIG_TYPES: Final = frozenset(
    {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}
)
_CREATED_ANNOTATION: Final = "org.opencontainers.image.created"
_UNKNOWN: Final = "unknown"
LONGEST_PLATFORM: Final = 60


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to content: `size` is bytes; `platform` is set for the children of an index."""

    media_type: str
    digest: str
    size: int
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest of any kind; an index has `children`, an image a `config` and `layers`."""

    digest: str
    media_type: str
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    children: tuple[Descriptor, ...]
    created: int | None
    artifact_type: str = ""

    @property
    def is_index(self) -> bool:
        """Whether it lists images of several platforms."""
        return self.media_type in INDEX_TYPES

    @property
    def has_image_config(self) -> bool:
        """Whether its configuration describes a container image, not a chart or another artifact."""
        return self.config is not None and self.config.media_type in _CONFIG_TYPES

    @property
    def blobs(self) -> dict[str, int]:
        """The size in bytes of each piece of content, by digest: a layer that repeats counts once."""
        parts = (self.config, *self.layers) if self.config else self.layers
        return {part.digest: part.size for part in parts}


@dataclass(frozen=True, slots=True)
class Step:
    """One line of an image's history; `created` is seconds since the epoch. Its layer, when it made one."""

    command: str
    created: int | None
    makes_layer: bool


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What an image was built from and how it starts; `platform` is os/architecture[/variant]."""

    platform: str = ""
    created: int | None = None
    author: str = ""
    env: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    working_directory: str = ""
    user: str = ""
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    history: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Image:
    """One manifest with its configuration; `size` is the compressed bytes a first pull transfers."""

    manifest: Manifest
    config: ImageConfig

    @property
    def platform(self) -> str:
        """os/architecture, empty when it is no container image."""
        return self.config.platform

    @property
    def created(self) -> int | None:
        """Seconds since the epoch."""
        return self.config.created or self.manifest.created

    @property
    def size(self) -> int:
        """Bytes of the configuration and all layers."""
        return sum(self.manifest.blobs.values())


@dataclass(frozen=True, slots=True)
class Tagged:
    """What a tag points to: one image, or an index with several."""

    tag: str
    manifest: Manifest
    images: tuple[Image, ...]

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platforms there are images for."""
        return tuple(dict.fromkeys(image.platform for image in self.images if image.platform))

    @property
    def created(self) -> int | None:
        """When the newest of the images was made, in seconds since the epoch."""
        return max((image.created for image in self.images if image.created), default=self.manifest.created)

    @property
    def size(self) -> int:
        """Bytes of everything it needs; a layer that images share counts once."""
        blobs: dict[str, int] = {}
        for image in self.images:
            blobs |= image.manifest.blobs
        return sum(blobs.values())


def parse_manifest(media_type: str, digest: str, body: bytes) -> Manifest:
    """Read a manifest; raises RegistryProblem when it is not a JSON object."""
    document = _document(body, N_("The manifest cannot be read."))
    kind = media_type or _text(document.get("mediaType"))
    config = document.get("config")
    return Manifest(
        digest,
        kind,
        _descriptor(config) if isinstance(config, dict) else None,
        tuple(_descriptor(layer) for layer in _objects(document.get("layers"))),
        tuple(_descriptor(child) for child in _objects(document.get("manifests"))),
        parse_time(_object(document.get("annotations")).get(_CREATED_ANNOTATION)),
        _text(document.get("artifactType")),
    )


def parse_config(body: bytes) -> ImageConfig:
    """Read an image configuration; raises RegistryProblem when it is not a JSON object."""
    document = _document(body, N_("The image configuration cannot be read."))
    run = _object(document.get("config"))
    return ImageConfig(
        platform=_platform(document),
        created=parse_time(document.get("created")),
        author=_text(document.get("author")),
        env=_texts(run.get("Env")),
        labels=tuple(sorted((str(key), _text(value)) for key, value in _object(run.get("Labels")).items())),
        entrypoint=_texts(run.get("Entrypoint")),
        command=_texts(run.get("Cmd")),
        working_directory=_text(run.get("WorkingDir")),
        user=_text(run.get("User")),
        ports=tuple(sorted(map(str, _object(run.get("ExposedPorts"))))),
        volumes=tuple(sorted(map(str, _object(run.get("Volumes"))))),
        history=tuple(_step(step) for step in _objects(document.get("history"))),
    )


def is_attestation(child: Descriptor) -> bool:
    """Return whether a child of an index is not an image but what a builder says about one."""
    return child.platform == f"{_UNKNOWN}/{_UNKNOWN}"


def history_rows(image: Image) -> list[tuple[Step, Descriptor | None]]:
    """Return the steps of an image, the last one first, each with the layer that it made."""
    layers = iter(image.manifest.layers)
    rows = [(step, next(layers, None) if step.makes_layer else None) for step in image.config.history]
    return rows[::-1]


def _document(body: bytes, problem: str) -> dict[str, Any]:
    try:
        document = parse_json(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise RegistryProblem(problem)
    return document


def _descriptor(value: dict[str, Any]) -> Descriptor:
    return Descriptor(
        _text(value.get("mediaType")),
        _text(value.get("digest")),
        parse_size(value.get("size")),
        _platform(_object(value.get("platform"))),
    )


def _platform(value: dict[str, Any]) -> str:
    parts = (_text(value.get("os")), _text(value.get("architecture")), _text(value.get("variant")))
    return "/".join(part for part in parts if part)[:LONGEST_PLATFORM]


def _step(value: dict[str, Any]) -> Step:
    return Step(_text(value.get("created_by")), parse_time(value.get("created")), value.get("empty_layer") is not True)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
