"""What the tests of authorisation share: a bundle of two certificates, and what a token is answered with."""

from pathlib import Path

import pytest

from registry_service.auth import Begun, Identity, TokenAuth
from registry_service.config import Token
from registry_service.errors import RegistryError
from tests.kit.certificates import ISSUER, REALM, SERVICE, issue, private_key, write_bundle

CHALLENGE = f'Bearer realm="{REALM}",service="{SERVICE}"'
ROOT = issue(private_key())
EC_ROOT = issue(private_key("P-384"), name="second")


def token_auth(folder: Path, *issued, **more) -> TokenAuth:
    """Return the checks of a registry that trusts the certificates given, or the two above."""
    bundle = write_bundle(folder / "auth.cert", *(issued or (ROOT, EC_ROOT)))
    return TokenAuth(Token(REALM, SERVICE, ISSUER, bundle), **more)


def accepted(auth: TokenAuth, token: str) -> Identity:
    """Expect a token to be good, whatever it permits, and return whose it is."""
    return auth.authorize(f"Bearer {token}", ())


def refusal(auth: TokenAuth, header: str | None, needed=(), begun: Begun | None = None) -> RegistryError:
    """Return the error that answers a header; whatever is wrong, it is 401 UNAUTHORIZED."""
    with pytest.raises(RegistryError) as caught:
        auth.authorize(header, needed, begun)
    assert caught.value.status == 401
    assert caught.value.problems[0].code.name == "UNAUTHORIZED"
    return caught.value


def invalid(auth: TokenAuth, token: str) -> str:
    """Expect a token to be refused, and return the reason."""
    error = refusal(auth, f"Bearer {token}")
    assert error.headers == {"WWW-Authenticate": f'{CHALLENGE},error="invalid_token"'}
    return error.problems[0].message
