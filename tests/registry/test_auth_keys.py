"""Which keys prove a token: every way to name one, and every way to forge one."""

import base64
import json
from contextlib import suppress
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jwt.utils import base64url_decode

from registry_service.bundle import load_bundle
from registry_service.errors import RegistryError
from shared.config import ConfigError
from shared.tokens import jwk_thumbprint, libtrust_key_id, public_jwk
from tests.kit.certificates import base64url, claims, issue, private_key, sign, x5c
from tests.registry.token_checks import EC_ROOT, ROOT, accepted, invalid, token_auth

DAY = timedelta(days=1)
STRANGER = issue(private_key("RSA", "stranger"))
LEAF_KEY = private_key("P-256", "leaf")
LEAF = issue(LEAF_KEY, issuer=ROOT, name="token key", ca=False)


@pytest.fixture
def auth(tmp_path):
    return token_auth(tmp_path)


@pytest.mark.parametrize("key", [ROOT.key, EC_ROOT.key], ids=["RSA", "EC"])
@pytest.mark.parametrize("kid", ["libtrust", "RFC 7638", "absent"])
def test_a_key_of_the_bundle_by_each_of_its_names(auth, key, kid):
    ids = {"libtrust": libtrust_key_id(key.public_key()), "RFC 7638": jwk_thumbprint(key.public_key())}
    header = {} if kid == "absent" else {"kid": ids[kid]}
    assert accepted(auth, sign(claims(), key, header=header))


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
def test_every_algorithm_of_an_rsa_key(auth, algorithm):
    assert accepted(auth, sign(claims(), ROOT.key, algorithm=algorithm))


@pytest.mark.parametrize("kind", ["P-256", "P-384", "P-521", "Ed25519"])
def test_every_kind_of_key_may_stand_in_the_bundle(tmp_path, kind):
    key = private_key(kind)
    auth = token_auth(tmp_path, issue(key))
    assert accepted(auth, sign(claims(), key, header={"kid": jwk_thumbprint(key.public_key())}))


RSA_PUBLIC = [
    ROOT.key.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    for encoding in (Encoding.PEM, Encoding.DER)
] + [ROOT.pem, ROOT.der]
ROOT_ID = libtrust_key_id(ROOT.key.public_key())


@pytest.mark.parametrize(
    "token",
    [
        sign(claims(), STRANGER.key),
        sign(claims(), STRANGER.key, header={"kid": ROOT_ID}),
        sign(claims(), STRANGER.key, header={"kid": libtrust_key_id(STRANGER.key.public_key())}),
        sign(claims(), ROOT.key, header={"kid": "unknown"}),
        sign(claims(), ROOT.key, header={"kid": ""}),
        sign(claims(), ROOT.key, header={"kid": 1}),
        sign(claims(), None),
        sign(claims(), None, header={"alg": "None"}),
        sign(claims(), None, header={"kid": ROOT_ID}),
        sign(claims(), None, header={"alg": "RS256"}),
        *(sign(claims(), public, header={"kid": ROOT_ID}) for public in RSA_PUBLIC),
        *(sign(claims(), public) for public in RSA_PUBLIC),
        sign(claims(), EC_ROOT.key, header={"alg": "RS256"}),
        sign(claims(), EC_ROOT.key, header={"kid": ROOT_ID}),
        sign(claims(), EC_ROOT.key, header={"kid": ROOT_ID, "alg": "RS256"}),
        sign(claims(), EC_ROOT.key, header={"alg": "ES256"}),
        sign(claims(), ROOT.key, algorithm="PS256"),
        sign(claims(), ROOT.key, header={"alg": "ES384"}),
        sign(claims(), ROOT.key, header={"alg": "rs256"}),
        sign(claims(), ROOT.key, header={"alg": None}),
        sign(claims(), ROOT.key, header={"alg": ["RS256"]}),
        sign(claims(), ROOT.key, header={"crit": ["exp"], "exp": 1}),
        sign(claims(), ROOT.key, header={"b64": False, "crit": ["b64"]}),
        sign(claims(), ROOT.key)[:-4] + "AAAA",
        sign(claims(), ROOT.key).rpartition(".")[0] + ".",
        sign(claims(), ROOT.key).rpartition(".")[0],
        sign(claims(), ROOT.key) + ".x",
    ],
    ids=lambda token: base64url_decode(token.split(".")[0]).decode()[:60],
)
def test_a_signature_that_does_not_hold(auth, token):
    """Among them: no algorithm, and the public key taken as a shared secret."""
    assert "expired" not in invalid(auth, token)


def test_a_token_whose_claims_were_changed_after_signing(auth):
    head, _, signature = sign(claims(), ROOT.key).split(".")
    invalid(auth, f"{head}.{base64url(json.dumps(claims(sub='mallory')).encode())}.{signature}")


@pytest.mark.parametrize(
    "token", ["x", "a.b.c", "..", "\udcff.\udcff.\udcff", "é.é.é", base64url(b"[" * 40_000) + ".e30.e30"]
)
def test_what_is_no_token_at_all(auth, token):
    invalid(auth, token)


def ec_chain(*, issuer=ROOT, **more):
    return issue(LEAF_KEY, issuer=issuer, name="token key", **{"ca": False, **more})


MIDDLE = issue(private_key("P-256", "middle"), issuer=ROOT, name="middle")
NO_CA = issue(private_key("P-256", "no ca"), issuer=ROOT, name="no ca", ca=False)
NO_EXTENSION = issue(private_key("P-256", "none"), issuer=ROOT, name="no extension", ca=None)
OLD_MIDDLE = issue(private_key("P-256", "middle"), issuer=ROOT, name="middle", begins=-2 * DAY, ends=-DAY)
OTHERS = [issue(private_key("P-256"), name=f"other {number}") for number in range(5)]
NAMESAKE = issue(private_key("P-256", "namesake"), name="localhost")


@pytest.mark.parametrize(
    "chain",
    [
        [LEAF],
        [LEAF, ROOT],
        [LEAF, *OTHERS[:4]],
        [ec_chain(issuer=MIDDLE), MIDDLE],
        [ec_chain(issuer=MIDDLE), ROOT, MIDDLE],
        [ec_chain(issuer=EC_ROOT)],
        [ec_chain(ca=None)],
    ],
    ids=["leaf", "leaf and root", "unrelated", "intermediate", "out of order", "second root", "no extension"],
)
def test_a_chain_that_leads_to_the_bundle(auth, chain):
    assert accepted(auth, sign(claims(), LEAF_KEY, header={"x5c": x5c(*chain)}))


@pytest.mark.parametrize("root", [ROOT, EC_ROOT], ids=["RSA", "EC"])
def test_a_certificate_of_the_bundle_is_its_own_chain(auth, root):
    assert accepted(auth, sign(claims(), root.key, header={"x5c": x5c(root)}))


@pytest.mark.parametrize(
    "chain",
    [
        [ec_chain(issuer=STRANGER)],
        [ec_chain(issuer=STRANGER), STRANGER],
        [ec_chain(issuer=NAMESAKE)],
        [ec_chain(issuer=NAMESAKE), NAMESAKE],
        [issue(LEAF_KEY, name="self-signed")],
        [ec_chain(begins=-2 * DAY, ends=-DAY)],
        [ec_chain(begins=DAY, ends=2 * DAY)],
        [ec_chain(issuer=NO_CA), NO_CA],
        [ec_chain(issuer=NO_EXTENSION), NO_EXTENSION],
        [ec_chain(issuer=MIDDLE)],
        [ec_chain(issuer=MIDDLE), OLD_MIDDLE],
        [LEAF, *OTHERS],
        [ROOT, LEAF],
        [issue(private_key("secp256k1"), issuer=ROOT, name="odd curve", ca=False)],
    ],
    ids=[
        "stranger", "stranger brings its root", "namesake", "namesake brings its root", "self-signed", "expired",
        "not yet valid", "issuer is no CA", "issuer says nothing of CA", "intermediate missing", "intermediate expired",
        "too long", "signed by another than the first",
        "a curve without algorithm",
    ],
)  # fmt: skip
def test_a_chain_that_does_not(auth, chain):
    invalid(auth, sign(claims(), LEAF_KEY, header={"x5c": x5c(*chain)}))


@pytest.mark.parametrize(
    "value", ["", "x", [], ["x"], ["AAAA"], [None], [[]], {}, {"a": 1}, 1, True, [base64url(LEAF.der)]], ids=str
)
def test_a_chain_that_cannot_be_read_is_not_made_up_for_by_a_good_key_id(auth, value):
    invalid(auth, sign(claims(), ROOT.key, header={"x5c": value, "kid": ROOT_ID}))


def test_a_leaf_with_a_key_that_no_algorithm_uses(auth):
    leaf = issue(dsa.generate_private_key(2048), issuer=ROOT, name="dsa", ca=False)
    assert "unsupported kind" in invalid(auth, sign(claims(), LEAF_KEY, header={"x5c": x5c(leaf)}))


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(st.integers(0, len(LEAF.der) - 1), st.integers(1, 255), st.booleans())
def test_a_damaged_certificate_is_refused_whatever_the_damage(auth, place, change, in_the_middle):
    """Beyond the part that is signed a change may mean nothing, but it breaks nothing either."""
    certificate = MIDDLE if in_the_middle else LEAF
    damaged = bytearray(certificate.der)
    damaged[place % len(damaged)] ^= change
    text = base64.b64encode(damaged).decode()
    chain = [*x5c(ec_chain(issuer=MIDDLE)), text] if in_the_middle else [text]
    token = sign(claims(), LEAF_KEY, header={"x5c": chain})
    if place < len(certificate.certificate.tbs_certificate_bytes) + 4:
        invalid(auth, token)
    else:
        with suppress(RegistryError):
            accepted(auth, token)


@pytest.mark.parametrize("root", [ROOT, EC_ROOT], ids=["RSA", "EC"])
def test_an_embedded_key_of_the_bundle(auth, root):
    assert accepted(auth, sign(claims(), root.key, header={"jwk": public_jwk(root.key.public_key())}))


ROOT_JWK = public_jwk(ROOT.key.public_key())


@pytest.mark.parametrize(
    "jwk",
    [
        public_jwk(STRANGER.key.public_key()),
        {**public_jwk(STRANGER.key.public_key()), "kid": ROOT_ID},
        {},
        {"kty": "RSA"},
        {"kty": "oct", "k": "AAAA"},
        {"kty": "EC", "crv": "secp256k1", "x": "AQ", "y": "AQ"},
        {**ROOT_JWK, "n": ""},
        {**ROOT_JWK, "n": 1},
        {"kty": ["RSA"]},
        "x",
        [],
        1,
    ],
    ids=lambda jwk: str(jwk)[:30],
)
def test_an_embedded_key_that_is_no_key_of_the_bundle(auth, jwk):
    invalid(auth, sign(claims(), STRANGER.key, header={"jwk": jwk, "kid": ROOT_ID}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.sampled_from([ROOT_ID, *x5c(LEAF, MIDDLE)]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ROOT_JWK, "crv", "x", "d"]), inner),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(st.sampled_from(["alg", "typ", "kid", "jwk", "x5c", "crit", "b64"]), JSON))
def test_no_header_of_a_stranger_s_token_is_believed_or_breaks_the_registry(auth, header):
    invalid(auth, sign(claims(), STRANGER.key, header=header))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory; scripts/generate-keys makes it"),
        (b"", "holds no PEM certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds no PEM certificate"),
        (issue(private_key("secp256k1")).pem, "holds a key on a curve other than P-256, P-384 and P-521"),
        (ROOT.pem + issue(dsa.generate_private_key(1024)).pem, "holds a key that is neither RSA, EC nor Ed25519"),
    ],
    ids=["missing", "empty", "garbage", "curve", "kind"],
)
def test_a_bundle_that_cannot_be_used_stops_the_start(tmp_path, content, reason):
    path = tmp_path / "auth.cert"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_bundle(path)
    assert str(caught.value) == f"{path}: auth.token.rootcertbundle: {reason}"


def test_a_bundle_may_hold_other_things_beside_its_certificates(tmp_path):
    path = tmp_path / "auth.cert"
    path.write_bytes(b"# our keys\n" + ROOT.pem + b"\ntext\n" + EC_ROOT.pem)
    assert load_bundle(path) == [ROOT.certificate, EC_ROOT.certificate]
