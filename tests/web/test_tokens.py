import base64
import json
import time
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509.oid import NameOID

from shared.tokens import Claims, Scope, jwk_thumbprint, libtrust_key_id
from web_service.keygen import self_signed
from web_service.keys import KeyPair
from web_service.tokens import TokenIssuer

PULL = (Scope("repository", "team/app", ("pull",)),)


@pytest.fixture
def key():
    return ec.generate_private_key(ec.SECP256R1())


def issuer(key, certificate, clock=time.time, naming="libtrust"):
    pair = KeyPair(key, certificate)
    return TokenIssuer(pair, issuer="test", audience="registry:5000", lifetime=600, naming=naming, clock=clock)


def parts(token):
    return [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split(".")]


def chain(token):
    header = json.loads(parts(token)[0])
    return [x509.load_der_x509_certificate(base64.b64decode(der)) for der in header["x5c"]]


async def test_the_claims_say_who_may_do_what_until_when(key):
    before = int(time.time())
    issued = await issuer(key, self_signed(key, "ca", 30)).issue("dev", PULL, "10.0.0.9")
    payload = json.loads(parts(issued.token)[1])
    assert payload == {
        "iss": "test",
        "aud": "registry:5000",
        "sub": "dev",
        "nbf": issued.issued_at - 60,
        "iat": issued.issued_at,
        "exp": issued.issued_at + 600,
        "jti": issued.token_id,
        "access": [{"type": "repository", "name": "team/app", "actions": ["pull"]}],
        "client_addr": "10.0.0.9",
    }
    assert before <= issued.issued_at <= time.time()
    assert issued.expires_in == 600
    assert Claims.from_json(payload).client_address == "10.0.0.9"


@pytest.mark.parametrize("with_certificate", [True, False])
async def test_every_token_has_its_own_id(key, with_certificate):
    issuing = issuer(key, self_signed(key, "ca", 30) if with_certificate else None)
    issued = [await issuing.issue("dev", PULL) for _ in range(500)]
    ids = {one.token_id for one in issued}
    assert len(ids) == len({one.token for one in issued}) == 500
    assert ids == {json.loads(parts(one.token)[1])["jti"] for one in issued}


async def test_the_times_of_a_token_are_its_own_whatever_else_is_the_same(key):
    now = [1_000_000_000.9]
    issuing = issuer(key, None, lambda: now[0])
    for moment in (1_000_000_000.9, 1_000_000_001.0, 1_000_003_600.5):
        now[0] = moment
        issued = await issuing.issue("dev", PULL)
        claims = json.loads(parts(issued.token)[1])
        assert (claims["nbf"], claims["iat"], claims["exp"]) == (int(moment) - 60, int(moment), int(moment) + 600)
        assert issued.issued_at == int(moment)


ODD = 'dëv "\\ \n\u2028 人,}'
DIFFERENT = [
    {"subject": "dev", "access": PULL},
    {"subject": "other", "access": PULL},
    {"subject": ODD, "access": (Scope("repository", ODD, (ODD,)),)},
    {"subject": "dev", "access": ()},
    {"subject": "dev", "access": (*PULL, Scope("registry", "catalog", ("*",)))},
    {"subject": "dev", "access": (Scope("registry", "catalog", ("*",)), *PULL)},
    {"subject": "dev", "access": (Scope("repository", "team/app", ("pull", "push")),)},
    {"subject": "dev", "access": (Scope("repository", "team/app", ("push", "pull")),)},
    {"subject": "dev", "access": PULL, "client_address": "10.0.0.1"},
    {"subject": "dev", "access": PULL, "readable": ("a", "b")},
    {"subject": "dev", "access": PULL, "readable": ("b", "a")},
    {"subject": "dev", "access": PULL, "unreadable": ("a", "b")},
    {"subject": "dev", "access": PULL, "readable": ("x" * 5000,), "unreadable": ("a",)},
    {"subject": "dev", "access": PULL, "limited": True},
]


async def test_what_is_remembered_of_one_token_gets_into_no_other(key):
    issuing = issuer(key, self_signed(key, "ca", 30))
    for said in DIFFERENT * 2 + DIFFERENT[::-1]:
        payload = json.loads(parts((await issuing.issue(**said)).token)[1])
        claims = Claims.from_json(payload)
        for name in ("readable", "unreadable"):
            assert getattr(claims, name) == said.get(name, ())
        assert (claims.subject, claims.access) == (said["subject"], said["access"])
        assert (claims.client_address, claims.limited) == (said.get("client_address", ""), said.get("limited", False))
        assert set(payload) == set(claims.to_json())


async def test_a_leaf_signs_and_its_chain_leads_to_the_certificate(key):
    certificate = self_signed(key, "ca", 30)
    issued = await issuer(key, certificate).issue("dev", PULL)
    header, _, signature = parts(issued.token)
    leaf, root = chain(issued.token)
    assert json.loads(header)["alg"] == "ES256"
    assert root == certificate
    leaf.verify_directly_issued_by(certificate)
    assert leaf.issuer == certificate.subject
    assert leaf.subject != certificate.subject
    assert leaf.not_valid_after_utc - datetime.now(UTC) < timedelta(hours=25)
    point = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    signed = issued.token.rpartition(".")[0].encode()
    leaf.public_key().verify(point, signed, ec.ECDSA(hashes.SHA256()))


async def test_an_rsa_authority_signs_leaves_as_well():
    key = rsa.generate_private_key(65537, 2048)
    certificate = self_signed(key, "ca", 30)
    issued = await issuer(key, certificate).issue("dev", PULL)
    leaf, _ = chain(issued.token)
    leaf.verify_directly_issued_by(certificate)
    assert jwt.decode(issued.token, leaf.public_key(), ["ES256"], audience="registry:5000")["sub"] == "dev"


async def test_the_token_key_is_replaced_long_before_it_expires(key):
    now = [time.time()]
    issuing = issuer(key, self_signed(key, "ca", 30), lambda: now[0])
    first = await issuing.issue("dev", PULL)
    now[0] += 11 * 3600
    second = await issuing.issue("dev", PULL)
    now[0] += 2 * 3600
    third = await issuing.issue("dev", PULL)
    assert chain(first.token)[0] == chain(second.token)[0]
    assert chain(third.token)[0] != chain(second.token)[0]
    for issued in (first, second, third):  # each by the key that its own header names
        proven = jwt.PyJWS().decode(issued.token, chain(issued.token)[0].public_key(), ["ES256"])
        assert json.loads(proven)["jti"] == issued.token_id
    last_use = datetime.fromtimestamp(now[0], UTC)
    assert chain(second.token)[0].not_valid_after_utc > last_use + timedelta(hours=1)


async def test_the_key_alone_signs_with_its_libtrust_id(key):
    issued = await issuer(key, None).issue("dev", PULL)
    assert json.loads(parts(issued.token)[0]) == {
        "alg": "ES256",
        "typ": "JWT",
        "kid": libtrust_key_id(key.public_key()),
    }
    assert jwt.decode(issued.token, key.public_key(), ["ES256"], audience="registry:5000")["sub"] == "dev"


KINDS = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


@pytest.mark.parametrize("algorithm", KINDS)
@pytest.mark.parametrize(("naming", "named"), [("libtrust", libtrust_key_id), ("rfc7638", jwk_thumbprint)])
async def test_the_key_set_is_what_proves_the_tokens_of_the_key_alone(algorithm, naming, named):
    key = KINDS[algorithm]()
    issuing = issuer(key, None, naming=naming)
    (document,) = issuing.jwks()["keys"]
    assert (document["kid"], document["alg"], document["use"]) == (named(key.public_key()), algorithm, "sig")
    assert not {"d", "p", "q", "k"} & document.keys()
    issued = await issuing.issue("dev", PULL)
    header = json.loads(parts(issued.token)[0])
    assert header == {"alg": algorithm, "typ": "JWT", "kid": document["kid"]}
    assert jwt.decode(issued.token, jwt.PyJWK(document), [algorithm], audience="registry:5000")["sub"] == "dev"


async def test_an_ed25519_authority_signs_leaves_of_p256():
    key = ed25519.Ed25519PrivateKey.generate()
    certificate = self_signed(key, "ca", 30)
    issued = await issuer(key, certificate).issue("dev", PULL)
    leaf, root = chain(issued.token)
    leaf.verify_directly_issued_by(root)
    assert root == certificate
    assert jwt.decode(issued.token, leaf.public_key(), ["ES256"], audience="registry:5000")["sub"] == "dev"


async def test_an_rsa_key_alone_signs_rs256():
    key = rsa.generate_private_key(65537, 2048)
    issued = await issuer(key, None).issue("dev", PULL)
    assert jwt.decode(issued.token, key.public_key(), ["RS256"], audience="registry:5000")["iss"] == "test"


async def test_a_certificate_that_may_not_sign_others_is_sent_itself(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "plain")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, now, now + timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    issued = await issuer(key, certificate).issue("dev", PULL)
    assert chain(issued.token) == [certificate]
    assert jwt.decode(issued.token, key.public_key(), ["ES256"], audience="registry:5000")["sub"] == "dev"


async def test_an_expired_certificate_is_left_out(key):
    certificate = self_signed(key, "ca", 1)
    later = time.time() + 2 * 86400
    issued = await issuer(key, certificate, lambda: later).issue("dev", PULL)
    assert "x5c" not in json.loads(parts(issued.token)[0])


async def test_a_certificate_that_expires_while_we_run_is_left_out_from_then_on(key):
    now = [time.time()]
    issuing = issuer(key, self_signed(key, "ca", 1), lambda: now[0])
    assert chain((await issuing.issue("dev", PULL)).token)
    now[0] += 86400
    assert "kid" in json.loads(parts((await issuing.issue("dev", PULL)).token)[0])


def test_the_key_id_is_what_an_administrator_can_compare(key):
    assert issuer(key, self_signed(key, "ca", 1)).key_id == libtrust_key_id(key.public_key())
