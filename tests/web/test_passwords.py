import pytest

from web_service.errors import Invalid
from web_service.passwords import _HASHER, check_new_password, hash_password, verify_password


def test_a_hash_fits_its_password_only():
    stored = hash_password("pä:ss 密码")
    assert stored.startswith("$argon2id$")
    assert verify_password(stored, "pä:ss 密码")
    assert not verify_password(stored, "pä:ss 密")
    assert stored != hash_password("pä:ss 密码")


def test_a_hash_costs_a_guesser_what_it_should():
    stored = _HASHER.hash("x")  # as it was imported, before the tests make hashes cheap
    assert "$m=19456,t=2,p=1$" in stored


@pytest.mark.parametrize("stored", ["", "plain", "$argon2id$broken"])
def test_what_is_no_hash_fits_nothing(stored):
    assert not verify_password(stored, "x")


@pytest.mark.parametrize("password", ["", "seven77", "x" * 1025, "Administrator"])
def test_unusable_passwords(password):
    with pytest.raises(Invalid):
        check_new_password("administrator", password)


def test_usable_passwords():
    check_new_password("administrator", "eight888")
