"""The same requests to our registry and to the Go registry 2.8, side by side.

Answers are compared after normalising: addresses without scheme, host, upload id and state; errors by their codes. A
request that is answered differently must be named below, with words that stand in docs/compatibility.md.
"""

import hashlib
import http.client
import json
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from registry_service.manifests import DOCKER_IMAGE, DOCKER_LIST, OCI_IMAGE, OCI_INDEX
from tests.kit.content import Content, image_config
from tests.kit.go_registry import serving

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

COMPATIBILITY = Path(__file__).resolve().parents[2] / "docs/compatibility.md"
NAME = "team/app"
BLOB = Content(bytes(range(256)) * 20)
EMPTY = Content(b"")
NOWHERE = "sha256:" + "0" * 64
HEADERS = (
    "Accept-Ranges",
    "Cache-Control",
    "Content-Range",
    "Content-Type",
    "Docker-Content-Digest",
    "Docker-Distribution-Api-Version",
    "ETag",
    "Link",
    "Location",
    "Range",
)
BOUNDARY = re.compile(r"boundary=\S+")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

KNOWN = {
    r"GET /": "the page `/`",
    r"GET /nowhere": "a name outside the grammar, a wrong verb",
    r"(POST|PUT|PATCH|DELETE) .* \(verb\)": "a name outside the grammar, a wrong verb",
    r"GET /v2/(_x|-a|a\.|a__|\.a|a-/b|Foo|a___b)/.*": "a name outside the grammar, a wrong verb",
    r"GET NAME TOO LONG": "a name outside the grammar, a wrong verb",
    r"(GET|PUT|DELETE) manifests/\.bad": "a tag that cannot exist",
    r"(GET|HEAD|PUT) manifests/sha256:abc": "a malformed digest",
    r"(GET|HEAD) manifest (oci|index).* \(accept (none|html)\)": "`Accept` on a manifest",
    r"(GET|HEAD) manifest docker by tag \(accept (none|html)\)": "`Accept` on a manifest",
    r"(GET|HEAD) manifest .* unchanged": "an unchanged manifest or blob (304)",
    r"(GET|HEAD) blob If-None-Match (own|weak|list|star)": "an unchanged manifest or blob (304)",
    r"GET blob bytes=(99999-|9-2)": "a range without a byte",
    r"(GET|HEAD) blob bytes=x": "a `Range` that is none",
    r"PUT after mismatch": "an upload that is gone",
    r"(PATCH|PUT) out of order": "`Content-Range` of a chunk",
    r"POST \?digest=": "`POST` of an upload with `?digest=`",
    r"GET blob after POST \?digest=": "`POST` of an upload with `?digest=`",
    r"PUT manifest (schemaVersion 3|no type|schema 1|config without digest)": "a manifest that is none",
    r"PUT manifest too large": "a manifest that is too large",
    r"GET tags/list.*": "tags",
    r"GET _catalog\?n=(x|-1|5000)": "`n` above 1000 in a list, or no number",
    r"GET referrers": "referrers, `OCI-Subject`",
    r"DELETE tag": "deletion of a tag",
}
"""Requests that are answered differently, and the row of the table that says why."""


@dataclass(frozen=True)
class Reply:
    """What of an answer is compared."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: object


class Side:
    """One of the two registries, and the answers it has given, by the name of the request."""

    def __init__(self, url: str) -> None:
        self.netloc = urlsplit(url).netloc
        self.replies: dict[str, Reply] = {}
        self.location = ""

    def ask(self, label, method, path, body=b"", **headers):
        """Send a request exactly as it is written, and keep its answer under the label."""
        connection = http.client.HTTPConnection(self.netloc, timeout=20)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            if body or method in ("POST", "PUT", "PATCH"):
                sent.setdefault("Content-Length", str(len(body)))
                sent.setdefault("Content-Type", "application/octet-stream")
            for name, value in sent.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            content = _read(answer)
        finally:
            connection.close()
        self.location = answer.headers.get("Location", self.location)
        assert label not in self.replies, label
        self.replies[label] = _reply(answer, content)

    def continued(self, query=""):
        """Return the path and query of the last Location, with more query."""
        parts = urlsplit(self.location)
        joint = "&" if parts.query and query else ""
        return f"{parts.path}?{parts.query}{joint}{query}"


def _read(answer):
    try:
        return answer.read()
    except http.client.IncompleteRead as error:  # the Go registry promises the whole blob with its 416
        return error.partial


def _reply(answer, content):
    errors = answer.status >= 400
    kept = ("Docker-Distribution-Api-Version",) if errors else HEADERS
    headers = tuple((name, _plain(name, answer.headers[name])) for name in kept if name in answer.headers)
    if "multipart" in answer.headers.get("Content-Type", ""):
        return Reply(answer.status, headers, content.count(b"Content-Range: "))
    if not errors:
        return Reply(
            answer.status, headers, hashlib.sha256(content).hexdigest() if len(content) > 200 else content.strip()
        )
    try:
        return Reply(answer.status, headers, [one["code"] for one in json.loads(content)["errors"]] if content else [])
    except ValueError:
        return Reply(answer.status, headers, content[:100])


def _plain(name, value):
    if name == "Location":
        value = UUID.sub("UUID", urlsplit(value).path)
    return BOUNDARY.sub("boundary=", value.replace("; charset=utf-8", ""))


def push_blob(side, content, label):
    side.ask(f"POST for {label}", "POST", f"/v2/{NAME}/blobs/uploads/")
    side.ask(f"PUT {label}", "PUT", side.continued(f"digest={content.digest}"), content.body)


def ask_base(side):
    side.ask("GET /v2/", "GET", "/v2/")
    side.ask("HEAD /v2/", "HEAD", "/v2/")
    side.ask("GET /", "GET", "/")
    side.ask("GET /nowhere", "GET", "/v2/a/nowhere")
    side.ask("GET empty _catalog", "GET", "/v2/_catalog")
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("/v2/_catalog", f"/v2/{NAME}/tags/list"):
            side.ask(f"{method} {path} (verb)", method, path)
    for method, path in (("POST", "manifests/v1"), ("PUT", f"blobs/{NOWHERE}"), ("DELETE", "blobs/uploads/")):
        side.ask(f"{method} {path} (verb)", method, f"/v2/{NAME}/{path}")


def ask_names(side):
    names = [
        "a",
        "a/b",
        "a.b",
        "a_b",
        "a__b",
        "a--b",
        "a/b/c/d/e",
        "0",
        "_x",
        "-a",
        "a.",
        "a__",
        ".a",
        "a-/b",
        "Foo",
        "a___b",
    ]
    for name in names:
        for rest in ("manifests/v1", f"blobs/{NOWHERE}"):
            side.ask(f"GET /v2/{name}/{rest}", "GET", f"/v2/{name}/{rest}")
    side.ask("GET NAME TOO LONG", "GET", f"/v2/{'a' * 256}/manifests/v1")


def ask_uploads(side):
    push_blob(side, BLOB, "blob")
    push_blob(side, BLOB, "the same blob")
    push_blob(side, EMPTY, "empty blob")
    side.ask("POST", "POST", f"/v2/{NAME}/blobs/uploads/")
    side.ask("PATCH first", "PATCH", side.continued(), BLOB.body[:1000])
    side.ask("PATCH second", "PATCH", side.continued(), BLOB.body[1000:2000])
    side.ask("GET upload", "GET", side.continued())
    side.ask("PUT rest", "PUT", side.continued(f"digest={BLOB.digest}"), BLOB.body[2000:])
    side.ask("POST to be cancelled", "POST", f"/v2/{NAME}/blobs/uploads/")
    side.ask("DELETE upload", "DELETE", side.continued())
    side.ask("DELETE upload again", "DELETE", side.continued())
    side.ask("PATCH cancelled upload", "PATCH", side.continued(), b"x")
    for label, query in (("no digest", ""), ("empty digest", "digest="), ("bad digest", "digest=sha256:abc")):
        side.ask(f"POST for {label}", "POST", f"/v2/{NAME}/blobs/uploads/")
        side.ask(f"PUT {label}", "PUT", side.continued(query), b"x")
    side.ask("POST for mismatch", "POST", f"/v2/{NAME}/blobs/uploads/")
    side.ask("PUT mismatch", "PUT", side.continued(f"digest={NOWHERE}"), b"x")
    side.ask("PUT after mismatch", "PUT", side.continued(f"digest={NOWHERE}"), b"x")
    for method in ("PATCH", "PUT"):
        side.ask(f"POST for {method} out of order", "POST", f"/v2/{NAME}/blobs/uploads/")
        path = side.continued(f"digest={BLOB.digest}" if method == "PUT" else "")
        side.ask(f"{method} out of order", method, path, b"xyz", Content_Range="5-7")
    single = Content(b"single")
    side.ask("POST ?digest=", "POST", f"/v2/{NAME}/blobs/uploads/?digest={single.digest}", single.body)
    side.ask("GET blob after POST ?digest=", "GET", f"/v2/{NAME}/blobs/{single.digest}")
    for label, query in (
        ("mount", f"mount={BLOB.digest}&from={NAME}"),
        ("mount of nothing", f"mount={NOWHERE}&from={NAME}"),
        ("mount from nowhere", f"mount={BLOB.digest}&from=no/where"),
    ):
        side.ask(f"POST {label}", "POST", f"/v2/other/blobs/uploads/?{query}")
    side.ask("GET mounted blob", "GET", f"/v2/other/blobs/{BLOB.digest}")


def ask_blobs(side):
    url = f"/v2/{NAME}/blobs/{BLOB.digest}"
    for method in ("GET", "HEAD"):
        side.ask(f"{method} blob", method, url)
        side.ask(f"{method} empty blob", method, f"/v2/{NAME}/blobs/{EMPTY.digest}")
        for ranges in (
            "0-0",
            "0-99",
            "500-",
            "-500",
            "-99999",
            "5000-99999",
            "99999-",
            "9-2",
            "x",
            "0-9,20-29",
            "0-,1-",
        ):
            side.ask(f"{method} blob bytes={ranges}", method, url, Range=f"bytes={ranges}")
        for label, value in (
            ("own", f'"{BLOB.digest}"'),
            ("weak", f'W/"{BLOB.digest}"'),
            ("list", f'"a", "{BLOB.digest}"'),
            ("star", "*"),
            ("other", '"b"'),
        ):
            side.ask(f"{method} blob If-None-Match {label}", method, url, If_None_Match=value)
            side.ask(f"{method} blob If-Range {label}", method, url, Range="bytes=0-9", If_Range=value)
        for digest in (NOWHERE, "sha256:abc", "sha256:x", "md5:" + "0" * 32, "sha512:" + "0" * 128):
            side.ask(f"{method} blob {digest[:20]}", method, f"/v2/{NAME}/blobs/{digest}")
    side.ask("GET blob of another repository", "GET", f"/v2/stranger/blobs/{BLOB.digest}")


def documents():
    """Return manifests by label: good ones of every kind, then bad ones."""
    config = image_config()
    layers = {"config": config.descriptor, "layers": [BLOB.descriptor]}
    good = {
        "docker": ({"schemaVersion": 2, "mediaType": DOCKER_IMAGE, **layers}, DOCKER_IMAGE),
        "oci": ({"schemaVersion": 2, "mediaType": OCI_IMAGE, **layers}, OCI_IMAGE),
        "oci without mediaType": ({"schemaVersion": 2, **layers}, OCI_IMAGE),
    }
    child = Content(json.dumps(good["oci"][0]).encode(), OCI_IMAGE).descriptor
    platform = {"platform": {"os": "linux", "architecture": "amd64"}}
    children = {"manifests": [{**child, **platform}]}
    good["list"] = ({"schemaVersion": 2, "mediaType": DOCKER_LIST, **children}, DOCKER_LIST)
    good["index"] = ({"schemaVersion": 2, "mediaType": OCI_INDEX, **children}, OCI_INDEX)
    missing = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": NOWHERE, "size": 1}
    bad = {
        "missing layer": ({**good["oci"][0], "layers": [missing]}, OCI_IMAGE),
        "missing config": ({**good["oci"][0], "config": missing}, OCI_IMAGE),
        "missing child": ({**good["index"][0], "manifests": [{**missing, **platform}]}, OCI_INDEX),
        "wrong mediaType": ({**good["oci"][0], "mediaType": OCI_INDEX}, OCI_IMAGE),
        "image with manifests": ({**good["oci"][0], "manifests": []}, OCI_IMAGE),
        "index with layers": ({**good["index"][0], "layers": []}, OCI_INDEX),
        "schemaVersion 3": ({**good["oci"][0], "schemaVersion": 3}, OCI_IMAGE),
        "text/html": (good["oci"][0], "text/html"),
        "no type": (good["oci"][0], None),
        "no mediaType of docker": ({"schemaVersion": 2, **layers}, DOCKER_IMAGE),
        "schema 1": ({"schemaVersion": 1, "name": NAME, "tag": "x", "fsLayers": [], "history": []}, OCI_IMAGE),
        "config without digest": ({**good["oci"][0], "config": {"size": 1}}, OCI_IMAGE),
    }
    return good, bad


def ask_manifests(side):
    push_blob(side, image_config(), "config")
    good, bad = documents()
    for label, (document, media_type) in good.items():
        content = Content(json.dumps(document).encode())
        tag = label.replace(" ", "-")
        for reference, how in ((tag, "tag"), (content.digest, "digest")):
            url = f"/v2/{NAME}/manifests/{reference}"
            side.ask(f"PUT manifest good {label} by {how}", "PUT", url, content.body, Content_Type=media_type)
            for method in ("GET", "HEAD"):
                side.ask(f"{method} manifest {label} by {how}", method, url, Accept=media_type)
                side.ask(
                    f"{method} manifest {label} by {how} unchanged",
                    method,
                    url,
                    Accept=media_type,
                    If_None_Match=f'"{content.digest}"',
                )
                side.ask(f"{method} manifest {label} by {how} (accept none)", method, url)
                side.ask(f"{method} manifest {label} by {how} (accept html)", method, url, Accept="text/html")
    for label, (document, media_type) in bad.items():
        url = f"/v2/{NAME}/manifests/bad"
        side.ask(f"PUT manifest {label}", "PUT", url, json.dumps(document).encode(), Content_Type=media_type)
    for label, body in (("empty", b""), ("no json", b"{"), ("list", b"[]")):
        side.ask(f"PUT manifest body {label}", "PUT", f"/v2/{NAME}/manifests/bad", body, Content_Type=OCI_IMAGE)
    side.ask("PUT manifest too large", "PUT", f"/v2/{NAME}/manifests/bad", b" " * (5 << 20), Content_Type=OCI_IMAGE)
    body = json.dumps(good["oci"][0]).encode()
    side.ask("PUT manifest other digest", "PUT", f"/v2/{NAME}/manifests/{NOWHERE}", body, Content_Type=OCI_IMAGE)
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        side.ask(f"{method} manifests/.bad", method, f"/v2/{NAME}/manifests/.bad")
        side.ask(f"{method} manifests/sha256:abc", method, f"/v2/{NAME}/manifests/sha256:abc")
    for method in ("GET", "HEAD", "DELETE"):
        side.ask(f"{method} manifests/{NOWHERE}", method, f"/v2/{NAME}/manifests/{NOWHERE}")
    for method in ("GET", "HEAD"):
        side.ask(f"{method} manifests/none", method, f"/v2/{NAME}/manifests/none")
        side.ask(f"{method} stranger/manifests/docker", method, "/v2/stranger/manifests/docker")


def ask_lists(side):
    for query in (
        "",
        "?n=1",
        "?n=1&last=other",
        "?n=2",
        "?n=0",
        "?last=other",
        "?last=zzz",
        "?n=5000",
        "?n=x",
        "?n=-1",
    ):
        side.ask(f"GET _catalog{query}", "GET", f"/v2/_catalog{query}")
        side.ask(f"GET tags/list{query}", "GET", f"/v2/{NAME}/tags/list{query}")
    side.ask("GET nothing/tags/list", "GET", "/v2/nothing/tags/list")
    side.ask("GET referrers", "GET", f"/v2/{NAME}/referrers/{NOWHERE}")


def ask_deletions(side):
    good, _ = documents()
    digest = Content(json.dumps(good["docker"][0]).encode()).digest
    side.ask("DELETE tag", "DELETE", f"/v2/{NAME}/manifests/oci")
    side.ask("DELETE manifest", "DELETE", f"/v2/{NAME}/manifests/{digest}")
    side.ask("DELETE manifest again", "DELETE", f"/v2/{NAME}/manifests/{digest}")
    side.ask("GET deleted manifest by tag", "GET", f"/v2/{NAME}/manifests/docker", Accept=DOCKER_IMAGE)
    side.ask("DELETE blob", "DELETE", f"/v2/other/blobs/{BLOB.digest}")
    side.ask("DELETE blob again", "DELETE", f"/v2/other/blobs/{BLOB.digest}")
    side.ask("GET deleted blob", "GET", f"/v2/other/blobs/{BLOB.digest}")
    side.ask("GET blob that stays", "GET", f"/v2/{NAME}/blobs/{BLOB.digest}")


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """Ask both registries everything, in the same order."""
    asked = []
    for program in ("ours", "go"):
        folder = tmp_path_factory.mktemp(program)
        with serving(program, folder / "tree", folder) as url:
            side = Side(url)
            for ask in (ask_base, ask_names, ask_uploads, ask_blobs, ask_manifests, ask_lists, ask_deletions):
                ask(side)
            asked.append(side.replies)
    return asked


def known(label):
    return next((reason for pattern, reason in KNOWN.items() if re.fullmatch(pattern, label)), None)


def test_every_difference_is_a_known_one(sides):
    ours, theirs = sides
    assert ours.keys() == theirs.keys()
    assert len(ours) > 250
    different = {label: (ours[label], theirs[label]) for label in ours if ours[label] != theirs[label]}
    unknown = {label: pair for label, pair in different.items() if known(label) is None}
    assert not unknown, "\n".join(f"{label}\n  ours {pair[0]}\n  go   {pair[1]}" for label, pair in unknown.items())


def test_every_known_difference_is_one_and_is_written_down(sides):
    ours, theirs = sides
    different = [label for label in ours if ours[label] != theirs[label]]
    text = COMPATIBILITY.read_text()
    for pattern, reason in KNOWN.items():
        assert f"| {reason} |" in text, reason
        assert any(re.fullmatch(pattern, label) for label in different), f"{pattern} differs no more"
