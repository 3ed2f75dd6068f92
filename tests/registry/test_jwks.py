"""The key set beside the bundle: what its keys prove, which of them are left out, and what is never trusted."""

import json
import logging

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from registry_service.auth import TokenAuth
from registry_service.config import Token
from registry_service.jwks import key_of_jwk, load_jwks
from shared.config import ConfigError
from shared.tokens import go_thumbprint, jwk_thumbprint, libtrust_key_id, public_jwk
from tests.kit.certificates import ISSUER, REALM, SERVICE, claims, issue, private_key, sign, write_bundle, x5c
from tests.registry.token_checks import accepted, invalid

KEY = private_key("P-256", "set")
PUBLIC = public_jwk(KEY.public_key())
NAMED = {**PUBLIC, "kid": "mine", "use": "sig", "alg": "ES256"}
PRIVATE = ECAlgorithm.to_jwk(KEY, as_dict=True)
SECRET = {"kty": "oct", "k": "c2VjcmV0", "kid": "shared", "alg": "HS256"}


def write(folder, *entries):
    path = folder / "keys.json"
    path.write_text(json.dumps({"keys": entries}))
    return path


def token_auth(folder, *entries, bundle=None):
    return TokenAuth(Token(REALM, SERVICE, ISSUER, bundle, write(folder, *entries)))


@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-384", "P-521", "Ed25519"])
@pytest.mark.parametrize("name", ["kid", "libtrust", "RFC 7638", "absent"])
def test_a_key_of_the_set_by_each_of_its_names(tmp_path, kind, name):
    key = private_key(kind, "named")
    public = key.public_key()
    kid = {"kid": "mine", "libtrust": libtrust_key_id(public), "RFC 7638": jwk_thumbprint(public)}.get(name)
    auth = token_auth(tmp_path, {**public_jwk(public), "kid": "mine"})
    assert accepted(auth, sign(claims(), key, header={"kid": kid} if kid else {}))
    assert accepted(auth, sign(claims(), key, header={"jwk": public_jwk(public)}))


def test_a_key_without_a_name_is_found_by_its_thumbprint_only(tmp_path):
    auth = token_auth(tmp_path, PUBLIC)
    assert accepted(auth, sign(claims(), KEY, header={"kid": jwk_thumbprint(KEY.public_key())}))
    assert "does not know: ''" in invalid(auth, sign(claims(), KEY, header={"kid": ""}))


def test_bundle_and_set_count_side_by_side(tmp_path):
    root = issue(private_key("P-384"))
    auth = token_auth(tmp_path, NAMED, bundle=write_bundle(tmp_path / "auth.cert", root))
    assert accepted(auth, sign(claims(), root.key, header={"x5c": x5c(root)}))
    assert accepted(auth, sign(claims(), root.key, header={"kid": libtrust_key_id(root.key.public_key())}))
    assert accepted(auth, sign(claims(), KEY, header={"kid": "mine"}))


def test_a_set_without_a_bundle_proves_no_chain(tmp_path):
    auth = token_auth(tmp_path, NAMED)
    assert invalid(auth, sign(claims(), KEY, header={"x5c": x5c(issue(KEY)), "kid": "mine"}))


def test_two_keys_may_share_a_name(tmp_path):
    other = private_key("RSA")
    auth = token_auth(tmp_path, NAMED, {**public_jwk(other.public_key()), "kid": "mine"})
    assert all(accepted(auth, sign(claims(), key, header={"kid": "mine"})) for key in (KEY, other))


def test_the_thumbprint_of_the_go_registry_names_a_key_as_well(tmp_path):
    """It is another one for a key of which a coordinate begins with a zero."""
    key = next(key for key in map(ec.derive_private_key, range(1, 5000), [ec.SECP256R1()] * 4999) if _is_short(key))
    assert go_thumbprint(key.public_key()) != jwk_thumbprint(key.public_key())
    auth = token_auth(tmp_path, public_jwk(key.public_key()))
    for kid in (go_thumbprint(key.public_key()), jwk_thumbprint(key.public_key())):
        assert accepted(auth, sign(claims(), key, header={"kid": kid}))


def _is_short(key):
    return key.public_key().public_numbers().x >> 248 == 0


def test_keys_are_rotated_in_the_set(tmp_path):
    other = private_key("P-256", "next")
    auth = token_auth(tmp_path, NAMED)
    token = sign(claims(), other, header={"kid": "next"})
    assert not auth.reload()
    assert invalid(auth, token)
    write(tmp_path, NAMED, {**public_jwk(other.public_key()), "kid": "next"})
    assert auth.reload()
    assert not auth.reload()
    assert accepted(auth, token)
    assert accepted(auth, sign(claims(), KEY, header={"kid": "mine"}))
    write(tmp_path, SECRET)
    with pytest.raises(ConfigError):
        auth.reload()
    assert accepted(auth, token)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({**NAMED, "use": "enc"}, "is for the use 'enc', not for signatures,"),
        ({**NAMED, "use": None}, "is for the use 'None', not for signatures,"),
        ({**NAMED, "key_ops": ["sign"]}, "is not for verifying signatures (key_ops)"),
        ({**NAMED, "key_ops": "verify"}, "is not for verifying signatures (key_ops)"),
        ({**NAMED, "kid": 1}, "has a kid that is no text"),
        ({**NAMED, "alg": "ES384"}, "is for the algorithm 'ES384', not for ES256,"),
        ({**NAMED, "alg": "HS256"}, "is for the algorithm 'HS256', not for ES256,"),
        ({**NAMED, "alg": ["ES256"]}, "is for the algorithm \"['ES256']\", not for ES256,"),
        ({**NAMED, "crv": "secp256k1"}, "is neither RSA, EC"),
        ({**NAMED, "crv": "P-384"}, "is neither RSA, EC"),
        ({**NAMED, "x": "AQ"}, "is neither RSA, EC"),
        ({**NAMED, "y": 1}, "is neither RSA, EC"),
        ({"kty": "OKP", "crv": "X25519", "x": PUBLIC["x"]}, "is neither RSA, EC"),
        ({"kty": "OKP", "crv": "Ed448", "x": "A" * 76}, "is neither RSA, EC"),
        ({"kty": "AKP", "pub": "AAAA", "alg": "ML-DSA-44"}, "is neither RSA, EC"),
        ({"kty": "RSA", "n": "", "e": "AQAB"}, "is neither RSA, EC"),
        ({"kty": ["EC"]}, "is neither RSA, EC"),
        ({}, "is neither RSA, EC"),
    ],
    ids=str,
)
def test_a_key_that_cannot_prove_tokens_is_left_out_and_named(tmp_path, entry, reason):
    good = public_jwk(private_key("Ed25519").public_key())
    path = write(tmp_path, entry, good)
    keys, (line,) = load_jwks(path)
    assert [public_jwk(one.key) for one in keys] == [good]
    assert line.startswith(f"{path}: auth.token.jwks: keys[0] {reason}")
    assert line.endswith(" and is not used")
    with pytest.raises(ConfigError, match="holds no key that can prove tokens; save what the token server publishes"):
        load_jwks(write(tmp_path, entry))


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (SECRET, "keys[1] is a symmetric key, with which whoever reads it could forge tokens"),
        ({**SECRET, "use": "enc"}, "keys[1] is a symmetric key"),
        ({**NAMED, "k": "c2VjcmV0"}, "keys[1] is a symmetric key"),
        (PRIVATE, "keys[1] is a private key, which is for the token server alone"),
        ({**public_jwk(private_key().public_key()), "p": "AQ"}, "keys[1] is a private key"),
    ],
    ids=["oct", "oct for encryption", "k", "EC", "RSA"],
)
def test_a_secret_is_never_trusted_and_stops_the_start(tmp_path, entry, reason):
    path = write(tmp_path, NAMED, entry)
    with pytest.raises(ConfigError) as caught:
        load_jwks(path)
    assert str(caught.value).startswith(f"{path}: auth.token.jwks: {reason}")
    assert "save what the token server publishes at /api/auth/jwks" in str(caught.value)
    assert "c2VjcmV0" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory"),
        ("", "is no JSON Web Key Set"),
        ("{", "is no JSON Web Key Set"),
        ("[]", "is no JSON Web Key Set"),
        (json.dumps(NAMED), "is no JSON Web Key Set"),
        ('{"keys": {}}', "is no JSON Web Key Set"),
        ('{"keys": [1]}', "is no JSON Web Key Set"),
        ("[" * 100_000, "is no JSON Web Key Set"),
        ("\x00", "is no JSON Web Key Set"),
        ('{"keys": []}', "holds no key that can prove tokens"),
    ],
    ids=lambda text: str(text)[:20],
)
def test_a_file_that_is_no_set_is_one_line(tmp_path, content, reason):
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load_jwks(path)
    assert str(caught.value).startswith(f"{path}: auth.token.jwks: {reason}; ".removesuffix("; "))
    assert "/api/auth/jwks" in str(caught.value)


@pytest.mark.parametrize("entry", [None, 1, "x", [], {}, {"kty": "oct", "k": "AAAA"}], ids=str)
def test_what_is_no_public_key_is_a_value_error(entry):
    with pytest.raises(ValueError, match="cannot be read"):
        key_of_jwk(entry)


@pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits")
@pytest.mark.parametrize("place", ["bundle", "set"])
def test_weak_and_unused_keys_are_told_once_and_again_when_they_change(tmp_path, caplog, place):
    weak = private_key("RSA-1024")
    caplog.set_level(logging.WARNING)
    entries = [NAMED, {**NAMED, "use": "enc"}] if place == "bundle" else [public_jwk(weak.public_key())]
    bundle = write_bundle(tmp_path / "auth.cert", issue(weak)) if place == "bundle" else None
    auth = token_auth(tmp_path, *entries, bundle=bundle)
    told = [one.getMessage() for one in caplog.records]
    file = bundle or tmp_path / "keys.json"
    assert any(line.startswith(f"{file}: auth.token.") and "an RSA key of 1024 bits" in line for line in told)
    assert any("keys[1] is for the use 'enc'" in line for line in told) == (place == "bundle")
    assert accepted(auth, sign(claims(), weak))
    assert not auth.reload()
    assert len(caplog.records) == len(told)
