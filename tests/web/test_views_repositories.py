"""The repositories, tags and images as a visitor sees them."""

import pytest
from yarl import URL

from tests.kit.actors import ADMIN
from tests.web.conftest import OCI_MANIFEST
from web_service.access import Level
from web_service.roles import RuleDraft
from web_service.views.repositories import Pages

EVIL = "<script>alert(1)</script>"


async def with_rule(console, name, repository, level="pull", *, roles=("UI_USER",)):
    user = await console.user(name, *roles)
    role = await console.parts.roles.create(f"role of {name}", by=ADMIN)
    address = "local" if level == Level.UI_DELETE else "*"
    await console.parts.roles.add_rule(role.id, RuleDraft(address, repository, level), by=ADMIN)
    await console.parts.users.grant(user.id, role.id, by=ADMIN)
    return await console.visitor(name)


async def test_a_user_sees_the_repositories_that_a_role_lets_him_pull(console, registry):
    registry.add_image("team/app", "1.0")
    registry.add_image("secret/app", "1.0")
    visitor = await with_rule(console, "dev", "team/**")
    page = await visitor.text("/")
    assert "team/app" in page
    assert "secret/app" not in page
    assert (await visitor.get("/repo/tags/secret/app")).status == 404
    assert (await visitor.get("/repo/tag/secret/app/1.0")).status == 404
    assert (await visitor.get("/repo/tags/no/such")).status == 404


async def test_an_administrator_sees_everything(console, registry):
    registry.add_image("secret/app", "1.0")
    assert "secret/app" in await (await console.admin()).text("/")


async def test_repositories_without_tags_are_not_shown(console, registry):
    registry.tags["team/emptied"] = {}
    registry.add_image("team/app", "1.0")
    page = await (await console.admin()).text("/")
    assert "team/app" in page
    assert "team/emptied" not in page


async def test_repositories_are_searched_and_paged(console, registry):
    for number in range(30):
        registry.add_image(f"team/app{number:02}", "1.0")
    admin = await console.admin()
    first, second = await admin.text("/"), await admin.text("/?page=2")
    assert "team/app24" in first
    assert "team/app25" not in first
    assert "team/app25" in second
    found = await admin.text("/?q=APP07")
    assert "team/app07" in found
    assert "team/app08" not in found
    assert "team/app29" in await admin.text("/?page=99999")
    assert "team/app00" in await admin.text("/?page=-1")


async def test_the_list_expands_to_tags_with_their_pages(console, registry):
    registry.add_image("team/app", "1.9", "1.10")
    page = await (await console.admin()).text("/")
    assert page.index("/repo/tag/team/app/1.10") < page.index("/repo/tag/team/app/1.9")
    assert "2 tags" in page


async def test_an_empty_registry_says_how_to_push(console):
    assert "docker push registry:5000/" in await (await console.admin()).text("/")


@pytest.mark.parametrize("path", ["/", "/repo/tags/team/app", "/repo/tag/team/app/1.0"])
async def test_a_registry_in_trouble_is_told_in_words(console, registry, path):
    registry.failure = (500, "UNKNOWN")
    response = await (await console.admin()).get(path)
    assert response.status == 502
    assert "The registry answered 500: no &lt;luck&gt;" in await response.text()


async def test_a_registry_that_refuses_us_says_what_to_compare(console, registry):
    registry.failure = (401, "UNAUTHORIZED")
    response = await (await console.admin()).get("/")
    assert "issuer" in await response.text()


@pytest.mark.parametrize("name", ["team/app", "team%2Fapp", "team%252Fapp"])
async def test_links_of_the_old_program_still_work(console, registry, name):
    registry.add_image("team/app", "1.0")
    admin = await console.admin()
    url = console.server.make_url("/").join(URL(f"/repo/tags/{name}", encoded=True))
    response = await admin.client.session.get(url)
    assert response.status == 200
    assert "docker pull registry:5000/team/app:1.0" in await response.text()


async def test_tags_show_digest_size_date_and_platforms(console, registry):
    digest = registry.add_image("team/app", "1.0", size=3_000_000)
    page = await (await console.admin()).text("/repo/tags/team/app")
    for text in (digest, digest[7:19], "3.0 MB", "2026-01-02 ", "linux/amd64", "application/vnd.oci.image.manifest"):
        assert text in page


async def test_tags_are_sorted_searched_and_paged(console, registry):
    registry.add_image("team/app", *[f"1.{number}" for number in range(51)])
    registry.add_image("team/app", "old", config={"created": "2020-01-01T00:00:00Z"}, size=10**9)
    admin = await console.admin()
    by_name = await admin.text("/repo/tags/team/app?sort=name")
    assert by_name.index(">old<") < by_name.index(">1.50<") < by_name.index(">1.9<")
    assert ">1.0<" not in by_name
    assert ">1.0<" in await admin.text("/repo/tags/team/app?sort=name&page=2")
    assert ">old<" not in await admin.text("/repo/tags/team/app?sort=created")
    by_size = await admin.text("/repo/tags/team/app?sort=size")
    assert by_size.index(">old<") < by_size.index(">1.50<")
    found = await admin.text("/repo/tags/team/app?q=OL")
    assert ">old<" in found
    assert ">1.5<" not in found
    assert "No tag contains" in await admin.text("/repo/tags/team/app?q=nothing")


async def test_a_tag_that_cannot_be_read_does_not_hide_the_others(console, registry):
    registry.add_image("team/app", "good")
    registry.add_manifest("team/app", b"broken", "application/vnd.oci.image.manifest.v1+json", "bad")
    page = await (await console.admin()).text("/repo/tags/team/app")
    assert ">good<" in page
    assert "The manifest cannot be read." in page


async def test_an_index_shows_each_platform_and_hides_attestations(console, registry):
    amd, arm = registry.add_image("team/app"), registry.add_image("team/app", platform="linux/arm64")
    attestation = registry.add_image("team/app", platform="unknown/unknown")
    children = [(amd, "linux/amd64"), (arm, "linux/arm64"), (attestation, "unknown/unknown")]
    registry.add_index("team/app", "multi", children)
    admin = await console.admin()
    for path in ("/repo/tags/team/app", "/repo/tag/team/app/multi"):
        page = await admin.text(path)
        assert "linux/amd64" in page
        assert "linux/arm64" in page
        assert "unknown/unknown" not in page
    child = await admin.text(f"/repo/tag/team/app/{arm}")
    assert f"docker pull registry:5000/team/app@{arm}" in child


async def test_an_artifact_without_image_config_is_shown(console, registry):
    config = {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": "sha256:" + "1" * 64, "size": 5}
    layer = {"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "digest": "sha256:2", "size": 2000}
    media_type = "application/vnd.oci.image.manifest.v1+json"
    registry.add_manifest("charts/app", {"config": config, "layers": [layer]}, media_type, "1.0")
    admin = await console.admin()
    assert "1.0" in await admin.text("/repo/tags/charts/app")
    assert "Artifact" in await admin.text("/repo/details/charts/app/1.0")
    page = await admin.text("/repo/tag/charts/app/1.0")
    assert "application/vnd.cncf.helm.chart.content.v1.tar+gzip" in page
    assert "2 KB" in page


async def test_what_a_pusher_wrote_is_text_and_never_markup(console, registry):
    config = {
        "author": EVIL,
        "config": {
            "Env": [EVIL],
            "Cmd": [EVIL],
            "Entrypoint": [EVIL],
            "Labels": {EVIL: EVIL},
            "WorkingDir": EVIL,
            "User": EVIL,
            "ExposedPorts": {EVIL: {}},
            "Volumes": {EVIL: {}},
        },
        "history": [{"created_by": EVIL}],
        "variant": EVIL,
    }
    registry.add_image("team/app", "1.0", config=config)
    manifest = {"mediaType": EVIL, "artifactType": EVIL, "layers": [{"mediaType": EVIL, "digest": EVIL, "size": 1}]}
    registry.add_manifest("team/app", manifest, "application/vnd.oci.image.manifest.v1+json", "2.0")
    admin = await console.admin()
    for path in ("/", "/repo/tags/team/app", "/repo/tag/team/app/1.0", "/repo/tag/team/app/2.0", f"/?q={EVIL}"):
        page = await admin.text(path)
        assert "<script>alert" not in page
        assert "&lt;script&gt;" in page or path == "/"


@pytest.mark.parametrize(
    "path", ["/repo/tags/..%2f..%2fx", "/repo/tag/team/app/..", "/repo/tag/Team/1.0", "/repo/tags/%00"]
)
async def test_odd_names_are_not_found(console, registry, path):
    admin = await console.admin()
    url = console.server.make_url("/").join(URL(path, encoded=True))
    response = await admin.client.session.get(url)
    assert response.status in (404, 200)
    assert all(".." not in asked for _, asked, _ in registry.requests)


@pytest.mark.parametrize(
    ("total", "number", "place"),
    [(0, 1, (1, 1)), (25, 1, (1, 1)), (26, 2, (2, 2)), (26, 9, (2, 2))],
)
def test_places_in_long_lists(total, number, place):
    pages = Pages.of(total, number, 25)
    assert (pages.number, pages.count) == place


HALF = "\ud800"
NEVER = "9999-12-31T23:59:59-23:59"
HOSTILE = {
    "architecture": HALF, "os": HALF, "variant": "v" * 5000, "author": HALF, "created": NEVER,
    "config": {
        "Env": [HALF], "Cmd": [HALF], "Entrypoint": [HALF], "User": HALF, "WorkingDir": HALF,
        "Labels": {HALF: HALF}, "ExposedPorts": {HALF: {}}, "Volumes": {HALF: {}},
    },
    "history": [{"created_by": HALF, "created": NEVER}],
}  # fmt: skip


async def test_no_image_breaks_the_pages_it_is_on(console, registry):
    digest = registry.add_image("team/app", "1.0", config=HOSTILE, size=10**400)
    registry.add_index("team/app", "multi", [(digest, f"{HALF}/{HALF}")])
    odd = {"artifactType": HALF, "mediaType": HALF, "annotations": {"org.opencontainers.image.created": NEVER}}
    registry.add_manifest("team/app", odd, OCI_MANIFEST, "odd")
    visitor = await console.admin()
    for tag in ("1.0", "multi", "odd"):
        for path in (f"/repo/tag/team/app/{tag}", f"/repo/details/team/app/{tag}", "/repo/tags/team/app", "/"):
            page = await visitor.text(path)
            assert "v" * 100 not in page
    assert "cannot be read" not in page


async def test_what_a_registry_says_of_an_error_breaks_no_page(console, registry):
    registry.add_image("team/app", "1.0")
    registry.failure = (500, HALF, HALF)
    visitor = await console.admin()
    assert (await visitor.get("/repo/tags/team/app")).status == 502
