"""The published key set: what a registry may keep as its auth.token.jwks."""

import asyncio
import dataclasses
import json

import pytest

from registry_service.auth import TokenAuth
from registry_service.config import Token
from shared.tokens import jwk_thumbprint, libtrust_key_id
from tests.kit.certificates import REALM
from web_service.keys import KeyPair, read_key
from web_service.tokens import TokenIssuer


@pytest.fixture
def naming(config):
    """Return a function that changes tokens.keyid."""
    return lambda keyid: dataclasses.replace(config, tokens=dataclasses.replace(config.tokens, keyid=keyid))


async def published(start, config):
    console = await start(config)
    return await (await console.visitor()).get("/api/auth/jwks")


@pytest.mark.parametrize(("keyid", "named"), [("libtrust", libtrust_key_id), ("rfc7638", jwk_thumbprint)])
async def test_a_registry_that_keeps_the_document_trusts_the_key_alone(start, naming, keys, tmp_path, keyid, named):
    config = naming(keyid)
    answer = await published(start, config)
    assert (answer.status, answer.content_type) == (200, "application/jwk-set+json")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    text = await answer.text()
    key = await asyncio.to_thread(read_key, keys.key)
    (document,) = json.loads(text)["keys"]
    assert (document["kid"], document["use"]) == (named(key.public_key()), "sig")
    path = tmp_path / "auth.jwks"
    await asyncio.to_thread(path.write_text, text)
    auth = await asyncio.to_thread(TokenAuth, Token(REALM, "registry:5000", "test", None, path))
    issuer = TokenIssuer(KeyPair(key, None), issuer="test", audience="registry:5000", lifetime=600, naming=keyid)
    issued = await issuer.issue("dev", ())
    assert auth.authorize(f"Bearer {issued.token}", ()).subject == "dev"


async def test_nothing_private_is_in_it(start, config):
    (document,) = (await (await published(start, config)).json())["keys"]
    assert sorted(document) == ["alg", "crv", "kid", "kty", "use", "x", "y"]


async def test_without_tokens_there_is_no_key(start, with_registry):
    answer = await published(start, with_registry(auth={"enabled": False}))
    assert answer.status == 404
    assert "issues no tokens" in (await answer.json())["errors"][0]["message"]
