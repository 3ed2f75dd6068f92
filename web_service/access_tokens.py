"""Access tokens: what machines, and people who do not like to type their password, sign in with.

A token belongs to a user or a robot and never allows more than its owner may, and of that only what its limits leave.
Its secret is shown once. A token may also use the REST API, to read or to change; one that may change has no limits,
for who may change the rules is not held by them.
"""

import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final

from web_service.accounts import User, load_user
from web_service.actors import Actor
from web_service.administrators import change
from web_service.audit import record
from web_service.cache import Cache
from web_service.db import Database
from web_service.errors import N_, Conflict, Invalid, NotFound, Refused
from web_service.limits import Limits, check_limits, from_text, to_text
from web_service.models import AccessTokenRow, UserRow
from web_service.opaque import HINT, Kind, hash_secret, new_secret
from web_service.roles import RuleDraft
from web_service.unchanged import Unchanged
from web_service.users import add_robot, user_row

DAY: Final = 24 * 3600
LONGEST_DAYS: Final = 3650
MOST_TOKENS: Final = 200
"""Of one owner."""
_NAME = re.compile(r"\w[\w .@+-]{0,63}")
_USED_SECONDS: Final = 60
"""How exactly the last use is known: nobody needs a write for each of fifty layers."""
_MOST_NOTED: Final = 4096


class Api(StrEnum):
    """What a token may do with the REST API."""

    NONE = "none"
    READ = "read"
    WRITE = "write"

    @property
    def rank(self) -> int:
        """How much it is."""
        return list(Api).index(self)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token without its secret; times are epoch seconds, 0 for never. `hint` is how its secret begins."""

    id: int
    owner: str
    owner_id: int
    name: str
    hint: str
    limits: Limits
    api: Api
    created: int
    expires: int
    last_used: int
    last_address: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A token as it was asked for; `days` until it expires, 0 for never."""

    name: str
    days: int
    limits: Limits = ()
    api: Api = Api.NONE


@dataclass(frozen=True, slots=True)
class Found:
    """Whom a secret belongs to."""

    user: User
    token: AccessToken


class AccessTokens:
    """Makes, finds and revokes tokens; every change is recorded in the audit trail."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._found = Unchanged[Found](database)
        self._noted = Cache[tuple[int, str]](_MOST_NOTED)

    async def of_user(self, user_id: int) -> list[AccessToken]:
        """Return the tokens of one owner, by name."""
        return await self._database.read(_of_user, user_id)

    async def all(self) -> list[AccessToken]:
        """Return every token, by owner and name."""
        return await self._database.read(_all)

    async def create(
        self, user_id: int, draft: Draft, *, by: Actor, minted_with: AccessToken | None = None
    ) -> tuple[AccessToken, str]:
        """Make a token and return it with its secret; raises Invalid or Conflict.

        `minted_with` is the token that asks for it: raises Refused when the new one would be stronger in anything.
        """
        return await change(self._database, by, _create, user_id, draft, by, minted_with, int(self._clock()))

    async def create_robot(
        self,
        name: str,
        rules: Collection[RuleDraft],
        draft: Draft,
        *,
        by: Actor,
        minted_with: AccessToken | None = None,
    ) -> tuple[User, AccessToken, str]:
        """Make a robot and its first token as one change; raises what making either raises."""
        now = int(self._clock())
        made = change(self._database, by, _create_robot, name, rules, draft, by=by, minted_with=minted_with, now=now)
        return await made

    async def revoke(self, user_id: int, token_id: int, *, by: Actor) -> AccessToken:
        """End a token of an owner at once; raises NotFound."""
        return await change(self._database, by, _revoke, user_id, token_id, by)

    async def find(self, secret: str, address: str) -> Found | None:
        """Return whose secret it is, also when the account is closed, and note the use; None for no valid token."""
        now, secret_hash = int(self._clock()), hash_secret(secret)
        found = await self._found.get(secret_hash, partial(_find, secret_hash))
        if found is None or 0 < found.token.expires <= now:
            return None
        if found.user.enabled and self._is_news(found.token, now, address):
            await self._database.write(_note_use, found.token.id, now, address)
            self._noted.put(found.token.id, (now, address))
        return found

    def _is_news(self, token: AccessToken, now: int, address: str) -> bool:
        """Return whether a use is to be noted: what this process noted last is newer than the token as it was read."""
        noted = self._noted.get(token.id)
        last_used, last_address = noted or (token.last_used, token.last_address)
        return now - last_used >= _USED_SECONDS or last_address != address


def _token(row: AccessTokenRow, owner: str) -> AccessToken:
    return AccessToken(
        row.id,
        owner,
        row.user_id,
        row.name,
        row.hint,
        from_text(row.limits),
        Api(row.api),
        row.created,
        row.expires,
        row.last_used,
        row.last_address,
    )


def _of_user(user_id: int) -> list[AccessToken]:
    owner = user_row(user_id).name
    rows = AccessTokenRow.select().where(AccessTokenRow.user == user_id).order_by(AccessTokenRow.name)
    return [_token(row, owner) for row in rows]


def _all() -> list[AccessToken]:
    rows = AccessTokenRow.select(AccessTokenRow, UserRow).join(UserRow).order_by(UserRow.name, AccessTokenRow.name)
    return [_token(row, row.user.name) for row in rows]


def _create(
    user_id: int, draft: Draft, by: Actor, minted_with: AccessToken | None, now: int
) -> tuple[AccessToken, str]:
    user = user_row(user_id)
    expires = _checked(draft, now)
    if minted_with is not None:
        if not AccessTokenRow.select().where(AccessTokenRow.id == minted_with.id).exists():
            raise Refused(N_("The access token was revoked in the meantime; nothing was changed."))
        _check_no_stronger(draft, expires, minted_with, now)
    held = AccessTokenRow.select().where(AccessTokenRow.user == user_id)
    if held.where(AccessTokenRow.name == draft.name).exists():
        raise Conflict(N_("There is already a token named %(name)s."), name=draft.name)
    if held.count() >= MOST_TOKENS:
        raise Conflict(N_("An account has at most %(most)d tokens; revoke one first."), most=MOST_TOKENS)
    secret = new_secret(Kind.ROBOT if user.robot else Kind.PERSONAL)
    row = AccessTokenRow.create(
        user=user,
        name=draft.name,
        secret_hash=hash_secret(secret),
        hint=secret[:HINT],
        limits=to_text(check_limits(draft.limits)),
        api=draft.api.value,
        created=now,
        expires=expires,
    )
    new = {"name": draft.name, "limits": [str(one) for one in draft.limits], "api": draft.api.value, "expires": expires}
    made_with = {"made_with": minted_with.name} if minted_with else {}
    record(by, "token.create", user.name, new=new | made_with)
    return _token(row, user.name), secret


def _create_robot(
    name: str, rules: Collection[RuleDraft], draft: Draft, *, by: Actor, minted_with: AccessToken | None, now: int
) -> tuple[User, AccessToken, str]:
    robot = add_robot(name, rules, by)
    return (robot, *_create(robot.id, draft, by, minted_with, now))


def _checked(draft: Draft, now: int) -> int:
    """See that a draft can be used, and return when it expires; raises Invalid."""
    if not _NAME.fullmatch(draft.name):
        raise Invalid(N_("A token name has up to 64 letters, digits, spaces or . _ - @ + and starts with a letter."))
    if not 0 <= draft.days <= LONGEST_DAYS:
        raise Invalid(N_("A token lives for 1 to %(most)d days, or 0 for ever."), most=LONGEST_DAYS)
    if draft.limits and draft.api is Api.WRITE:
        raise Invalid(N_("A token that may change things by the API cannot be limited to repositories."))
    return now + draft.days * DAY if draft.days else 0


def _check_no_stronger(draft: Draft, expires: int, minter: AccessToken, now: int) -> None:
    """See that a token made with another allows no more, and lives no longer; raises Refused."""
    if draft.api.rank > minter.api.rank or (minter.limits and (draft.limits != minter.limits)):
        raise Refused(N_("A token cannot make one that may more than itself."))
    if not minter.expires or 0 < expires <= minter.expires:
        return
    days = (minter.expires - now) // DAY
    if days < 1:
        raise Refused(N_("A token cannot make one that lives longer than itself, and this one ends within a day."))
    text = N_(
        "A token cannot make one that lives longer than itself: ask for no more than the %(days)d days it has left."
    )
    raise Refused(text, days=days)


def _revoke(user_id: int, token_id: int, by: Actor) -> AccessToken:
    held = (AccessTokenRow.id == token_id) & (AccessTokenRow.user == user_id)
    row: AccessTokenRow | None = AccessTokenRow.get_or_none(held)
    if row is None:
        raise NotFound(N_("There is no such token."))
    token = _token(row, user_row(user_id).name)
    row.delete_instance()
    record(by, "token.revoke", token.owner, old={"name": token.name, "hint": token.hint})
    return token


def _find(secret_hash: str) -> Found | None:
    row: AccessTokenRow | None = AccessTokenRow.get_or_none(AccessTokenRow.secret_hash == secret_hash)
    if row is None:
        return None
    user = load_user(user_row(row.user_id))
    return Found(user, _token(row, user.name))


def _note_use(token_id: int, now: int, address: str) -> None:
    AccessTokenRow.update(last_used=now, last_address=address[:64]).where(AccessTokenRow.id == token_id).execute()
