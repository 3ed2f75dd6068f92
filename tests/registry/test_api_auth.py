"""Authorisation over the wire: the route table against every kind of token."""

import dataclasses
import time

import pytest
from yarl import URL

from registry_service.api import ROUTES, create_api
from registry_service.auth import Need
from registry_service.config import Auth, Token
from tests.kit.certificates import (
    ISSUER,
    REALM,
    SERVICE,
    claims,
    issue,
    private_key,
    repository_access,
    sign,
    write_bundle,
)
from tests.kit.content import blob, index

NAME = "team/app"
CATALOG = {"type": "registry", "name": "catalog", "actions": ["*"]}
GRANTS = {
    Need.LOGIN: [],
    Need.PULL: [repository_access(NAME, "pull")],
    Need.PUSH: [repository_access(NAME, "pull", "push")],
    Need.DELETE: [repository_access(NAME, "delete")],
    Need.CATALOG: [CATALOG],
}
SCOPES = {
    Need.LOGIN: "",
    Need.PULL: f',scope="repository:{NAME}:pull"',
    Need.PUSH: f',scope="repository:{NAME}:pull,push"',
    Need.DELETE: f',scope="repository:{NAME}:delete"',
    Need.CATALOG: ',scope="registry:catalog:*"',
}
GUARDED = [route for route in ROUTES if route.need is not Need.NOTHING]
EVERY_GUARDED = pytest.mark.parametrize("route", GUARDED, ids=lambda route: f"{route.method} {route.path}")


@pytest.fixture
def config(config, tmp_path):
    bundle = write_bundle(tmp_path / "auth.cert", issue(private_key("P-256")))
    return dataclasses.replace(config, auth=Auth(Token(REALM, SERVICE, ISSUER, bundle)))


def bearer(*access, key="P-256", **changes):
    return {"Authorization": f"Bearer {sign(claims(*access, **changes), private_key(key))}"}


def path(route):
    """Return an address of the route where nothing is: authorised requests get no further than 404 or 400."""
    filled = route.path
    for part, value in (
        ("{name:.+}", NAME),
        ("{reference:[^/]+}", "v1"),
        ("{digest:[^/]+}", blob(b"none").digest),
        ("{upload:[^/]+}", "00000000-0000-4000-8000-000000000000"),
    ):
        filled = filled.replace(part, value)
    return filled


def challenge(route, error=""):
    return f'Bearer realm="{REALM}",service="{SERVICE}"{SCOPES[route.need]}' + (f',error="{error}"' if error else "")


@EVERY_GUARDED
async def test_nobody_gets_a_challenge(client, route):
    answer = await client.request(route.method, path(route))
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, challenge(route))


@EVERY_GUARDED
async def test_a_token_that_permits_too_little(client, route):
    if route.need is Need.LOGIN:
        assert (await client.request(route.method, path(route), headers=bearer())).status == 200
        return
    others = [entry for need, access in GRANTS.items() if need is not route.need for entry in access]
    too_little = [entry for entry in others if not covers(entry, route.need)]
    answer = await client.request(route.method, path(route), headers=bearer(*too_little))
    assert answer.status == 401
    blame = challenge(route, "insufficient_scope") + ',error_description="'
    header = answer.headers["WWW-Authenticate"]
    assert header.startswith(blame)
    assert " is not permitted for alice; " in header.removeprefix(blame)
    if route.method != "HEAD":
        assert (await answer.json())["errors"][0]["message"] == header.removeprefix(blame).removesuffix('"')


def covers(entry, need):
    (wanted,) = GRANTS[need]
    return entry["name"] == wanted["name"] and bool(set(wanted["actions"]) & set(entry["actions"]))


@EVERY_GUARDED
async def test_a_token_that_permits_it(client, route):
    answer = await client.request(route.method, path(route), headers=bearer(*GRANTS[route.need]))
    assert answer.status not in (401, 403)
    assert answer.status < 500


@EVERY_GUARDED
@pytest.mark.parametrize("changes", [{"exp": 1}, {"iss": "other"}, {"aud": "other"}], ids=str)
async def test_a_token_that_does_not_hold(client, route, changes):
    answer = await client.request(route.method, path(route), headers=bearer(*GRANTS[route.need], **changes))
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, challenge(route, "invalid_token"))


async def test_a_foreign_key(client):
    answer = await client.get("/v2/", headers=bearer(key="P-384"))
    assert answer.status == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


async def test_the_answer_names_what_is_missing(client):
    answer = await client.post(f"/v2/{NAME}/blobs/uploads/")
    (error,) = (await answer.json())["errors"]
    assert (error["code"], error["message"]) == ("UNAUTHORIZED", "authentication required")
    assert error["detail"] == [
        {"Type": "repository", "Class": "", "Name": NAME, "Action": action} for action in ("pull", "push")
    ]


@pytest.fixture
def later(parts):
    """The clock of the registry's token checks: `later[0]` is how many seconds it is ahead."""
    ahead = [0.0]
    parts.auth._clock = lambda: time.time() + ahead[0]
    return ahead


async def begin(client, token):
    return (await client.post(f"/v2/{NAME}/blobs/uploads/", headers=token)).headers["Location"]


@pytest.mark.parametrize("seconds", [700, 4200])
async def test_an_upload_is_finished_with_the_token_that_began_it(client, later, seconds):
    """It may add, ask, close and cancel for an hour; a manifest, or another upload, is refused."""
    content = blob()
    token = bearer(repository_access(NAME, "pull", "push"), exp=int(time.time()) + 600)
    place, other = await begin(client, token), await begin(client, token)
    later[0] = seconds
    assert (await client.patch(place, data=content.body[:10], headers=token)).status == 202
    assert (await client.get(place, headers=token)).status == 204
    closing = await client.put(place, params={"digest": content.digest}, data=content.body[10:], headers=token)
    assert closing.status == 201
    for answer in (
        await client.post(f"/v2/{NAME}/blobs/uploads/", headers=token),
        await client.put(f"/v2/{NAME}/manifests/v1", data=index([]).body, headers=token),
        await client.head(f"/v2/{NAME}/blobs/{content.digest}", headers=token),
        await client.put(place, params={"digest": content.digest}, headers=token),
    ):
        assert answer.status == 401
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert (await client.delete(other, headers=token)).status == 204


async def test_an_upload_is_not_finished_for_ever_nor_by_who_may_only_pull(client, later):
    ends = int(time.time()) + 600
    token = bearer(repository_access(NAME, "pull", "push"), exp=ends)
    reader = bearer(repository_access(NAME, "pull"), exp=ends)
    place = await begin(client, token)
    later[0] = 700
    for answer in (await client.get(place, headers=reader), await client.patch(place, data=b"x", headers=reader)):
        assert answer.status == 401
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert (await client.get(place, headers=token)).status == 204
    later[0] = 600 + 60 + 3600 + 5
    assert (await client.patch(place, data=b"x", headers=token)).status == 401


@pytest.mark.parametrize("upload", ["00000000-0000-4000-8000-000000000000", "%2E%2E", "x"])
async def test_an_expired_token_learns_nothing_of_uploads(client, later, upload):
    token = bearer(repository_access(NAME, "pull", "push"), exp=int(time.time()) + 600)
    path = URL(f"/v2/{NAME}/blobs/uploads/{upload}", encoded=True)
    assert (await client.get(path, headers=token)).status == 404
    later[0] = 700
    assert (await client.get(path, headers=token)).status == 401


@pytest.mark.parametrize(("source", "status"), [("source", 202), ("secret", 401)])
async def test_a_mount_needs_its_source(client, source, status):
    access = [repository_access(NAME, "pull", "push"), repository_access("source", "pull")]
    params = {"mount": blob(b"x").digest, "from": source}
    answer = await client.post(f"/v2/{NAME}/blobs/uploads/", params=params, headers=bearer(*access))
    assert answer.status == status
    if status == 401:
        scope = f'scope="repository:{NAME}:pull,push repository:{source}:pull"'
        assert scope in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("patterns", "access", "status"),
    [
        (["**"], [], 201),
        (["source/*"], [], 201),
        (["{source,other}/**"], [], 201),
        (["{broken"], [], 202),
        (["other/**"], [repository_access("source/app", "pull")], 201),
        (["source"], [], 202),
        ([], [repository_access("source/app", "push")], 202),
        (["**", "-source/**"], [], 202),
        (["**", "-other"], [], 201),
    ],
)
async def test_a_mount_without_a_source_takes_what_the_token_may_pull(client, patterns, access, status):
    content = blob()
    push = [repository_access(name, "pull", "push") for name in ("source/app", NAME)]
    location = (await client.post("/v2/source/app/blobs/uploads/", headers=bearer(*push))).headers["Location"]
    await client.put(location, params={"digest": content.digest}, data=content.body, headers=bearer(*push))
    more, less = [one for one in patterns if one[0] != "-"], [one[1:] for one in patterns if one[0] == "-"]
    token = bearer(repository_access(NAME, "pull", "push"), *access, readable=more, unreadable=less)
    answer = await client.post(f"/v2/{NAME}/blobs/uploads/", params={"mount": content.digest}, headers=token)
    assert answer.status == status


@pytest.mark.parametrize(
    ("actions", "patterns", "expected"),
    [
        (["*"], [], ["one/a", "one/b", "two"]),
        (["list"], ["one/*"], ["one/a", "one/b"]),
        (["list"], ["**"], ["one/a", "one/b", "two"]),
        (["list"], [], []),
        (["list"], ["**", "-one/b"], ["one/a", "two"]),
        (["list"], ["**", "-**"], []),
    ],
)
async def test_the_catalog_shows_what_the_token_may_see(client, actions, patterns, expected):
    """A pattern with a minus is one of the unreadable ones."""
    for name in ("one/a", "one/b", "two"):
        push = bearer(repository_access(name, "pull", "push"))
        assert (await client.put(f"/v2/{name}/manifests/v1", data=index([]).body, headers=push)).status == 201
    more, less = [one for one in patterns if one[0] != "-"], [one[1:] for one in patterns if one[0] == "-"]
    token = bearer({**CATALOG, "actions": actions}, readable=more, unreadable=less)
    answer = await client.get("/v2/_catalog", headers=token)
    assert (answer.status, (await answer.json())["repositories"]) == (200, expected)


async def test_an_unauthorised_body_is_never_asked_for(client):
    answer = await client.post(f"/v2/{NAME}/blobs/uploads/", data=b"x" * 1000, expect100=True)
    assert answer.status == 401


async def test_the_health_page_is_open(client):
    assert (await client.get("/")).status == 200


@pytest.mark.parametrize("name", ["Foo", "a//b", "-a", "a" * 256, "a/-b", "ü", "a b"])
async def test_names_outside_the_grammar(client, name):
    answer = await client.get(f"/v2/{name}/tags/list", headers=bearer())
    assert answer.status == 400
    assert (await answer.json())["errors"][0]["code"] == "NAME_INVALID"


def test_the_application_serves_the_table_and_no_more(parts):
    served = {(route.method, route.resource.canonical) for route in create_api(parts).router.routes()}
    assert len(served) == len(ROUTES)
