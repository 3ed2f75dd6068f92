"""What the configuration lets a manifest lack, and where a blob may be mounted from when nobody says it."""

import asyncio
import hashlib
import json
from dataclasses import asdict

import pytest

from registry_service import layout
from registry_service.config import IndexValidation, ManifestValidation, Platform, Validation
from registry_service.errors import Code, RegistryError
from registry_service.manifests import OCI_INDEX, parse_manifest
from registry_service.registry import Registry
from registry_service.storage.driver import StorageFull
from registry_service.storage.filesystem import FilesystemDriver
from registry_service.storage.memory import MemoryDriver
from shared.names import Digest, Tag
from tests.kit.content import Content, blob, image

NAME = "team/app"
LAYER = blob(b"layer")
DIGEST = Digest.parse(LAYER.digest)
AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


@pytest.fixture(params=[MemoryDriver, FilesystemDriver])
def driver(request, tmp_path):
    return MemoryDriver() if request.param is MemoryDriver else FilesystemDriver(tmp_path / "root")


async def hold(registry, *names, content=LAYER):
    digest = Digest.parse(content.digest)
    await registry.driver.write(layout.blob(digest), content.body)
    for name in names:
        await registry.link_blob(name, digest, digest)


def multi(*platforms):
    """Return an index with an absent image for each platform, None for one that names none."""
    children = [image([blob(str(one).encode())]) for one in platforms]
    entries = [
        child.descriptor | ({"platform": asdict(one)} if one else {})
        for child, one in zip(children, platforms, strict=True)
    ]
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    return Content(json.dumps(document).encode(), OCI_INDEX), [child.digest for child in children]


async def missing(registry, content):
    """Push, and return the digests that are said to be missing."""
    manifest = parse_manifest(content.body, content.media_type)
    try:
        await registry.put_manifest(NAME, manifest.digest, manifest)
    except RegistryError as error:
        problems = error.problems
    else:
        problems = ()
    assert {problem.code for problem in problems} <= {Code.MANIFEST_BLOB_UNKNOWN}
    return [problem.detail["digest"] for problem in problems]


@pytest.mark.parametrize(
    ("rule", "needed"),
    [
        (IndexValidation(), [0, 1, 2]),
        (IndexValidation("none"), []),
        (IndexValidation("none", (AMD64,)), []),
        (IndexValidation("list"), []),
        (IndexValidation("list", (AMD64,)), [0]),
        (IndexValidation("list", (AMD64, ARM64)), [0, 1]),
    ],
    ids=str,
)
async def test_an_index_lacks_only_what_its_rule_lets_it_lack(driver, rule, needed):
    registry = Registry(driver, Validation(manifests=ManifestValidation(rule)))
    content, children = multi(AMD64, ARM64, None)
    assert await missing(registry, content) == [children[number] for number in needed]


async def test_the_blobs_of_an_image_are_needed_whatever_the_rule_for_indexes(driver):
    registry = Registry(driver, Validation(manifests=ManifestValidation(IndexValidation("none"))))
    content = image([LAYER])
    assert len(await missing(registry, content)) == 2


@pytest.mark.parametrize("content", [image([LAYER]), multi(AMD64)[0]], ids=["image", "index"])
async def test_without_validation_nothing_is_needed(driver, content):
    assert await missing(Registry(driver, Validation(disabled=True)), content) == []


async def test_what_stands_under_a_tag_or_a_digest(driver):
    registry = Registry(driver, Validation(disabled=True))
    manifest = parse_manifest(image([LAYER]).body)
    for reference in (Tag("v1"), manifest.digest):
        assert await registry.present(NAME, reference) is None
    await registry.put_manifest(NAME, Tag("v1"), manifest)
    await registry.tag_manifest(NAME, Tag("v1"), manifest.digest)
    for reference in (Tag("v1"), manifest.digest):
        assert await registry.present(NAME, reference) == manifest.digest


async def test_a_blob_is_found_in_a_repository_that_may_be_read(driver):
    registry = Registry(driver)
    await hold(registry, "secret/one", "open/two")
    assert await registry.source_of(DIGEST, lambda name: name.startswith("open")) == "open/two"
    assert await registry.source_of(DIGEST, lambda name: name == "other") is None
    assert await registry.source_of(DIGEST, lambda _: True) in ("secret/one", "open/two")


async def test_a_repository_that_has_lost_the_blob_is_no_source(driver):
    registry = Registry(driver)
    await hold(registry, "one", "two")
    await registry.delete_blob("one", DIGEST)
    assert await registry.source_of(DIGEST, lambda _: True) == "two"
    await registry.driver.delete(layout.blob(DIGEST))
    assert await registry.source_of(DIGEST, lambda _: True) is None


async def test_a_neighbour_in_the_same_folder_is_no_source(driver):
    registry = Registry(driver)
    first = DIGEST.hex[:2]
    bodies = (str(number).encode() for number in range(10_000))
    neighbour = next(body for body in bodies if hashlib.sha256(body).hexdigest().startswith(first))
    await hold(registry, "one", content=Content(neighbour))
    assert await registry.source_of(DIGEST, lambda _: True) is None


async def test_an_unknown_blob_or_an_algorithm_that_is_not_the_canonical_one_has_no_source(driver):
    registry = Registry(driver)
    await hold(registry, "one")
    for text in (blob(b"other").digest, "sha512:" + "a" * 128):
        assert await registry.source_of(Digest.parse(text), lambda _: True) is None


async def test_the_note_of_a_source_may_be_written_twice_and_may_fail(driver, monkeypatch):
    registry = Registry(driver)
    await asyncio.gather(*(hold(registry, "one") for _ in range(5)))
    assert await registry.source_of(DIGEST, lambda _: True) == "one"

    async def full(*_):
        raise StorageFull

    monkeypatch.setattr(driver, "append", full)
    await hold(registry, "two")
    assert (await registry.blob("two", DIGEST)).size == len(LAYER.body)


@pytest.mark.parametrize("deleted_by", ["sha256", "sha384", "sha512"])
async def test_a_deleted_blob_is_gone_under_each_of_its_names(driver, deleted_by):
    registry = Registry(driver)
    names = [Digest(one, hashlib.new(one, LAYER.body).hexdigest()) for one in ("sha256", "sha384", "sha512")]
    await hold(registry, NAME)
    for one in names:
        await registry.link_blob(NAME, one, DIGEST)
    await registry.delete_blob(NAME, next(one for one in names if one.algorithm == deleted_by))
    for one in names:
        with pytest.raises(RegistryError, check=lambda error: error.problems[0].code is Code.BLOB_UNKNOWN):
            await registry.blob(NAME, one)
