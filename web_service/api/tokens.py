"""Access tokens and refresh tokens: one's own, and for administrators those of all accounts."""

from collections.abc import Awaitable, Callable

from web_service import documents
from web_service.access_tokens import Draft
from web_service.accounts import User
from web_service.api.finding import robot_of, user_of
from web_service.api.operations import Call
from web_service.inputs import NewAccessToken
from web_service.limits import Limit

_Owner = Callable[[Call], Awaitable[User]]


def draft_of(given: NewAccessToken) -> Draft:
    """Return a token as the domain takes it; raises Invalid."""
    return Draft(given.name, given.days, tuple(Limit.parse(text) for text in given.limits), given.api)


async def show_all_tokens(call: Call) -> documents.AccessTokens:
    """List the access tokens of all accounts."""
    return call.listing(documents.AccessTokens, await call.parts.access_tokens.all(), documents.access_token)


class TokensOf:
    """The operations on the tokens of an account, which `owner` finds."""

    def __init__(self, owner: _Owner) -> None:
        self._owner = owner

    async def show(self, call: Call) -> documents.AccessTokens:
        """List access tokens."""
        found = await call.parts.access_tokens.of_user((await self._owner(call)).id)
        return call.listing(documents.AccessTokens, found, documents.access_token)

    async def create(self, call: Call) -> documents.NewToken:
        """Make an access token; one made with another may do no more than that one."""
        owner, draft = await self._owner(call), draft_of(call.given(NewAccessToken))
        token, secret = await call.parts.access_tokens.create(
            owner.id, draft, by=call.actor, minted_with=call.login.token
        )
        return documents.new_token(token, secret)

    async def revoke(self, call: Call) -> None:
        """Revoke an access token."""
        await call.parts.access_tokens.revoke((await self._owner(call)).id, call.number(), by=call.actor)

    async def show_refresh(self, call: Call) -> documents.RefreshTokens:
        """List refresh tokens."""
        found = await call.parts.refresh_tokens.of_user((await self._owner(call)).id)
        return call.listing(documents.RefreshTokens, found, documents.refresh_token)

    async def revoke_refresh(self, call: Call) -> None:
        """Revoke a refresh token."""
        await call.parts.refresh_tokens.revoke((await self._owner(call)).id, call.number(), by=call.actor)


async def _own(call: Call) -> User:
    return call.login.user


OWN = TokensOf(_own)
OF_USER = TokensOf(user_of)
OF_ROBOT = TokensOf(robot_of)
