"""Scopes, claims and key ids."""

import base64
import hashlib
import json
import re

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from shared.tokens import (
    Claims,
    InvalidClaims,
    InvalidScope,
    Scope,
    algorithms_of,
    jwk_thumbprint,
    libtrust_key_id,
    parse_scopes,
    public_jwk,
)
from tests.kit.certificates import private_key

ACTIONS = st.lists(st.sampled_from(["pull", "push", "delete", "*", "x-y"]), unique=True, max_size=4).map(tuple)
NAMES = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=20)
SCOPES = st.builds(Scope, st.from_regex(r"[a-z0-9]+", fullmatch=True), NAMES, ACTIONS)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)
GOOD = {
    "iss": "test",
    "aud": "registry:5000",
    "sub": "alice",
    "nbf": 1,
    "iat": 2,
    "exp": 3,
    "jti": "id",
    "access": [{"type": "repository", "name": "a", "actions": ["pull"]}],
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("repository:a/b:pull", Scope("repository", "a/b", ("pull",))),
        ("repository:a/b:pull,push", Scope("repository", "a/b", ("pull", "push"))),
        ("repository:a:push,pull,push", Scope("repository", "a", ("push", "pull"))),
        ("repository:a:*", Scope("repository", "a", ("*",))),
        ("repository:a:", Scope("repository", "a", ())),
        ("repository:a:,pull,", Scope("repository", "a", ("pull",))),
        ("repository:host:5000/a:pull", Scope("repository", "host:5000/a", ("pull",))),
        ("repository(plugin):a:pull", Scope("repository", "a", ("pull",))),
        ("repository():a:pull", Scope("repository", "a", ("pull",))),
        ("registry:catalog:*", Scope("registry", "catalog", ("*",))),
    ],
    ids=str,
)
def test_a_scope_is_read(text, expected):
    assert Scope.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "::", "repository", "repository:", "repository:a", "repository::pull", ":a:pull", "Repository:a:pull",
        "repo-x:a:pull", "repository(x:a:pull", "repository:a:PULL", "repository:a:pull push", "repository:a:**",
        "repository:a:pull;push", "repository:a:pull\n",
    ],
    ids=ascii,
)  # fmt: skip
def test_a_malformed_scope_is_refused(text):
    with pytest.raises(InvalidScope):
        Scope.parse(text)


@given(SCOPES)
def test_a_scope_round_trips_through_its_text(scope):
    assert Scope.parse(str(scope)) == scope


@given(st.text(max_size=40))
def test_any_text_is_a_scope_or_an_invalid_one(text):
    try:
        scope = Scope.parse(text)
    except InvalidScope:
        return
    assert Scope.parse(str(scope)) == scope


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        ([""], []),
        (["  "], []),
        (["repository:a:pull"], ["repository:a:pull"]),
        (["repository:a:pull", "repository:b:push"], ["repository:a:pull", "repository:b:push"]),
        (["repository:a:pull repository:b:push"], ["repository:a:pull", "repository:b:push"]),
        (["repository:a:pull", "repository:a:push,pull"], ["repository:a:pull,push"]),
        (["repository(plugin):a:pull repository:a:push"], ["repository:a:pull,push"]),
        (["registry:a:pull repository:a:pull"], ["registry:a:pull", "repository:a:pull"]),
    ],
    ids=["none", "empty", "blank", "one", "repeated", "spaces", "merged", "class", "types"],
)
def test_scopes_come_repeated_or_separated_by_spaces_and_are_merged(values, expected):
    assert [str(scope) for scope in parse_scopes(values)] == expected


@given(st.lists(SCOPES, max_size=6))
def test_scopes_lose_no_action_and_gain_none(scopes):
    def pairs(many):
        return {(one.type, one.name, action) for one in many for action in one.actions}

    parsed = parse_scopes([" ".join(map(str, scopes))])
    assert pairs(parsed) == pairs(scopes)
    assert len({(one.type, one.name) for one in parsed}) == len(parsed)


@given(
    st.builds(
        Claims,
        issuer=st.text(),
        audience=st.lists(st.text(min_size=1), min_size=1, max_size=3).map(tuple),
        subject=st.text(),
        not_before=st.integers(),
        issued_at=st.integers(),
        expires_at=st.integers(),
        token_id=st.text(),
        access=st.lists(SCOPES, max_size=3).map(tuple),
        client_address=st.text(),
        readable=st.lists(st.text()).map(tuple),
        unreadable=st.lists(st.text()).map(tuple),
    )
)
def test_claims_round_trip_through_json(claims):
    assert Claims.from_json(json.loads(json.dumps(claims.to_json()))) == claims


def test_claims_have_the_shape_that_the_go_registry_reads():
    """One audience is a string, for the Go registry 2.x takes no list; there is no claim that nobody asked for."""
    claims = Claims("test", ("registry:5000",), "alice", 1, 2, 3, "id", (Scope("repository", "a", ("pull",)),))
    assert claims.to_json() == GOOD


@pytest.mark.parametrize(
    ("change", "field", "expected"),
    [
        ({"aud": ["a", "b"]}, "audience", ("a", "b")),
        ({"aud": None}, "audience", ()),
        ({"aud": ""}, "audience", ()),
        ({"exp": None}, "expires_at", 0),
        ({"nbf": None}, "not_before", 0),
        ({"sub": None}, "subject", ""),
        ({"access": None}, "access", ()),
        ({"access": [{"type": "repository", "name": "a", "actions": None}]}, "access", (Scope("repository", "a", ()),)),
        ({"access": [{}]}, "access", (Scope("", "", ()),)),
        ({"client_addr": "10.0.0.1"}, "client_address", "10.0.0.1"),
        ({"readable": ["a/**", "b"]}, "readable", ("a/**", "b")),
        ({"unreadable": ["a/**", "b"]}, "unreadable", ("a/**", "b")),
        ({"limited": True}, "limited", True),
        ({"limited": "yes"}, "limited", False),
    ],
    ids=lambda value: str(value)[:30],
)
def test_claims_may_lack_what_has_a_meaning_without(change, field, expected):
    assert getattr(Claims.from_json(GOOD | change), field) == expected


@pytest.mark.parametrize("key", ["aud", "exp", "nbf", "sub", "access"])
def test_an_absent_claim_is_read_like_null(key):
    without = {name: value for name, value in GOOD.items() if name != key}
    assert Claims.from_json(without) == Claims.from_json(GOOD | {key: None})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"iss": 1}, "iss is not a string"),
        ({"sub": ["alice"]}, "sub is not a string"),
        ({"jti": {}}, "jti is not a string"),
        ({"client_addr": 1}, "client_addr is not a string"),
        ({"readable": [1]}, "readable is neither a string nor a list of strings"),
        ({"unreadable": [1]}, "unreadable is neither a string nor a list of strings"),
        ({"exp": 1.5}, "exp is not a whole number"),
        ({"exp": "3"}, "exp is not a whole number"),
        ({"exp": True}, "exp is not a whole number"),
        ({"nbf": 1e9}, "nbf is not a whole number"),
        ({"aud": 1}, "aud is neither"),
        ({"aud": [1]}, "aud is neither"),
        ({"aud": {"a": 1}}, "aud is neither"),
        ({"access": {"type": "repository"}}, "access is not a list"),
        ({"access": "repository:a:pull"}, "access is not a list"),
        ({"access": ["repository:a:pull"]}, "not an object"),
        ({"access": [{"type": 1}]}, "type is not a string"),
        ({"access": [{"name": []}]}, "name is not a string"),
        ({"access": [{"actions": "pull"}]}, "not a list of strings"),
        ({"access": [{"actions": [1]}]}, "not a list of strings"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_claims_of_a_wrong_type_are_refused(change, reason):
    with pytest.raises(InvalidClaims, match=reason):
        Claims.from_json(GOOD | change)


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), JSON))
def test_any_json_object_is_claims_or_invalid_claims(payload):
    try:
        Claims.from_json(payload)
    except InvalidClaims:
        return


def test_the_libtrust_id_is_that_of_the_go_registry():
    """The example of RFC 7515 A.3; the id was computed from its SubjectPublicKeyInfo by hand."""
    numbers = ec.EllipticCurvePublicNumbers(
        x=int.from_bytes(base64.urlsafe_b64decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU="), "big"),
        y=int.from_bytes(base64.urlsafe_b64decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0="), "big"),
        curve=ec.SECP256R1(),
    )
    point = b"\x04" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    der = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + point
    words = base64.b32encode(hashlib.sha256(der).digest()[:30]).decode()
    assert libtrust_key_id(numbers.public_key()) == ":".join(re.findall("....", words))


@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-384", "P-521", "Ed25519"])
def test_key_ids_have_their_shape_and_belong_to_one_key(kind):
    one, other = private_key(kind).public_key(), private_key(kind, "other").public_key()
    assert re.fullmatch(r"(?:[A-Z2-7]{4}:){11}[A-Z2-7]{4}", libtrust_key_id(one))
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", jwk_thumbprint(one))
    assert libtrust_key_id(one) != libtrust_key_id(other)
    assert jwk_thumbprint(one) != jwk_thumbprint(other)


def test_the_thumbprint_is_that_of_the_example_in_rfc_7638():
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhM"
        "stn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5"
        "hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    key = jwt.PyJWK({"kty": "RSA", "n": n, "e": "AQAB"}).key
    assert jwk_thumbprint(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_the_thumbprint_of_ed25519_is_that_of_the_example_in_rfc_8037():
    raw = base64.urlsafe_b64decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    key = ed25519.Ed25519PublicKey.from_public_bytes(raw)
    assert jwk_thumbprint(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_the_coordinates_of_a_point_keep_their_leading_zeros():
    """RFC 7518 6.2.1.2: a coordinate has the length of the curve, even if its number is short."""
    for number in range(1, 2000):
        key = ec.derive_private_key(number, ec.SECP256R1()).public_key()
        if key.public_numbers().x >> 248 == 0:
            assert len(public_jwk(key)["x"]) == 43
            return
    raise AssertionError("no short coordinate among the keys tried")


@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-384", "P-521", "Ed25519"])
def test_a_public_jwk_is_read_back_as_the_same_key(kind):
    key = private_key(kind).public_key()
    assert jwt.PyJWK(public_jwk(key)).key == key


@pytest.mark.parametrize(
    ("kind", "algorithms"),
    [
        ("RSA", ("RS256", "RS384", "RS512")),
        ("P-256", ("ES256",)),
        ("P-384", ("ES384",)),
        ("P-521", ("ES512",)),
        ("secp256k1", ()),
        ("Ed25519", ("EdDSA",)),
    ],
)
def test_a_key_belongs_to_its_algorithms_alone(kind, algorithms):
    assert algorithms_of(private_key(kind).public_key()) == algorithms
