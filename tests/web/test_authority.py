import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from shared.tokens import Scope
from web_service.authority import Caller, FixedAuthority, TokenAuthority
from web_service.keys import KeyPair
from web_service.tokens import TokenIssuer

PULL = Scope("repository", "team/app", ("pull",))


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def authority(clock):
    pair = KeyPair(ec.generate_private_key(ec.SECP256R1()), None)
    issuer = TokenIssuer(pair, issuer="test", audience="registry", lifetime=600)
    return TokenAuthority(issuer, lambda: clock[0])


async def test_our_own_tokens_are_used_for_half_of_their_life(authority, clock):
    first = await authority.headers(PULL, Caller())
    clock[0] = 299
    assert await authority.headers(PULL, Caller()) == first
    clock[0] = 300
    assert await authority.headers(PULL, Caller()) != first


async def test_tokens_for_people_are_made_for_one_call(authority):
    caller = Caller("dev", "10.0.0.1")
    assert await authority.headers(PULL, caller) != await authority.headers(PULL, caller)


async def test_another_scope_is_another_token(authority):
    assert await authority.headers(PULL, Caller()) != await authority.headers(None, Caller())


async def test_without_credentials_there_is_no_header():
    assert await FixedAuthority("").headers(PULL, Caller()) == {}
