"""Blobs, manifests and tags of repositories, over every driver."""

import asyncio
import hashlib

import pytest

from registry_service import layout
from registry_service.errors import Code, RegistryError
from registry_service.manifests import DOCKER_IMAGE, OCI_IMAGE, OCI_INDEX, parse_manifest
from registry_service.registry import Registry, StoredManifest, _ManifestCache
from registry_service.storage.driver import Changed, KeyNotFound
from registry_service.storage.filesystem import FilesystemDriver
from registry_service.storage.memory import MemoryDriver
from shared.names import Digest, Tag
from tests.kit.content import Content, blob, image, image_config, index

NAME, OTHER = "team/app", "other/app"
V1, V2 = Tag("v1"), Tag("v2")
LAYER, CONFIG = blob(b"layer"), image_config()
IMAGE = image([LAYER], CONFIG)


@pytest.fixture(params=[MemoryDriver, FilesystemDriver])
def driver(request, tmp_path):
    return MemoryDriver() if request.param is MemoryDriver else FilesystemDriver(tmp_path / "root")


@pytest.fixture
def registry(driver):
    return Registry(driver)


def digest_of(content, algorithm="sha256"):
    return Digest(algorithm, hashlib.new(algorithm, content.body).hexdigest())


def refused(code, detail=...):
    """Return the expectation of a RegistryError with a code, and a detail if one is given."""

    def fits(error):
        first = error.problems[0]
        return first.code is code and detail in (..., first.detail)

    return pytest.raises(RegistryError, check=fits)


async def add_blobs(registry, *contents, name=NAME):
    for content in contents:
        await registry.driver.write(layout.blob(digest_of(content)), content.body)
        await registry.link_blob(name, digest_of(content), digest_of(content))


async def put(registry, content, *tags, name=NAME, reference=None):
    """Push a manifest by its digest, or another reference, and give it tags."""
    manifest = parse_manifest(content.body, content.media_type)
    digest = await registry.put_manifest(name, reference or manifest.digest, manifest)
    for tag in tags:
        await registry.tag_manifest(name, tag, digest)
    return digest


async def push(registry, content, *tags, name=NAME):
    """Push an image with the layer and the config that all images here have."""
    await add_blobs(registry, LAYER, CONFIG, name=name)
    return await put(registry, content, *tags, name=name)


async def test_a_blob_tells_its_digest_size_and_key(registry):
    await add_blobs(registry, LAYER)
    found = await registry.blob(NAME, digest_of(LAYER))
    assert (found.digest, found.size, found.key) == (digest_of(LAYER), 5, layout.blob(digest_of(LAYER)))


async def test_a_blob_of_another_repository_is_unknown(registry):
    await add_blobs(registry, LAYER, name=OTHER)
    with refused(Code.BLOB_UNKNOWN, {"digest": LAYER.digest}):
        await registry.blob(NAME, digest_of(LAYER))


async def test_the_empty_blob_is_a_blob(registry):
    await add_blobs(registry, blob(b""))
    assert (await registry.blob(NAME, digest_of(blob(b"")))).size == 0


@pytest.mark.parametrize("algorithm", ["sha384", "sha512"])
async def test_a_blob_is_found_by_every_digest_it_was_pushed_by(registry, algorithm):
    await add_blobs(registry, LAYER)
    await registry.link_blob(NAME, digest_of(LAYER, algorithm), digest_of(LAYER))
    found = await registry.blob(NAME, digest_of(LAYER, algorithm))
    assert (found.digest, found.key) == (digest_of(LAYER, algorithm), layout.blob(digest_of(LAYER)))


@pytest.mark.parametrize("link", [b"", b"x", b"sha256:", b"\xff" * 71])
async def test_a_link_that_a_power_cut_left_behind_is_no_blob(registry, link):
    await add_blobs(registry, LAYER)
    await registry.driver.write(layout.layer_link(NAME, digest_of(LAYER)), link)
    with refused(Code.BLOB_UNKNOWN):
        await registry.blob(NAME, digest_of(LAYER))


@pytest.mark.parametrize("bytes_", ["missing", "empty"])
async def test_a_link_without_its_bytes_is_no_blob(registry, bytes_):
    await add_blobs(registry, LAYER, CONFIG)
    if bytes_ == "missing":
        await registry.driver.delete(layout.blob(digest_of(LAYER)))
    else:
        await registry.driver.write(layout.blob(digest_of(LAYER)), b"")
    with refused(Code.BLOB_UNKNOWN):
        await registry.blob(NAME, digest_of(LAYER))
    assert not await registry.mount_blob(OTHER, digest_of(LAYER), NAME)
    with refused(Code.MANIFEST_BLOB_UNKNOWN, {"digest": LAYER.digest}):
        await put(registry, IMAGE)


async def test_a_link_with_a_line_end_is_read(registry):
    """The Go registry writes none, but people repair links with editors."""
    await add_blobs(registry, LAYER)
    await registry.driver.write(layout.layer_link(NAME, digest_of(LAYER)), LAYER.digest.encode() + b"\n")
    assert (await registry.blob(NAME, digest_of(LAYER))).size == 5


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_mounted_blob_is_in_both_repositories(registry, algorithm):
    await add_blobs(registry, LAYER)
    await registry.link_blob(NAME, digest_of(LAYER, algorithm), digest_of(LAYER))
    assert await registry.mount_blob(OTHER, digest_of(LAYER, algorithm), NAME)
    for name in (NAME, OTHER):
        for digest in (digest_of(LAYER, algorithm), digest_of(LAYER)):
            assert (await registry.blob(name, digest)).size == 5


async def test_what_its_source_lacks_is_not_mounted(registry):
    assert not await registry.mount_blob(OTHER, digest_of(LAYER), NAME)
    assert await registry.driver.children(layout.repository(OTHER)) == []


async def test_a_deleted_blob_is_gone_from_its_repository_alone(registry):
    for name in (NAME, OTHER):
        await add_blobs(registry, LAYER, name=name)
    await registry.delete_blob(NAME, digest_of(LAYER))
    with refused(Code.BLOB_UNKNOWN):
        await registry.blob(NAME, digest_of(LAYER))
    with refused(Code.BLOB_UNKNOWN):
        await registry.delete_blob(NAME, digest_of(LAYER))
    assert (await registry.blob(OTHER, digest_of(LAYER))).size == 5


@pytest.mark.parametrize("media_type", [OCI_IMAGE, DOCKER_IMAGE])
async def test_a_manifest_is_read_by_tag_and_digest_byte_for_byte(registry, media_type):
    body = IMAGE.body.replace(OCI_IMAGE.encode(), media_type.encode()) + b"\n "
    content = Content(body, media_type)
    digest = await push(registry, content, V1, V2)
    for reference in (V1, V2, digest):
        assert await registry.manifest(NAME, reference) == StoredManifest(digest_of(content), media_type, body)
    assert await registry.resolve(NAME, V1) == digest


@pytest.mark.parametrize(
    ("reference", "detail"),
    [(V1, {"name": NAME, "tag": "v1"}), (digest_of(IMAGE), {"name": NAME, "revision": IMAGE.digest})],
    ids=["tag", "digest"],
)
async def test_an_unknown_manifest(registry, reference, detail):
    await push(registry, IMAGE, V1, name=OTHER)
    with refused(Code.MANIFEST_UNKNOWN, detail):
        await registry.manifest(NAME, reference)


async def test_a_tag_moves(registry):
    second = image([LAYER], CONFIG, annotations={"a": "b"})
    first_digest = await push(registry, IMAGE, V1)
    await put(registry, second, V1)
    assert (await registry.manifest(NAME, V1)).body == second.body
    assert (await registry.manifest(NAME, first_digest)).body == IMAGE.body
    for one in (IMAGE, second):
        link = layout.tag_index_link(NAME, V1, digest_of(one))
        assert await registry.driver.read(link) == one.digest.encode()


async def test_a_tag_that_has_changed_meanwhile_is_not_moved(registry):
    digest = await push(registry, IMAGE, V1)
    for tag, expected in ((V1, None), (V1, b"other"), (V2, str(digest).encode())):
        with pytest.raises(Changed):
            await registry.tag_manifest(NAME, tag, digest, expected=expected)
    await registry.tag_manifest(NAME, V1, digest, expected=str(digest).encode())
    assert await registry.driver.children(layout.tags(NAME)) == ["v1"]


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
async def test_a_manifest_pushed_by_digest_is_known_by_it_and_by_the_canonical_one(registry, algorithm):
    await add_blobs(registry, LAYER, CONFIG)
    assert await put(registry, IMAGE, reference=digest_of(IMAGE, algorithm)) == digest_of(IMAGE, algorithm)
    for digest in (digest_of(IMAGE, algorithm), digest_of(IMAGE)):
        assert (await registry.manifest(NAME, digest)) == StoredManifest(digest, OCI_IMAGE, IMAGE.body)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_manifest_cannot_be_pushed_by_the_digest_of_another(registry, algorithm):
    await add_blobs(registry, LAYER, CONFIG)
    expected = digest_of(LAYER, algorithm)
    with refused(Code.DIGEST_INVALID, {"expected": str(expected), "actual": str(digest_of(IMAGE, algorithm))}):
        await put(registry, IMAGE, reference=expected)
    assert await registry.driver.children(layout.repository(NAME)) == ["_layers"]


async def test_everything_that_is_missing_is_told_at_once_and_nothing_is_stored(registry):
    layers = [blob(b"one"), blob(b"two"), blob(b"one")]
    await add_blobs(registry, layers[1])
    await add_blobs(registry, layers[0], name=OTHER)
    with pytest.raises(RegistryError) as caught:
        await put(registry, image(layers, CONFIG), V1)
    assert [problem.code for problem in caught.value.problems] == [Code.MANIFEST_BLOB_UNKNOWN] * 2
    assert [one.detail["digest"] for one in caught.value.problems] == [CONFIG.digest, layers[0].digest]
    assert await registry.driver.children(layout.repository(NAME)) == ["_layers"]


async def test_an_index_needs_its_children_as_manifests_of_the_same_repository(registry):
    await push(registry, IMAGE, name=OTHER)
    await add_blobs(registry, Content(IMAGE.body))
    with refused(Code.MANIFEST_BLOB_UNKNOWN, {"digest": IMAGE.digest}):
        await put(registry, index([IMAGE]))
    await push(registry, IMAGE)
    await put(registry, index([IMAGE, IMAGE]), V1)
    assert (await registry.manifest(NAME, V1)).media_type == OCI_INDEX


async def test_a_manifest_without_blobs_makes_a_repository_that_the_go_registry_sees(registry):
    await put(registry, index([]), V1)
    assert await registry.driver.children(layout.repository(NAME)) == ["_layers", "_manifests"]


async def test_a_subject_need_not_be_there(registry):
    child = image([LAYER], CONFIG, subject=blob(b"absent").descriptor)
    digest = await push(registry, child)
    link = layout.referrer_link(NAME, digest_of(blob(b"absent")), digest)
    assert await registry.driver.read(link) == str(digest).encode()


async def test_pushing_the_same_again_changes_nothing(registry):
    for _ in range(2):
        digest = await push(registry, IMAGE, V1)
    assert (await registry.manifest(NAME, V1)).digest == digest


async def test_a_deleted_manifest_takes_its_tags_along(registry):
    digest = await push(registry, IMAGE, V1, Tag("v1.tmp"))
    other = await push(registry, image([LAYER], CONFIG, annotations={"a": "b"}), V2)
    await push(registry, IMAGE, V1, name=OTHER)
    assert await registry.delete_manifest(NAME, digest) == [V1, Tag("v1.tmp")]
    for reference in (V1, Tag("v1.tmp"), digest):
        with refused(Code.MANIFEST_UNKNOWN):
            await registry.manifest(NAME, reference)
    assert (await registry.manifest(NAME, V2)).digest == other
    assert (await registry.manifest(OTHER, V1)).digest == digest
    assert await registry.driver.read(layout.blob(digest)) == IMAGE.body


@pytest.mark.parametrize("deleted_by", ["sha256", "sha512"])
async def test_a_deleted_manifest_is_gone_under_each_of_its_names(registry, deleted_by):
    await add_blobs(registry, LAYER, CONFIG)
    await put(registry, IMAGE, V1, reference=digest_of(IMAGE, "sha512"))
    await put(registry, IMAGE, V2)
    assert await registry.delete_manifest(NAME, digest_of(IMAGE, deleted_by)) == [V1, V2]
    for reference in (V1, V2, digest_of(IMAGE), digest_of(IMAGE, "sha512")):
        with refused(Code.MANIFEST_UNKNOWN):
            await registry.manifest(NAME, reference)


async def test_an_unknown_manifest_cannot_be_deleted(registry):
    await push(registry, IMAGE, name=OTHER)
    with refused(Code.MANIFEST_UNKNOWN):
        await registry.delete_manifest(NAME, digest_of(IMAGE))


async def test_a_deleted_referrer_is_no_longer_linked_to_its_subject(registry):
    subject = await push(registry, IMAGE)
    digest = await push(registry, image([LAYER], CONFIG, subject=IMAGE.descriptor))
    await registry.delete_manifest(NAME, digest)
    with pytest.raises(KeyNotFound):
        await registry.driver.read(layout.referrer_link(NAME, subject, digest))


async def test_a_deleted_tag_leaves_its_manifest(registry):
    digest = await push(registry, IMAGE, V1, V2)
    await registry.delete_tag(NAME, V1)
    for call in (registry.manifest, registry.delete_tag):
        with refused(Code.MANIFEST_UNKNOWN):
            await call(NAME, V1)
    assert (await registry.manifest(NAME, V2)).digest == digest


@pytest.mark.parametrize("what", ["manifest", "tag", "blob"])
async def test_of_deletions_at_once_each_is_done_or_finds_nothing(registry, what):
    for _ in range(10):
        digest = await push(registry, IMAGE, V1)
        calls = {
            "manifest": lambda digest=digest: registry.delete_manifest(NAME, digest),
            "tag": lambda: registry.delete_tag(NAME, V1),
            "blob": lambda: registry.delete_blob(NAME, digest_of(LAYER)),
        }
        results = await asyncio.gather(*(calls[what]() for _ in range(4)), return_exceptions=True)
        failed = [result for result in results if isinstance(result, Exception)]
        assert len(failed) < 4
        assert {error.problems[0].code for error in failed} <= {Code.MANIFEST_UNKNOWN, Code.BLOB_UNKNOWN}


async def test_the_bytes_of_a_manifest_are_read_once(registry, monkeypatch):
    keys, read = [], registry.driver.read
    monkeypatch.setattr(registry.driver, "read", lambda key: [keys.append(key), read(key)][1])
    digest = await push(registry, IMAGE, V1)
    for reference in (V1, digest, V1):
        assert (await registry.manifest(NAME, reference)).body == IMAGE.body
    assert keys.count(layout.blob(digest)) == 1


async def test_what_another_process_does_is_seen_at_once(driver):
    here, there = Registry(driver), Registry(driver)
    second = image([LAYER], CONFIG, annotations={"a": "b"})
    digest = await push(here, IMAGE, V1)
    assert (await here.manifest(NAME, V1)).body == IMAGE.body
    await put(there, second, V1)
    assert (await here.manifest(NAME, V1)).body == second.body
    await there.delete_manifest(NAME, digest)
    with refused(Code.MANIFEST_UNKNOWN):
        await here.manifest(NAME, digest)


class Failing(MemoryDriver):
    """A driver whose process dies after a number of writes and deletions."""

    def __init__(self, lives):
        super().__init__()
        self.lives = lives

    async def write(self, key, data, **more):
        self._spend()
        await super().write(key, data, **more)

    async def delete(self, key):
        self._spend()
        await super().delete(key)

    def _spend(self):
        self.lives -= 1
        if self.lives < 0:
            raise OSError


@pytest.mark.parametrize("lives", range(16))
async def test_a_crash_leaves_garbage_and_never_a_name_that_leads_nowhere(lives):
    driver = Failing(1000)
    registry = Registry(driver)
    await add_blobs(registry, LAYER, CONFIG)
    driver.lives = lives
    child = image([LAYER], CONFIG, subject=IMAGE.descriptor)
    with pytest.raises(OSError) if lives < 14 else pytest.raises(RegistryError):
        await put(registry, IMAGE, V1)
        await put(registry, child, V2)
        await registry.delete_manifest(NAME, digest_of(child))
        await registry.delete_manifest(NAME, digest_of(child))
    driver.lives = 1000
    for tag in await driver.children(layout.tags(NAME)):
        assert (await Registry(driver).manifest(NAME, Tag(tag))).body in (IMAGE.body, child.body)


async def test_results_of_reads_beside_each_other_come_in_order_and_a_bounded_number_runs(registry):
    running, most = 0, 0

    async def read(number):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001 * (number % 3))
        running -= 1
        return number

    assert await registry.gather([lambda number=number: read(number) for number in range(50)]) == list(range(50))
    assert 1 < most <= 16


def test_the_cache_forgets_what_was_not_read_for_longest_and_never_holds_more_than_its_limit():
    def stored(number, size):
        return StoredManifest(Digest("sha256", f"{number:064}"), OCI_IMAGE, bytes(size))

    cache = _ManifestCache(100)
    first, second, third = (stored(number, 40) for number in range(3))
    cache.add(first)
    cache.add(second)
    assert cache.get(first.digest) is first
    cache.add(third)
    cache.add(stored(9, 101))
    assert cache.get(second.digest) is None
    assert cache.get(Digest("sha256", f"{9:064}")) is None
    assert [cache.get(one.digest) for one in (first, third)] == [first, third]
