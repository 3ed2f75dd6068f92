"""Where everything lies: every storage key of the registry. Pure.

The tree is the Go registry's (distribution, registry/storage/paths.go describes the same one), so that either program
can serve what the other wrote:

    docker/registry/v2/
        blobs/sha256/ab/abcdef…/data                           bytes of layers, configs and manifests
        repositories/<name>/
            _layers/<alg>/<hex>/link                           the blob may be read through this repository
            _manifests/revisions/<alg>/<hex>/link              the manifest exists in this repository
            _manifests/tags/<tag>/current/link                 what the tag points to
            _manifests/tags/<tag>/index/<alg>/<hex>/link       everything it ever pointed to
            _manifests/referrers/<alg>/<hex>/<alg>/<hex>/link  ours: subject -> manifest that refers to it
            _uploads/<uuid>/data                               bytes received so far
            _uploads/<uuid>/startedat                          when the upload began, RFC 3339, UTC; from us once it is
                                                               large, for small ones come and go too fast for a folder
            _uploads/<uuid>/digests/<size>                     ours: the digest of the first <size> bytes
    .trash/                                                    ours: what is being deleted (storage/filesystem.py)
    cangku/
        outbox.sqlite3                                         ours: events that are not delivered yet
        sources/<ab>/<hex>.<number>                            ours: a repository that (once) held the blob
        uploads/<uuid>.<number>                                ours: when an upload began, and in which repository; this
                                                               note becomes one of the sources when the upload ends

A link holds a canonical (sha256) digest and nothing else, not even a line end. The link of a sha512 name holds the
sha256 digest under which the bytes are kept.
"""

import hashlib
from typing import Final

from shared.names import Digest, Tag

ROOT: Final = "docker/registry/v2"
REPOSITORIES: Final = f"{ROOT}/repositories"
OUTBOX: Final = "cangku/outbox.sqlite3"

LAYERS: Final = "_layers"
MANIFESTS: Final = "_manifests"
UPLOADS: Final = "_uploads"
BEGUN_UPLOADS: Final = "cangku/uploads"


def blob(digest: Digest) -> str:
    """Return the key of the bytes of a digest."""
    return f"{ROOT}/blobs/{digest.algorithm}/{digest.hex[:2]}/{digest.hex}/data"


def repository(name: str) -> str:
    """Return the folder of a repository."""
    return f"{REPOSITORIES}/{name}"


def layers(name: str) -> str:
    """Return the folder whose existence makes a repository, for the Go registry 2.x."""
    return f"{repository(name)}/{LAYERS}"


def layer_link(name: str, digest: Digest) -> str:
    """Return the link that makes a blob readable through a repository."""
    return f"{layers(name)}/{digest.algorithm}/{digest.hex}/link"


def layers_marker(name: str) -> str:
    """Return a key that makes the folder of layers exist: the Go registry 2.x sees no repository without it."""
    return f"{layers(name)}/.keep"


def revisions(name: str) -> str:
    """Return the folder of a repository's manifests."""
    return f"{repository(name)}/{MANIFESTS}/revisions"


def revision_link(name: str, digest: Digest) -> str:
    """Return the link that makes a manifest exist in a repository."""
    return f"{revisions(name)}/{digest.algorithm}/{digest.hex}/link"


def tags(name: str) -> str:
    """Return the folder of a repository's tags."""
    return f"{repository(name)}/{MANIFESTS}/tags"


def tag(name: str, tag: Tag) -> str:
    """Return the folder of one tag."""
    return f"{tags(name)}/{tag.name}"


def tag_link(name: str, tag: Tag) -> str:
    """Return the link from a tag to its manifest."""
    return f"{tags(name)}/{tag.name}/current/link"


def tag_index_link(name: str, tag: Tag, digest: Digest) -> str:
    """Return the link that remembers that a tag once pointed to a manifest."""
    return f"{tags(name)}/{tag.name}/index/{digest.algorithm}/{digest.hex}/link"


def referrers(name: str, subject: Digest) -> str:
    """Return the folder of the manifests that name `subject` as their subject."""
    return f"{repository(name)}/{MANIFESTS}/referrers/{subject.algorithm}/{subject.hex}"


def referrer_link(name: str, subject: Digest, digest: Digest) -> str:
    """Return the link from a subject to one manifest that refers to it."""
    return f"{referrers(name, subject)}/{digest.algorithm}/{digest.hex}/link"


def uploads(name: str) -> str:
    """Return the folder of a repository's uploads."""
    return f"{repository(name)}/{UPLOADS}"


def upload(name: str, upload_id: str) -> str:
    """Return the folder of one upload."""
    return f"{uploads(name)}/{upload_id}"


def sources(digest: Digest) -> str:
    """Return the folder in which the repositories of a blob are noted, among those of other blobs."""
    return f"cangku/sources/{digest.hex[:2]}"


def source(digest: Digest, name: str) -> str:
    """Return the key under which it is noted that a repository holds a blob."""
    return f"{sources(digest)}/{digest.hex}.{_number(name)}"


def upload_data(name: str, upload_id: str) -> str:
    """Return the key of the bytes that an upload has received."""
    return f"{upload(name, upload_id)}/data"


def upload_begun(name: str, upload_id: str) -> str:
    """Return the key whose existence makes an upload of ours known."""
    return f"{BEGUN_UPLOADS}/{upload_id}.{_number(name)}"


def upload_started(name: str, upload_id: str) -> str:
    """Return the key whose existence makes an upload known to the Go registry."""
    return f"{upload(name, upload_id)}/startedat"


def upload_digest(name: str, upload_id: str, size: int) -> str:
    """Return the key of the digest of an upload's first `size` bytes."""
    return f"{upload(name, upload_id)}/digests/{size}"


def _number(name: str) -> str:
    """Return what stands for a repository in the name of a file, for which its own is too long."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]
