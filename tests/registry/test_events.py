"""Events in the shape that receivers of Docker's registry know."""

import json

import pytest

from registry_service.notifications.events import BLOB_TYPE, ENVELOPE_TYPE, Event, Origin, Target, envelope

DIGEST = "sha256:" + "a" * 64
ORIGIN = Origin("request-id", "10.0.0.1:1234", "registry:5000", "PUT", "docker/27", "alice")


def event(target, origin=ORIGIN, action="push"):
    return Event("event-id", "2024-01-02T15:04:05+00:00", action, target, origin, "host:5000", "instance-id")


def test_the_envelope_of_a_pushed_manifest():
    target = Target(
        repository="team/app",
        media_type="application/vnd.oci.image.manifest.v1+json",
        digest=DIGEST,
        size=708,
        tag="v1",
        url=f"http://registry:5000/v2/team/app/manifests/{DIGEST}",
    )
    assert json.loads(envelope(event(target))) == {
        "events": [
            {
                "id": "event-id",
                "timestamp": "2024-01-02T15:04:05+00:00",
                "action": "push",
                "target": {
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "digest": DIGEST,
                    "size": 708,
                    "length": 708,
                    "repository": "team/app",
                    "url": f"http://registry:5000/v2/team/app/manifests/{DIGEST}",
                    "tag": "v1",
                },
                "request": {
                    "id": "request-id",
                    "addr": "10.0.0.1:1234",
                    "host": "registry:5000",
                    "method": "PUT",
                    "useragent": "docker/27",
                },
                "actor": {"name": "alice"},
                "source": {"addr": "host:5000", "instanceID": "instance-id"},
            }
        ]
    }


@pytest.mark.parametrize(
    ("target", "document"),
    [
        (Target("a"), {"repository": "a"}),
        (Target("a", tag="v1"), {"repository": "a", "tag": "v1"}),
        (Target("a", digest=DIGEST), {"repository": "a", "digest": DIGEST}),
        (Target("a", size=0), {"repository": "a", "size": 0, "length": 0}),
        (
            Target("a", BLOB_TYPE, DIGEST, 3, from_repository="b"),
            {
                "repository": "a",
                "mediaType": BLOB_TYPE,
                "digest": DIGEST,
                "size": 3,
                "length": 3,
                "fromRepository": "b",
            },
        ),
    ],
    ids=["repository", "deleted tag", "deleted manifest", "empty blob", "mounted blob"],
)
def test_a_target_has_the_fields_that_apply(target, document):
    assert target.to_json() == document


def test_an_anonymous_actor_has_no_name():
    origin = Origin("", "", "", "GET", "", "")
    assert event(Target("a"), origin).to_json()["actor"] == {}


def test_the_body_is_utf8_with_the_indentation_of_the_go_registry():
    body = envelope(event(Target("a"), Origin("", "", "", "GET", "浏览器", "")))
    assert body.startswith(b'{\n   "events": [\n      {\n')
    assert "浏览器" in body.decode()


def test_the_media_types_are_those_of_the_go_registry():
    assert ENVELOPE_TYPE == "application/vnd.docker.distribution.events.v1+json"
    assert BLOB_TYPE == "application/octet-stream"
