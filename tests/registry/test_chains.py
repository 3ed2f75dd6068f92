"""What the certificates of a chain must say of themselves, and which of two authorities of one name is taken."""

from datetime import UTC, datetime, timedelta

import pytest

from registry_service.chains import TokenRefused, leaf_key
from tests.kit.certificates import issue, private_key, x5c

DAY = timedelta(days=1)
LEAF_KEY = private_key("P-256", "leaf")
CERTIFICATES = "key_cert_sign crl_sign"


def authority(name, *, issuer=None, **more):
    return issue(private_key("P-256", name), issuer=issuer, name=name, **more)


def leaf(issuer, **more):
    return issue(LEAF_KEY, issuer=issuer, name="token key", **{"ca": False, **more})


def key_of(chain, *roots):
    return leaf_key(x5c(*chain), [one.certificate for one in roots], datetime.now(UTC))


ROOT = authority("root")
FLAT = authority("flat", path_length=0)
ONE_BELOW = authority("one below", path_length=1)
UNDER_FLAT = authority("under flat", issuer=FLAT)
UNDER_ONE = authority("under one", issuer=ONE_BELOW)
DEEP = authority("deep", issuer=UNDER_ONE)
FLAT_MIDDLE = authority("flat middle", issuer=ROOT, path_length=0)
UNDER_FLAT_MIDDLE = authority("under flat middle", issuer=FLAT_MIDDLE)
SIGNING = authority("signing", usage=CERTIFICATES)
NOT_SIGNING = authority("not signing", usage="digital_signature crl_sign")
NOT_SIGNING_MIDDLE = authority("not signing middle", issuer=ROOT, usage="digital_signature")


@pytest.mark.parametrize(
    ("chain", "root"),
    [
        ([leaf(FLAT)], FLAT),
        ([leaf(FLAT_MIDDLE), FLAT_MIDDLE], ROOT),
        ([leaf(UNDER_ONE), UNDER_ONE], ONE_BELOW),
        ([leaf(SIGNING)], SIGNING),
        ([leaf(ROOT, usage="digital_signature")], ROOT),
        ([leaf(ROOT, usage="digital_signature key_encipherment")], ROOT),
        ([leaf(ROOT, ca=True)], ROOT),
    ],
    ids=["path 0", "path 0 in the middle", "path 1", "keyCertSign", "digitalSignature", "and more", "leaf is a CA"],
)
def test_a_chain_within_its_constraints(chain, root):
    assert key_of(chain, root) == LEAF_KEY.public_key()


@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-384", "P-521", "Ed25519"])
def test_an_authority_of_every_kind_vouches_for_a_leaf_of_p256(kind):
    root = issue(private_key(kind, "authority"), name="authority", usage=CERTIFICATES)
    assert key_of([leaf(root, usage="digital_signature"), root], root) == LEAF_KEY.public_key()


@pytest.mark.parametrize(
    ("chain", "root", "reason"),
    [
        ([leaf(UNDER_FLAT), UNDER_FLAT], FLAT, "allows no authorities below it"),
        ([leaf(DEEP), DEEP, UNDER_ONE], ONE_BELOW, "allows no authorities below it"),
        ([leaf(UNDER_FLAT_MIDDLE), UNDER_FLAT_MIDDLE, FLAT_MIDDLE], ROOT, "allows no authorities below it"),
        ([leaf(NOT_SIGNING)], NOT_SIGNING, "lacks keyCertSign"),
        ([leaf(NOT_SIGNING_MIDDLE), NOT_SIGNING_MIDDLE], ROOT, "lacks keyCertSign"),
        ([leaf(ROOT, usage="key_encipherment")], ROOT, "lacks digitalSignature"),
        ([leaf(ROOT, usage=CERTIFICATES, ca=True)], ROOT, "lacks digitalSignature"),
        ([leaf(authority("no ca", issuer=ROOT, ca=False)), authority("no ca", issuer=ROOT, ca=False)], ROOT, "no cert"),
    ],
    ids=[
        "path 0", "path 1", "path 0 in the middle", "root without keyCertSign", "middle without keyCertSign",
        "leaf without digitalSignature", "CA as a leaf", "issuer is no CA",
    ],
)  # fmt: skip
def test_a_chain_beyond_its_constraints(chain, root, reason):
    with pytest.raises(TokenRefused, match=reason):
        key_of(chain, root)


@pytest.mark.parametrize("root", [SIGNING, NOT_SIGNING, ROOT, authority("plain", ca=None)], ids=lambda one: "")
def test_a_root_that_signs_tokens_itself_is_trusted_whatever_it_is_for(root):
    """As in the Go registry: the usual certificate of a token server is that of an authority, and signs tokens too."""
    assert key_of([root], root) == root.key.public_key()


@pytest.mark.parametrize("order", [1, -1])
def test_a_renewed_authority_counts_beside_the_expired_one(order):
    old, new = authority("renewed", begins=-2 * DAY, ends=-DAY), authority("renewed")
    assert key_of([leaf(new)], *[old, new][::order]) == LEAF_KEY.public_key()
    with pytest.raises(TokenRefused, match="not valid at this time"):
        key_of([leaf(old)], old)
