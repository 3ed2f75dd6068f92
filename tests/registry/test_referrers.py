"""Lists of the manifests that refer to another."""

import asyncio
import json

import pytest

from registry_service import layout
from registry_service.manifests import OCI_IMAGE, OCI_INDEX, parse_manifest
from registry_service.referrers import Referrers, referrers_tag
from registry_service.registry import Registry
from registry_service.storage.filesystem import FilesystemDriver
from registry_service.storage.memory import MemoryDriver
from shared.names import Digest
from tests.kit.content import blob, image, image_config, index

NAME = "team/app"
LAYER, CONFIG = blob(b"layer"), image_config()
SUBJECT = image([LAYER], CONFIG)
DIGEST = Digest("sha256", "a" * 64)


@pytest.fixture(params=[MemoryDriver, FilesystemDriver])
def registry(request, tmp_path):
    return Registry(MemoryDriver() if request.param is MemoryDriver else FilesystemDriver(tmp_path / "root"))


async def push(registry, content, name=NAME):
    for one in (LAYER, CONFIG):
        digest = Digest.parse(one.digest)
        await registry.driver.write(layout.blob(digest), one.body)
        await registry.link_blob(name, digest, digest)
    manifest = parse_manifest(content.body, content.media_type)
    return await registry.put_manifest(name, manifest.digest, manifest)


async def listed(registry, **more):
    page = await Referrers(registry).page(NAME, Digest.parse(SUBJECT.digest), **more)
    return json.loads(page.body())["manifests"]


async def test_a_manifest_without_referrers_has_an_empty_index(registry):
    expected = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    assert json.loads((await Referrers(registry).page(NAME, DIGEST)).body()) == expected


@pytest.mark.parametrize("subject_is_there", [True, False])
async def test_referrers_are_described_with_type_and_annotations(registry, subject_is_there):
    if subject_is_there:
        await push(registry, SUBJECT)
    signature = image([LAYER], CONFIG, subject=SUBJECT.descriptor, artifactType="application/x-sig")
    plain = image([LAYER], CONFIG, subject=SUBJECT.descriptor, annotations={"a": "b"})
    group = index([], subject=SUBJECT.descriptor)
    for content in (signature, plain, group):
        await push(registry, content)
    found = await listed(registry)
    described = {one.pop("digest"): one for one in found}
    assert described == {
        signature.digest: {
            "mediaType": OCI_IMAGE, "size": len(signature.body), "artifactType": "application/x-sig",
        },
        plain.digest: {
            "mediaType": OCI_IMAGE, "size": len(plain.body), "artifactType": CONFIG.media_type,
            "annotations": {"a": "b"},
        },
        group.digest: {"mediaType": OCI_INDEX, "size": len(group.body)},
    }  # fmt: skip


async def test_referrers_are_filtered_by_their_type(registry):
    kinds = ["application/x-sig", "application/x-sbom", "application/x-sig"]
    for number, kind in enumerate(kinds):
        more = {"subject": SUBJECT.descriptor, "artifactType": kind, "annotations": {"n": str(number)}}
        await push(registry, image([LAYER], CONFIG, **more))
    for kind, count in (("application/x-sig", 2), ("application/x-sbom", 1), ("application/x", 0), ("", 3)):
        assert len(await listed(registry, artifact_type=kind)) == count


async def test_referrers_of_one_repository_are_not_those_of_another(registry):
    await push(registry, image([LAYER], CONFIG, subject=SUBJECT.descriptor), name="other/app")
    assert await listed(registry) == []


async def test_a_deleted_referrer_is_listed_no_more(registry):
    digest = await push(registry, image([LAYER], CONFIG, subject=SUBJECT.descriptor))
    await registry.delete_manifest(NAME, digest)
    assert await listed(registry) == []


async def test_a_referrer_whose_manifest_is_gone_is_left_out(registry):
    """As after a garbage collection of the Go registry, which knows nothing of our links."""
    digest = await push(registry, image([LAYER], CONFIG, subject=SUBJECT.descriptor))
    await registry.driver.delete(layout.revision_link(NAME, digest))
    assert await listed(registry) == []


async def push_referrers(registry, number, **more):
    contents = [
        image([LAYER], CONFIG, subject=SUBJECT.descriptor, annotations={"n": str(i)} | more) for i in range(number)
    ]
    for content in contents:
        await push(registry, content)
    return sorted(content.digest for content in contents)


@pytest.mark.parametrize("limit", [1, 2, 5, 7, 100])
async def test_pages_meet_every_referrer_once(registry, limit):
    expected, found, last = await push_referrers(registry, 7), [], ""
    while True:
        page = await Referrers(registry).page(NAME, Digest.parse(SUBJECT.digest), last=last, limit=limit)
        digests = [one.digest for one in page.referrers]
        found += digests
        assert len(digests) == limit or not page.more
        if not page.more:
            break
        last = digests[-1]
    assert found == expected


async def test_a_page_is_never_too_large_to_be_read_whole(registry):
    await push_referrers(registry, 5, large="x" * (1 << 20))
    page = await Referrers(registry).page(NAME, Digest.parse(SUBJECT.digest))
    assert (len(page.referrers), page.more) == (1, True)
    assert len(page.body()) < 4 << 20


async def test_what_clients_listed_under_a_tag_is_part_of_the_answer(registry):
    """Written while another registry without this list was in use: the link from the subject is not there."""
    referrer, stranger = image([LAYER], CONFIG, subject=SUBJECT.descriptor), image([LAYER], CONFIG)
    for content in (referrer, stranger):
        digest = await push(registry, content)
    await registry.driver.delete(
        layout.referrer_link(NAME, Digest.parse(SUBJECT.digest), Digest.parse(referrer.digest))
    )
    kept = index([referrer, stranger])
    digest = await push(registry, kept)
    await registry.tag_manifest(NAME, referrers_tag(Digest.parse(SUBJECT.digest)), digest)
    assert [one["digest"] for one in await listed(registry)] == [referrer.digest]


async def test_a_tag_of_that_name_that_is_no_list_changes_nothing(registry):
    (expected,) = await push_referrers(registry, 1)
    digest = await push(registry, SUBJECT)
    await registry.tag_manifest(NAME, referrers_tag(Digest.parse(SUBJECT.digest)), digest)
    assert [one["digest"] for one in await listed(registry)] == [expected]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_the_tag_of_a_subject(algorithm):
    digest = Digest(algorithm, "ab" * {"sha256": 32, "sha512": 64}[algorithm])
    assert str(referrers_tag(digest)) == f"{algorithm}-{'ab' * 32}"


async def test_what_is_remembered_is_listed_only_while_it_is_there(tmp_path):
    registry = Registry(await asyncio.to_thread(FilesystemDriver, tmp_path))
    referrers, subject = Referrers(registry), Digest.parse(SUBJECT.digest)

    async def digests():
        return [one.digest for one in (await referrers.page(NAME, subject)).referrers]

    expected = await push_referrers(registry, 4)
    await asyncio.sleep(0.06)  # what has changed lately is not remembered
    assert await digests() == await digests() == expected
    assert len(referrers._known) == 4
    gone, emptied, *rest = expected
    await registry.driver.delete(layout.revision_link(NAME, Digest.parse(gone)))  # as the Go registry does
    (tmp_path / layout.revision_link(NAME, Digest.parse(emptied))).write_bytes(b"")
    assert await digests() == await digests() == rest
    assert len(referrers._known) == 2
    (added,) = set(await push_referrers(registry, 5)) - set(expected)
    assert set(await digests()) == {*expected, added}


async def test_what_is_remembered_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("registry_service.referrers._REMEMBERED_BYTES", 4000)
    registry = Registry(await asyncio.to_thread(FilesystemDriver, tmp_path))
    referrers = Referrers(registry)
    expected = await push_referrers(registry, 7)
    await asyncio.sleep(0.06)
    for _ in range(3):
        page = await referrers.page(NAME, Digest.parse(SUBJECT.digest))
        assert [one.digest for one in page.referrers] == expected
    assert 0 < len(referrers._known) < 4
    assert 0 < referrers._bytes <= 4000
