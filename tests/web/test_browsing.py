import pytest

from web_service.authority import Caller, FixedAuthority
from web_service.browsing import Browser, Unreadable
from web_service.errors import RegistryNotFound
from web_service.registry_client import RegistryClient


@pytest.fixture
async def browser(registry):
    client = RegistryClient(registry.url, FixedAuthority(""))
    yield Browser(client)
    await client.close()


async def test_repositories_come_with_their_tags(browser, registry):
    registry.add_image("b/app", "1.9", "1.10")
    registry.tags["a/empty"] = {}
    assert await browser.names() == ["a/empty", "b/app"]
    empty, app, unknown = await browser.repositories(["a/empty", "b/app", "unknown"])
    assert (empty.tags, app.tags, unknown.tags) == ((), ("1.10", "1.9"), ())


async def test_a_repository_that_cannot_be_read_says_why(browser, registry):
    registry.failure = (500, "UNKNOWN")
    (repository,) = await browser.repositories(["b/app"])
    assert "500" in str(repository.problem)


async def test_an_image_is_shown_with_its_config(browser, registry):
    digest = registry.add_image("app", "1.0", size=5000)
    tagged = await browser.image("app", "1.0")
    assert (tagged.tag, tagged.manifest.digest, tagged.platforms) == ("1.0", digest, ("linux/amd64",))
    assert tagged.created == 1767323045
    assert tagged.size > 5000


async def test_an_index_shows_its_images_and_hides_what_builders_attest(browser, registry):
    amd = registry.add_image("app")
    arm = registry.add_image("app", platform="linux/arm64")
    attestation = registry.add_image("app", platform="unknown/unknown")
    children = [(amd, "linux/amd64"), (arm, "linux/arm64"), (attestation, "unknown/unknown")]
    registry.add_index("app", "multi", [*children, ("sha256:" + "0" * 64, "linux/s390x")])
    tagged = await browser.image("app", "multi")
    assert tagged.platforms == ("linux/amd64", "linux/arm64")
    assert [image.manifest.digest for image in tagged.images] == [amd, arm]


async def test_a_tag_that_vanishes_is_left_out_and_a_broken_one_says_why(browser, registry):
    registry.add_image("app", "good")
    registry.add_manifest("app", b"broken", "application/vnd.oci.image.manifest.v1+json", "bad")
    good, bad = await browser.tagged("app", ["good", "gone", "bad"])
    assert good.tag == "good"
    assert isinstance(bad, Unreadable)
    assert bad.tag == "bad"


async def test_many_tags_are_read_in_parallel_over_few_connections(browser, registry):
    tags = [f"1.{number}" for number in range(60)]
    registry.add_image("app", *tags)
    assert len(await browser.tagged("app", tags)) == 60
    blobs = [path for _, path, _ in registry.requests if "/blobs/" in path]
    assert 1 <= len(blobs) <= 16


async def test_all_tags_of_a_digest_are_known_before_it_is_deleted(browser, registry):
    digest = registry.add_image("app", "1.0", "latest")
    registry.add_image("app", "2.0", platform="linux/arm64")
    assert await browser.same_digest("app", digest) == ["latest", "1.0"]
    await browser.delete("app", digest, Caller())
    assert await browser.tags("app") == ["2.0"]
    with pytest.raises(RegistryNotFound):
        await browser.image("app", "1.0")
