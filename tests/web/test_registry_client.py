import jwt
import pytest

from shared.tokens import Claims
from web_service.authority import Caller, FixedAuthority, TokenAuthority
from web_service.errors import DeletionDisabled, RegistryNotFound, RegistryProblem, RegistryUnreachable
from web_service.keys import read_pair
from web_service.registry_client import RegistryClient
from web_service.tokens import TokenIssuer


@pytest.fixture
async def client(registry):
    client = RegistryClient(registry.url, FixedAuthority(""))
    yield client
    await client.close()


@pytest.fixture
def pair(keys):
    return read_pair(keys.key, keys.certificates[0])


@pytest.fixture
async def issuing(registry, pair):
    issuer = TokenIssuer(pair, issuer="test", audience="registry:5000", lifetime=600)
    client = RegistryClient(registry.url + "/", TokenAuthority(issuer))
    yield client
    await client.close()


def claims(headers):
    token = headers["Authorization"].removeprefix("Bearer ")
    return Claims.from_json(jwt.decode(token, options={"verify_signature": False}))


async def test_the_catalog_is_read_to_its_end(client, registry):
    registry.page_size = 2
    registry.tags = {f"r{number}": {} for number in range(5)}
    assert await client.repositories() == ["r0", "r1", "r2", "r3", "r4"]
    assert len(registry.requests) == 3


async def test_tags_are_read_to_their_end(client, registry):
    registry.page_size = 2
    registry.add_image("team/app", "c", "a", "b")
    assert await client.tags("team/app") == ["c", "a", "b"]


async def test_tags_of_an_emptied_repository_may_be_null(client, registry):
    registry.tags["empty"] = {}
    assert await client.tags("empty") == []


async def test_a_manifest_by_tag_is_asked_for_every_time_and_by_digest_once(client, registry):
    digest = registry.add_image("team/app", "1.0")
    for _ in range(2):
        assert (await client.manifest("team/app", "1.0")).digest == digest
    assert len(registry.requests) == 2
    assert (await client.manifest("team/app", digest)).digest == digest
    assert len(registry.requests) == 2


async def test_a_moved_tag_is_seen(client, registry):
    first = registry.add_image("team/app", "1.0")
    await client.manifest("team/app", "1.0")
    second = registry.add_image("team/app", "1.0", platform="linux/arm64")
    assert first != second == (await client.manifest("team/app", "1.0")).digest
    assert await client.digest("team/app", "1.0") == second


async def test_all_kinds_of_manifests_are_accepted(client, registry):
    for media_type in (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
    ):
        registry.add_manifest("team/app", {"kind": media_type}, media_type, "t")
        assert (await client.manifest("team/app", "t")).media_type == media_type


async def test_a_config_is_asked_for_once(client, registry):
    registry.add_image("team/app", "1.0")
    digest = (await client.manifest("team/app", "1.0")).config.digest
    for _ in range(2):
        assert (await client.config("team/app", digest)).platform == "linux/amd64"
    assert [path for _, path, _ in registry.requests].count(f"team/app/blobs/{digest}") == 1


async def test_each_call_has_a_right_for_itself_only(issuing, registry):
    digest = registry.add_image("team/app", "1.0")
    await issuing.check()
    await issuing.repositories()
    await issuing.tags("team/app")
    await issuing.delete("team/app", digest, Caller("dev", "10.9.8.7"))
    seen = [claims(headers) for _, _, headers in registry.requests]
    assert [(one.subject, " ".join(map(str, one.access)), one.client_address) for one in seen] == [
        ("registry-web", "", ""),
        ("registry-web", "registry:catalog:*", ""),
        ("registry-web", "repository:team/app:pull", ""),
        ("dev", "repository:team/app:delete", "10.9.8.7"),
    ]
    forwarded = [headers.get("X-Forwarded-For") for _, _, headers in registry.requests]
    assert forwarded == [None, None, None, "10.9.8.7"]


async def test_a_token_for_reading_is_used_again(issuing, registry):
    registry.add_image("team/app", "1.0")
    for _ in range(2):
        await issuing.tags("team/app")
    assert len({headers["Authorization"] for _, _, headers in registry.requests}) == 1


async def test_fixed_credentials_go_with_every_call(registry):
    client = RegistryClient(registry.url, FixedAuthority("dTpw"))
    await client.check()
    await client.close()
    assert registry.requests[0][2]["Authorization"] == "Basic dTpw"


@pytest.mark.parametrize(
    ("failure", "kind", "text"),
    [
        ((401, "UNAUTHORIZED"), RegistryProblem, "refuses the console"),
        ((403, "DENIED"), RegistryProblem, "refuses the console"),
        ((404, "NAME_UNKNOWN"), RegistryNotFound, "no such image"),
        ((405, "UNSUPPORTED"), DeletionDisabled, "storage.delete.enabled"),
        ((500, "UNKNOWN"), RegistryProblem, "answered 500: no <luck>"),
        ((200, "UNKNOWN"), None, ""),
    ],
)
async def test_what_the_registry_refuses_becomes_a_problem_in_words(client, registry, failure, kind, text):
    registry.failure = failure
    if kind is None:
        assert await client.repositories() == []
        return
    with pytest.raises(kind, match=text):
        await client.repositories()


async def test_an_answer_that_is_no_json_is_a_problem(client, registry):
    registry.add_manifest("team/app", b"<html>", "application/vnd.oci.image.manifest.v1+json", "t")
    with pytest.raises(RegistryProblem, match="cannot be read"):
        await client.manifest("team/app", "t")


async def test_an_answer_without_end_is_not_read_to_its_end(client, registry):
    registry.add_manifest("team/app", b" " * (9 * 1024 * 1024), "application/vnd.oci.image.manifest.v1+json", "t")
    with pytest.raises(RegistryProblem, match="too large"):
        await client.manifest("team/app", "t")


async def test_a_registry_that_is_not_there_is_named(unused_tcp_port):
    client = RegistryClient(f"http://127.0.0.1:{unused_tcp_port}/v2", FixedAuthority(""))
    with pytest.raises(RegistryUnreachable, match=f"127.0.0.1:{unused_tcp_port}"):
        await client.check()
    await client.close()


@pytest.mark.parametrize(
    ("repository", "reference"),
    [
        ("../secret", "1.0"),
        ("Team", "1.0"),
        ("a/../b", "1.0"),
        ("a", "../../x"),
        ("a", "sha256:zz"),
        ("", "1.0"),
        ("a?b", "c"),
    ],
)
async def test_no_name_leads_elsewhere_in_the_registry(client, registry, repository, reference):
    with pytest.raises(RegistryNotFound):
        await client.manifest(repository, reference)
    with pytest.raises(RegistryNotFound):
        await client.delete(repository, reference, Caller())
    assert registry.requests == []
