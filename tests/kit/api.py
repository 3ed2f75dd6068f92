"""A program that calls the REST API of a console under test."""

from typing import Any

from aiohttp import encode_basic_auth
from aiohttp.test_utils import TestClient

from tests.kit.actors import ADMIN
from web_service.access_tokens import Api, Draft
from web_service.limits import Limit

PREFIX = "/api/v1"


class Program:
    """Calls with the credentials it was given; `answer` is the last one, `text` its body."""

    def __init__(self, client: TestClient, authorization: str = "") -> None:
        self.client = client
        self.headers = {"Authorization": authorization} if authorization else {}
        self.answer: Any = None

    async def call(self, method: str, path: str, document: Any = None, *, headers: Any = None, **keys: Any) -> Any:
        """Return status and document; None for an empty body."""
        if document is not None:
            keys["json"] = document
        sent = {**self.headers, **(headers or {})}
        self.answer = await self.client.request(method, PREFIX + path, headers=sent, allow_redirects=False, **keys)
        text = await self.answer.text()
        return self.answer.status, (await self.answer.json() if text else None)

    async def done(self, method: str, path: str, document: Any = None, **keys: Any) -> Any:
        """Return the document of a call that succeeds."""
        status, found = await self.call(method, path, document, **keys)
        assert status < 300, (method, path, status, found)
        return found


def basic(name: str, secret: str) -> str:
    """Return an Authorization header."""
    return encode_basic_auth(name, secret, encoding="utf-8")


async def program(console: Any, name: str = "admin", secret: str = "admin") -> Program:
    """Return a program that signs in with a password; without a name one that does not."""
    return Program(await console.new_client(console.server), basic(name, secret) if name else "")


async def program_with(console: Any, secret: str) -> Program:
    """Return a program that signs in with an access token."""
    return Program(await console.new_client(console.server), f"Bearer {secret}")


async def token_of(console: Any, name: str, api: str = "none", *limits: str, days: int = 2, label: str = "") -> Any:
    """Make an access token of an account and return it with its secret."""
    user = await console.parts.users.named(name)
    draft = Draft(label or f"{api} {len(limits)}", days, tuple(Limit.parse(one) for one in limits), Api(api))
    return await console.parts.access_tokens.create(user.id, draft, by=ADMIN)
