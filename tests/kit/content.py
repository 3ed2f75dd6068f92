"""Contents to push: blobs, images and indexes with their digests."""

import hashlib
import io
import json
import os
from dataclasses import dataclass

from registry_service.manifests import OCI_IMAGE, OCI_INDEX

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True)
class Content:
    """Bytes, their media type, and what they are called."""

    body: bytes
    media_type: str = "application/octet-stream"

    @property
    def digest(self) -> str:
        return "sha256:" + hashlib.sha256(self.body).hexdigest()

    @property
    def file(self) -> io.BytesIO:
        """The bytes as aiohttp's client likes to send many."""
        return io.BytesIO(self.body)

    @property
    def descriptor(self) -> dict[str, object]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.body)}


def blob(body: bytes | int = 100) -> Content:
    """Return a layer; a number asks for that many random bytes."""
    return Content(os.urandom(body) if isinstance(body, int) else body, LAYER_TYPE)


def image(layers: list[Content], config: Content | None = None, **more: object) -> Content:
    """Return an OCI image manifest."""
    config = config or image_config()
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE,
        "config": config.descriptor,
        "layers": [layer.descriptor for layer in layers],
        **more,
    }
    return Content(json.dumps(document).encode(), OCI_IMAGE)


def image_config(architecture: str = "amd64") -> Content:
    """Return the config of an image."""
    return Content(json.dumps({"architecture": architecture, "os": "linux"}).encode(), CONFIG_TYPE)


def index(manifests: list[Content], **more: object) -> Content:
    """Return an OCI image index."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [one.descriptor for one in manifests],
        **more,
    }
    return Content(json.dumps(document).encode(), OCI_INDEX)
