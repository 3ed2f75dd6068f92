import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web_service.errors import RegistryProblem
from web_service.images import (
    Descriptor,
    Image,
    ImageConfig,
    Step,
    Tagged,
    history_rows,
    is_attestation,
    parse_config,
    parse_manifest,
)

OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:c", "size": 10}
LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "sha256:l", "size": 500}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    (
        *("mediaType", "config", "layers", "manifests", "annotations", "created", "os", "architecture"),
        *("history", "size", "digest", "platform", "Env", "Cmd", "Labels"),
    )
)


def manifest(media_type=OCI, **document):
    return parse_manifest(media_type, "sha256:m", json.dumps(document).encode())


def test_an_image_has_config_and_layers_and_counts_a_repeated_layer_once():
    image = Image(manifest(config=CONFIG, layers=[LAYER, LAYER]), ImageConfig())
    assert len(image.manifest.layers) == 2
    assert image.size == 510
    assert image.manifest.has_image_config
    assert not image.manifest.is_index


def test_an_index_has_children_with_platforms():
    platform = {"os": "linux", "architecture": "arm64", "variant": "v8"}
    unknown = {"os": "unknown", "architecture": "unknown"}
    index = manifest(INDEX, manifests=[{"digest": "sha256:1", "platform": platform}, {"platform": unknown}])
    assert index.is_index
    assert [child.platform for child in index.children] == ["linux/arm64/v8", "unknown/unknown"]
    assert [is_attestation(child) for child in index.children] == [False, True]


def test_the_type_in_the_body_counts_when_the_registry_names_none():
    assert manifest("", mediaType=INDEX, manifests=[]).is_index


def test_a_chart_is_no_image_but_has_a_date():
    chart = manifest(
        config=CONFIG | {"mediaType": "application/vnd.cncf.helm.config.v1+json"},
        annotations={"org.opencontainers.image.created": "2026-01-01T00:00:00Z"},
        artifactType="chart",
    )
    assert not chart.has_image_config
    assert Image(chart, ImageConfig()).created == 1767225600
    assert chart.artifact_type == "chart"


def test_a_config_says_what_runs():
    config = parse_config(
        json.dumps(
            {
                "os": "linux",
                "architecture": "amd64",
                "created": "2026-01-01T00:00:00.123456789Z",
                "author": "me",
                "config": {
                    "Env": ["A=1"],
                    "Cmd": ["run"],
                    "Entrypoint": None,
                    "ExposedPorts": {"80/tcp": {}},
                    "Labels": {"b": "2", "a": "1"},
                    "WorkingDir": "/srv",
                    "User": "app",
                    "Volumes": {"/data": {}},
                },
                "history": [{"created_by": "ADD x"}, {"created_by": "ENV", "empty_layer": True}],
            }
        ).encode()
    )
    assert config == ImageConfig(
        platform="linux/amd64",
        created=1767225600,
        author="me",
        env=("A=1",),
        command=("run",),
        ports=("80/tcp",),
        labels=(("a", "1"), ("b", "2")),
        working_directory="/srv",
        user="app",
        volumes=("/data",),
        history=(Step("ADD x", None, makes_layer=True), Step("ENV", None, makes_layer=False)),
    )


@pytest.mark.parametrize("created", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "yesterday", 5, None])
def test_no_time_is_no_time(created):
    assert parse_config(json.dumps({"created": created}).encode()).created is None


def test_a_platform_is_a_short_text():
    platform = {"os": "o" * 100, "architecture": "a"}
    assert parse_config(json.dumps(platform).encode()).platform == "o" * 60
    assert manifest(INDEX, manifests=[{"platform": platform}]).children[0].platform == "o" * 60


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff", b"{", b"[" * 100_000])
def test_what_is_no_object_is_a_problem(body):
    with pytest.raises(RegistryProblem):
        parse_manifest(OCI, "sha256:m", body)
    with pytest.raises(RegistryProblem):
        parse_config(body)


@given(st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=4), max_size=6))
def test_no_value_of_a_wrong_type_is_a_crash(document):
    body = json.dumps(document).encode()
    image = Image(parse_manifest("", "sha256:m", body), parse_config(body))
    tagged = Tagged("t", image.manifest, (image,))
    assert tagged.size >= 0
    assert isinstance(tagged.created, int | None)
    assert all(isinstance(name, str) for name in tagged.platforms)
    assert len(history_rows(image)) == len(image.config.history)


def test_history_is_told_backwards_with_the_layers_it_made():
    steps = (
        Step("ADD", None, makes_layer=True),
        Step("ENV", None, makes_layer=False),
        Step("RUN", None, makes_layer=True),
    )
    layers = [LAYER | {"digest": "sha256:1"}, LAYER | {"digest": "sha256:2"}]
    rows = history_rows(Image(manifest(layers=layers), ImageConfig(history=steps)))
    assert [(step.command, layer and layer.digest) for step, layer in rows] == [
        ("RUN", "sha256:2"),
        ("ENV", None),
        ("ADD", "sha256:1"),
    ]


def test_history_with_more_steps_than_layers_ends_without_a_crash():
    steps = tuple(Step(str(number), None, makes_layer=True) for number in range(3))
    rows = history_rows(Image(manifest(layers=[LAYER]), ImageConfig(history=steps)))
    assert [layer is not None for _, layer in rows] == [False, False, True]


def test_images_of_one_tag_share_layers_and_show_each_platform_once():
    def image(digest, platform, created):
        document = manifest(config=CONFIG | {"digest": digest}, layers=[LAYER])
        return Image(document, ImageConfig(platform=platform, created=created))

    images = (
        image("sha256:1", "linux/amd64", None),
        image("sha256:2", "linux/arm64", 7),
        image("sha256:2", "linux/arm64", 9),
    )
    tagged = Tagged("t", manifest(INDEX), images)
    assert tagged.platforms == ("linux/amd64", "linux/arm64")
    assert tagged.size == 520
    assert tagged.created == 9


def test_descriptors_take_no_nonsense_for_a_size():
    layers = manifest(layers=[{"size": -1}, {"size": True}, {"size": "9"}, 5]).layers
    assert layers == (Descriptor("", "", 0),) * 3
