from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from shared.config import ConfigError
from shared.tokens import jwk_thumbprint, libtrust_key_id
from web_service.keys import key_id, may_sign_certificates, read_certificate, read_key, read_pair

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])


def certificate(key, *extensions, issuer=NAME, end=timedelta(days=1)):
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(issuer, NAME, key.public_key(), 1, now - timedelta(days=2), now + end)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key, hashes.SHA256())


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_unencrypted_pem_keys_of_either_form_are_read(tmp_path, form):
    key = ec.generate_private_key(ec.SECP384R1())
    path = tmp_path / "auth.key"
    path.write_bytes(key.private_bytes(Encoding.PEM, form, NoEncryption()))
    assert read_key(path).private_numbers() == key.private_numbers()


def test_an_ed25519_key_is_read(tmp_path):
    path = tmp_path / "auth.key"
    key = ed25519.Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert read_pair(path, None).key.private_bytes_raw() == key.private_bytes_raw()


def _encrypted():
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


def _dsa():
    key = dsa.generate_private_key(1024)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _short():
    key = rsa.generate_private_key(65537, 1024)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda: None, "there is no such file"),
        (lambda: b"not a key", "no private key in PEM form"),
        (lambda: b"", "no private key in PEM form"),
        (_encrypted, "the key is encrypted"),
        (_dsa, "must be RSA, EC"),
        (_short, "an RSA key of 1024 bits can be broken, it needs at least 2048; make a new pair"),
    ],
)
def test_an_unusable_key_is_one_line_that_names_file_and_key(tmp_path, content, reason):
    path = tmp_path / "auth.key"
    if (held := content()) is not None:
        path.write_bytes(held)
    with pytest.raises(ConfigError, match=reason) as caught:
        read_key(path)
    assert str(caught.value).startswith(f"{path}: registry.auth.key: ")


def test_a_key_that_is_a_folder_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="Is a directory"):
        read_key(tmp_path)


def test_an_unusable_certificate_is_one_line(tmp_path):
    path = tmp_path / "auth.cert"
    path.write_text("nothing")
    with pytest.raises(ConfigError, match=r"registry.auth.certificate: holds no certificate"):
        read_certificate(path)


@pytest.mark.parametrize("kind", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), 2048], ids=str)
def test_every_kind_of_key_that_signs_tokens_is_read(tmp_path, kind):
    key = rsa.generate_private_key(65537, kind) if isinstance(kind, int) else ec.generate_private_key(kind)
    path = tmp_path / "auth.key"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert read_key(path).private_numbers() == key.private_numbers()


def test_a_key_is_named_as_the_registry_knows_it():
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    assert key_id(public, "libtrust") == libtrust_key_id(public)
    assert key_id(public, "rfc7638") == jwk_thumbprint(public)


def test_a_certificate_of_another_key_is_refused(tmp_path, keys):
    other = certificate(ec.generate_private_key(ec.SECP256R1()))
    path = tmp_path / "auth.cert"
    path.write_bytes(other.public_bytes(Encoding.PEM))
    with pytest.raises(ConfigError, match="is not the certificate of the key"):
        read_pair(keys.key, path)


def test_an_expired_certificate_is_not_used(keys):
    pair = read_pair(keys.key, keys.certificates[0])
    end = pair.certificate.not_valid_after_utc
    assert pair.usable_certificate(end - timedelta(seconds=1)) is pair.certificate
    assert pair.usable_certificate(end) is None


def test_only_a_ca_that_may_sign_certificates_does(keys):
    key = ec.generate_private_key(ec.SECP256R1())
    ca = x509.BasicConstraints(ca=True, path_length=None)
    no_signing = x509.KeyUsage(True, *[False] * 8)
    signing = x509.KeyUsage(True, *[False] * 4, True, *[False] * 3)
    foreign = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "other")])
    assert may_sign_certificates(certificate(key, ca))
    assert may_sign_certificates(certificate(key, ca, signing))
    assert not may_sign_certificates(certificate(key, ca, no_signing))
    assert not may_sign_certificates(certificate(key, x509.BasicConstraints(ca=False, path_length=None)))
    assert not may_sign_certificates(certificate(key))
    assert not may_sign_certificates(certificate(key, ca, issuer=foreign))
