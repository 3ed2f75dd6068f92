import os
import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from shared.config import ConfigError
from web_service import keygen
from web_service.keygen import Places, Wanted, generate, new_key
from web_service.keys import matches, may_sign_certificates, read_certificate, read_key

EC = Wanted(kind="ec")


@pytest.fixture
def places(tmp_path):
    return Places(tmp_path / "web", tmp_path / "registry")


def test_a_new_installation_gets_all_files(places):
    written = generate(places, Wanted("registry.example", "ec", 30), "refuse")
    assert set(written) == set(places.all())
    key, certificate = read_key(places.key), read_certificate(places.registry / "auth.cert")
    assert matches(key, certificate)
    assert may_sign_certificates(certificate)
    assert certificate.subject.rfc4514_string() == "CN=registry.example"
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 30
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_cert_sign, usage.crl_sign) == (True, True, False)
    assert certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert len({path.read_bytes() for path in places.certificates}) == 1
    assert len({path.read_bytes() for path in places.tokens}) == 1
    assert places.key.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")


def test_secrets_are_for_their_owner_only(places):
    generate(places, EC, "refuse")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in places.all()}
    assert modes == {"auth.key": 0o600, "auth.cert": 0o644, "notification.token": 0o600}


def test_ed25519_on_request(places):
    generate(places, Wanted(kind="ed25519"), "refuse")
    key, certificate = read_key(places.key), read_certificate(places.certificates[0])
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    assert matches(key, certificate)
    assert may_sign_certificates(certificate)


def test_a_new_ec_key_has_one_thumbprint_for_every_registry(monkeypatch):
    """The Go registry 3.x would compute another one for a coordinate that begins with a zero."""
    curve = ec.SECP256R1()
    keys = [ec.derive_private_key(number, curve) for number in range(1, 5000)]
    short = next(key for key in keys if key.public_key().public_numbers().x >> 248 == 0)
    offered = iter([short, keys[0]])
    monkeypatch.setattr(keygen.ec, "generate_private_key", lambda _curve: next(offered))
    assert new_key("ec") is keys[0]


def test_the_default_is_rsa_4096_and_ec_is_p256(places):
    generate(places, Wanted(), "refuse")
    key = read_key(places.key)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 4096
    generate(places, EC, "replace")
    key = read_key(places.key)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.name == "secp256r1"


@pytest.mark.parametrize("which", range(5))
def test_any_file_that_is_there_stops_it(places, which):
    path = places.all()[which]
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    with pytest.raises(ConfigError, match=str(path)):
        generate(places, EC, "refuse")
    assert [one for one in places.all() if one.exists()] == [path]
    assert path.read_text() == "mine"


def test_force_replaces_everything(places):
    generate(places, EC, "refuse")
    before = {path: path.read_bytes() for path in places.all()}
    generate(places, EC, "replace")
    assert all(path.read_bytes() != content for path, content in before.items())


@pytest.mark.parametrize("missing", [(), (1,), (2,), (1, 2), (3,), (4,), (3, 4), (1, 3)])
def test_what_is_missing_is_made_from_what_is_there(places, missing):
    generate(places, EC, "refuse")
    kept = {path: path.read_bytes() for path in places.all()}
    for index in missing:
        places.all()[index].unlink()
        del kept[places.all()[index]]
    assert len(generate(places, EC, "complete")) == len(missing)
    assert all(path.read_bytes() == content for path, content in kept.items())
    assert len({path.read_bytes() for path in places.certificates}) == 1
    assert len({path.read_bytes() for path in places.tokens}) == 1
    assert matches(read_key(places.key), read_certificate(places.certificates[0]))


def test_a_certificate_without_its_key_is_an_error(places):
    generate(places, EC, "refuse")
    places.key.unlink()
    with pytest.raises(ConfigError, match=r"its key .*auth.key is not"):
        generate(places, EC, "complete")


def test_a_certificate_of_another_key_is_an_error(places, tmp_path, keys):
    generate(places, EC, "refuse")
    (places.web / "auth.cert").write_bytes(keys.certificates[0].read_bytes())
    with pytest.raises(ConfigError, match=r"web/auth.cert: is not the certificate of the key"):
        generate(places, EC, "complete")


def test_secrets_that_differ_are_an_error(places):
    generate(places, EC, "refuse")
    places.tokens[0].write_text("other")
    with pytest.raises(ConfigError, match="the same secret"):
        generate(places, EC, "complete")


def test_one_folder_may_serve_both(tmp_path):
    places = Places(tmp_path, tmp_path)
    assert sorted(path.name for path in generate(places, EC, "refuse")) == [
        "auth.cert",
        "auth.key",
        "notification.token",
    ]
    assert generate(places, EC, "complete") == []


def test_the_files_get_the_owner_that_was_asked_for(places):
    owner = (os.getuid(), os.getgid())
    generate(places, Wanted(kind="ec", owner=owner), "refuse")
    assert {(path.stat().st_uid, path.stat().st_gid) for path in places.all()} == {owner}


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        generate(Places(tmp_path / "file" / "web", tmp_path / "registry"), EC, "refuse")


def test_nothing_is_left_behind(places):
    generate(places, EC, "refuse")
    generate(places, EC, "replace")
    assert {path for folder in (places.web, places.registry) for path in folder.iterdir()} == set(places.all())


@pytest.mark.parametrize("name", ["", "x" * 65, "名" * 22, "a\nb", "\udcff"], ids=ascii)
def test_a_name_that_no_certificate_holds_is_one_line(places, name):
    with pytest.raises(ConfigError, match=r"^--cn: [^\n]+$"):
        generate(places, Wanted(name, "ec"), "refuse")
    assert not any(path.exists() for path in places.all())


@pytest.mark.parametrize("name", ["x", "x" * 64, "名" * 21])
def test_a_name_that_fits_is_used(places, name):
    generate(places, Wanted(name, "ec"), "refuse")
    assert read_certificate(places.certificates[0]).subject.rfc4514_string() == f"CN={name}"
