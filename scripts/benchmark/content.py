"""What is pushed before and during a measurement: blobs, images, long lists."""

import hashlib
import json
import os
import shutil
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scripts.benchmark.sides import Side

MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE: Final = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar"
TREE: Final = "docker/registry/v2"
_AT_ONCE: Final = 16


@dataclass(frozen=True)
class Image:
    """A small pushed image: the repository, the digest and size of its manifest, the digest of its config."""

    name: str
    manifest: str
    manifest_bytes: int
    config: str


def digest_of(data: bytes) -> str:
    """Return the digest of bytes in memory."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def file_digest(path: Path) -> str:
    """Return the digest of a file."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def call(side: Side, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[dict[str, str], bytes]:
    """Make one request to a side and return headers and body of a good answer; raises OSError for any other."""
    url = urllib.parse.urljoin(side.url, path)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, body, {**side.headers, **named}, method=method)  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=120) as answer:
        return {key.lower(): value for key, value in answer.headers.items()}, answer.read()


def open_upload(side: Side, name: str) -> str:
    """Open an upload and return its whole URL, ready for a digest to be added."""
    location = call(side, "POST", f"/v2/{name}/blobs/uploads/", b"")[0]["location"]
    return urllib.parse.urljoin(side.url, location)


def closing(location: str, digest: str) -> str:
    """Return the URL that closes an upload under a digest."""
    return f"{location}{'&' if '?' in location else '?'}digest={urllib.parse.quote(digest)}"


def push_blob(side: Side, name: str, data: bytes) -> str:
    """Push a small blob and return its digest."""
    digest = digest_of(data)
    call(side, "PUT", closing(open_upload(side, name), digest), data, Content_Type="application/octet-stream")
    return digest


def push_manifest(side: Side, name: str, reference: str, document: dict[str, Any]) -> str:
    """Push a manifest and return its digest."""
    body = json.dumps(document).encode()
    call(side, "PUT", f"/v2/{name}/manifests/{reference}", body, Content_Type=str(document["mediaType"]))
    return digest_of(body)


def push_small_image(side: Side, name: str) -> Image:
    """Push the image that the reading rows read: a config of 1.5 KB, three layers, the tag v1."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "padding": "x" * 1450}).encode()
    layers = [os.urandom(1000) for _ in range(3)]
    for data in (config, *layers):
        push_blob(side, name, data)
    document = manifest_of(config, layers)
    digest = push_manifest(side, name, "v1", document)
    return Image(name, digest, len(json.dumps(document)), digest_of(config))


def push_manifests(side: Side, name: str, number: int) -> str:
    """Push so many small manifests under tags that are numbers of five digits behind a word, and return that word."""
    word, empty = "m", b"{}"
    push_blob(side, name, empty)
    documents = [manifest_of(empty, [empty], annotations={"n": str(i)}) for i in range(number)]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for _ in threads.map(lambda i: push_manifest(side, name, f"{word}{i:05}", documents[i]), range(number)):
            pass
    return word


def manifest_of(config: bytes, layers: list[bytes], **more: object) -> dict[str, Any]:
    """Return the manifest of an image whose parts are in memory."""
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _descriptor(CONFIG_TYPE, config),
        "layers": [_descriptor(LAYER_TYPE, layer) for layer in layers],
        **more,
    }


def _descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def push_referrers(side: Side, name: str, subject: dict[str, Any], number: int) -> None:
    """Push manifests that name a subject, as signatures and attestations do."""
    empty = b"{}"
    push_blob(side, name, empty)
    for i in range(number):
        document = manifest_of(
            empty, [empty], subject=subject, artifactType="application/x-bench", annotations={"n": str(i)}
        )
        push_manifest(side, name, digest_of(json.dumps(document).encode()), document)


def write_tags(folder: Path, name: str, number: int, digest: str) -> None:
    """Write so many tags of one manifest into a tree of the Go registry's layout."""
    tags = folder / TREE / "repositories" / name / "_manifests/tags"
    for i in range(number):
        link = tags / f"v{i:06}" / "current/link"
        link.parent.mkdir(parents=True)
        link.write_text(digest)


def repository_name(prefix: str, number: int) -> str:
    """Return the name of one of many repositories, which lie a thousand to a folder."""
    return f"{prefix}{number // 1000:04}/r{number % 1000:04}"


def write_repositories(folder: Path, prefix: str, number: int) -> None:
    """Write so many repositories into a tree of the Go registry's layout."""
    repositories = folder / TREE / "repositories"
    for i in range(number):
        one = repositories / repository_name(prefix, i)
        (one / "_layers").mkdir(parents=True)
        (one / "_manifests").mkdir()


def write_large_file(path: Path, size: int) -> None:
    """Write a file of random bytes."""
    block = os.urandom(1 << 20)
    with path.open("wb") as file:
        for i in range(size >> 20):
            file.write(i.to_bytes(8, "big") + block[8:])


def renew(path: Path) -> str:
    """Change the first bytes of a file, so that nobody has it yet, and return its digest."""
    with path.open("r+b") as file:
        file.write(os.urandom(16))
    return file_digest(path)


def write_layout(folder: Path, layers: int, layer_bytes: int) -> None:
    """Write a fresh image as an OCI layout for skopeo to push."""
    shutil.rmtree(folder, ignore_errors=True)
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)
    entries = [_layout_blob(blobs, LAYER_TYPE, os.urandom(layer_bytes)) for _ in range(layers)]
    diffs = [entry["digest"] for entry in entries]
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diffs}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _layout_blob(blobs, CONFIG_TYPE, json.dumps(config).encode()),
        "layers": entries,
    }
    entry = _layout_blob(blobs, MANIFEST_TYPE, json.dumps(manifest).encode())
    entry["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))


def _layout_blob(blobs: Path, media_type: str, data: bytes) -> dict[str, Any]:
    descriptor = _descriptor(media_type, data)
    (blobs / descriptor["digest"].partition(":")[2]).write_bytes(data)
    return descriptor
