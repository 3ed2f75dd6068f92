"""The form that makes an access token, and what the pages of accounts show of tokens and of clients."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from web_service import limits
from web_service.access_tokens import LONGEST_DAYS, Api, Draft
from web_service.errors import N_, Invalid
from web_service.limits import Limit, Limits
from web_service.views.routing import PARTS

DAYS: Final = (30, 90, 365, 0)
"""For how many days a token may be made; 0 is for ever."""
DEFAULT_DAYS: Final = "90"


@dataclass(frozen=True, slots=True)
class TokenForm:
    """A token as it was typed in: one limit a line, none for no limits."""

    name: str = ""
    days: str = DEFAULT_DAYS
    limits: str = ""
    api: str = Api.NONE.value

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> "TokenForm":
        """Return what the fields of a form say."""
        return cls(fields.get("name", "").strip(), *(fields.get(key, "") for key in ("days", "limits", "api")))

    def draft(self) -> Draft:
        """Return the token that is asked for; raises Invalid."""
        try:
            api = Api(self.api)
        except ValueError:
            raise Invalid(N_("Choose what the token may do with the API.")) from None
        return Draft(self.name, read_days(self.days), _limits(self.limits), api)


def read_days(text: str) -> int:
    """Return for how many days a token is wanted; raises Invalid."""
    if not text.isdecimal() or len(text) > len(str(LONGEST_DAYS)) or int(text) > LONGEST_DAYS:
        raise Invalid(N_("Choose how long the token is valid."))
    return int(text)


def lines(text: str) -> list[str]:
    """Return the lines of a text that are not empty."""
    return [line.strip() for line in text.splitlines() if line.strip()]


async def shown_tokens(request: web.Request, user_id: int, form: TokenForm | None = None) -> dict[str, Any]:
    """Return the tokens and clients of a user, and the form for another token, for a page."""
    parts = request.app[PARTS]
    return {
        "tokens": await parts.access_tokens.of_user(user_id),
        "clients": await parts.refresh_tokens.of_user(user_id),
        "token_form": form or TokenForm(),
        "day_choices": DAYS,
        "api_choices": tuple(Api),
    }


def _limits(text: str) -> Limits:
    entered = lines(text)[: limits.MOST + 1]  # one too many is enough to be refused
    return limits.check_limits([Limit.parse(line) for line in entered])
