import pytest
from hypothesis import given
from hypothesis import strategies as st

from web_service.events import Event
from web_service.notifications import InvalidEnvelope, client_host, parse_envelope

DIGEST = "sha256:" + "d" * 64
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def entry(**changes):
    event = {
        "id": "1",
        "timestamp": "2026-01-02T03:04:05.123456789+08:00",
        "action": "push",
        "target": {"mediaType": MANIFEST, "digest": DIGEST, "repository": "team/app", "tag": "1.0"},
        "request": {"addr": "10.0.0.1:5123", "useragent": "docker/27"},
        "actor": {"name": "dev"},
    }
    for key, value in changes.items():
        section, _, name = key.partition("__")
        if name:
            event[section] = {**event[section], name: value}
        else:
            event[section] = value
    return event


def parsed(*entries):
    return parse_envelope({"events": list(entries)})


def test_a_push_is_read_whole_and_in_utc():
    assert parsed(entry()).events == (
        Event("1", 1767294245, "dev", "push", "team/app", "1.0", DIGEST, MANIFEST, "10.0.0.1", "docker/27"),
    )


@pytest.mark.parametrize(
    "media_type",
    [
        MANIFEST,
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.artifact.manifest.v1+json",
    ],
)
@pytest.mark.parametrize("action", ["push", "pull", "delete", "mount"])
def test_every_kind_of_manifest_and_action_counts(media_type, action):
    (event,) = parsed(entry(target__mediaType=media_type, action=action)).events
    assert (event.media_type, event.action) == (media_type, action)


@pytest.mark.parametrize(
    "changes",
    [
        {"target__mediaType": "application/octet-stream"},
        {"target__mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"},
        {"target__mediaType": "", "target__url": "http://r/v2/team/app/blobs/sha256:1"},
        {"actor": {"name": "registry-web"}, "action": "pull"},
    ],
)
def test_layers_and_the_reads_of_the_console_do_not_count(changes):
    envelope = parsed(entry(**changes))
    assert (envelope.events, envelope.ignored, envelope.problems) == ((), 1, ())


def test_a_deletion_by_the_console_counts():
    assert parsed(entry(actor={"name": "registry-web"}, action="delete")).events


@pytest.mark.parametrize(
    "target",
    [
        {"digest": DIGEST, "repository": "team/app"},
        {"mediaType": "", "size": 0, "digest": DIGEST, "repository": "team/app"},
        {"tag": "1.0", "repository": "team/app"},
    ],
)
def test_deletions_by_digest_or_tag_count(target):
    (event,) = parsed(entry(action="delete", target=target)).events
    assert (event.digest, event.tag) == (target.get("digest", ""), target.get("tag", ""))


def test_a_pull_by_digest_has_no_tag():
    (event,) = parsed(entry(action="pull", target={"mediaType": MANIFEST, "digest": DIGEST, "repository": "a"})).events
    assert event.tag == ""


def test_an_event_without_actor_counts():
    assert parsed(entry(actor={})).events[0].user == ""
    assert parsed(entry(actor=None)).events[0].user == ""


@pytest.mark.parametrize(
    "bad",
    [
        5,
        {},
        entry(id=""),
        entry(id=None),
        entry(id="x" * 129),
        entry(timestamp="soon"),
        entry(timestamp=None),
        entry(action=""),
        entry(target__repository=""),
        entry(target={"repository": "a", "mediaType": MANIFEST}),
        entry(target="x"),
    ],
)
def test_a_bad_event_does_not_lose_the_others(bad):
    envelope = parsed(entry(id="a"), bad, entry(id="b"))
    assert [event.event_id for event in envelope.events] == ["a", "b"]
    assert len(envelope.problems) == 1


@pytest.mark.parametrize("document", [None, [], "x", {}, {"events": {}}, {"events": 5}])
def test_what_is_no_envelope_is_refused(document):
    with pytest.raises(InvalidEnvelope):
        parse_envelope(document)


def test_an_empty_envelope_is_one():
    assert parse_envelope({"events": []}).events == ()


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("1.2.3.4:5", "1.2.3.4"),
        ("1.2.3.4", "1.2.3.4"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("host.example:80", "host.example"),
        ("", ""),
    ],
)
def test_the_address_is_cut_from_its_port(address, host):
    assert client_host(address) == host


@given(st.text(max_size=40))
def test_no_address_is_a_crash(text):
    assert isinstance(client_host(text), str)
