"""The audit trail in words: who did what, and what it was before. It is shown and never changed. For administrators."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from shared.texts import clean
from web_service.audit import Entry, Wanted
from web_service.errors import N_
from web_service.i18n import Language
from web_service.views.page import page_number, render
from web_service.views.routing import PARTS, VISIT

ACTIONS: Final[Mapping[str, str]] = {
    "user.create": N_("user created"),
    "user.rename": N_("user renamed"),
    "user.password": N_("password set"),
    "user.enable": N_("account enabled"),
    "user.disable": N_("account disabled"),
    "user.delete": N_("user deleted"),
    "user.grant": N_("role granted"),
    "user.revoke": N_("role revoked"),
    "robot.create": N_("robot account created"),
    "robot.delete": N_("robot account deleted"),
    "group.create": N_("group created"),
    "group.edit": N_("group changed"),
    "group.delete": N_("group deleted"),
    "group.join": N_("member added"),
    "group.leave": N_("member removed"),
    "group.grant": N_("role granted to the group"),
    "group.revoke": N_("role taken from the group"),
    "role.create": N_("role created"),
    "role.rename": N_("role renamed"),
    "role.enable": N_("role enabled"),
    "role.disable": N_("role disabled"),
    "role.delete": N_("role deleted"),
    "rule.add": N_("rule added"),
    "rule.edit": N_("rule changed"),
    "rule.delete": N_("rule deleted"),
    "token.create": N_("access token made"),
    "token.revoke": N_("access token revoked"),
    "refresh-token.create": N_("client signed in"),
    "refresh-token.revoke": N_("client signed out"),
    "image.delete": N_("image deleted"),
    "signin": N_("signed in"),
    "signin.refused": N_("sign-in refused"),
    "signin.locked": N_("further sign-ins locked"),
    "signout": N_("signed out"),
    "scope.refused": N_("access not granted"),
    "request.refused": N_("request refused"),
}
"""What is said of an action; one that is not here is shown as it is recorded."""

KINDS: Final[Mapping[str, str]] = {
    "user.": N_("Users"),
    "robot.": N_("Robots"),
    "group.": N_("Groups"),
    "role.": N_("Roles"),
    "rule.": N_("Rules"),
    "token.": N_("Access tokens"),
    "refresh-token.": N_("Clients that stay signed in"),
    "image.": N_("Images"),
    "signin": N_("Signing in"),
    "signin.": N_("Refused sign-ins"),
    "scope.": N_("Access that was not granted"),
    "request.": N_("Refused requests"),
}
"""What can be asked for: the beginnings of actions."""

_VALUES: Final[Mapping[str, str]] = {
    "name": N_("name"),
    "comment": N_("comment"),
    "enabled": N_("enabled"),
    "role": N_("role"),
    "roles": N_("roles"),
    "rules": N_("rules"),
    "holders": N_("holders"),
    "member": N_("member"),
    "members": N_("members"),
    "repository": N_("repository"),
    "address": N_("address"),
    "level": N_("level"),
    "limits": N_("limits"),
    "api": N_("API"),
    "expires": N_("expires"),
    "hint": N_("begins with"),
    "client": N_("client"),
    "tags": N_("tags"),
    "token": N_("access token"),
    "token_id": N_("number of the token"),
    "credential": N_("signed in with"),
    "refused": N_("not granted"),
    "granted": N_("granted"),
    "further": N_("further ones of this hour"),
    "made_with": N_("made with the access token"),
    "reason": N_("reason"),
    "for_": N_("for"),
}

_WORDS: Final[Mapping[str, str]] = {
    "wrong password": N_("wrong password"),
    "unknown user": N_("unknown user"),
    "password changed": N_("password changed in the meantime"),
    "account disabled": N_("account disabled"),
    "access token not valid": N_("access token not valid"),
    "refresh token not valid": N_("refresh token not valid"),
    "user here": N_("this user from this address"),
    "address": N_("this address"),
    "user": N_("this user from unknown addresses"),
    "password": N_("password"),
    "access token": N_("access token"),
    "refresh token": N_("refresh token"),
    "not recorded one by one": N_("not recorded one by one"),
}
"""What the trail has in words of its own: why somebody was not let in, who has to wait, with what one came."""


_TOLD: Final = ("reason", "for_", "credential", "further")


@dataclass(frozen=True, slots=True)
class Change:
    """One value before and after, None where there was none; both are the same where it only says what is meant."""

    label: str
    old: str | None
    new: str | None


async def show_audit(request: web.Request) -> web.StreamResponse:
    """List what was done, newest first."""
    filters = {key: clean(request.query.get(key, "").strip()) for key in ("actor", "action", "subject")}
    wanted = Wanted(filters["actor"], filters["action"], filters["subject"])
    page = await request.app[PARTS].audit.page(wanted, page_number(request))
    language = request[VISIT].language
    return await render(
        request,
        "audit.html",
        page=page,
        changes={entry.id: changes(entry, language) for entry in page.entries},
        filters=filters,
        kinds=KINDS,
        actions=ACTIONS,
        query=urlencode({key: value for key, value in filters.items() if value}),
    )


def changes(entry: Entry, language: Language) -> tuple[Change, ...]:
    """Return what an entry says was changed, in words."""
    return tuple(
        Change(
            language.gettext(_VALUES[key]) if key in _VALUES else key,
            _in_words(key, entry.old[key], language) if key in entry.old else None,
            _in_words(key, entry.new[key], language) if key in entry.new else None,
        )
        for key in dict.fromkeys((*entry.old, *entry.new))
        if entry.old.get(key) or entry.new.get(key) or key in ("enabled", "expires")
    )


def _in_words(key: str, value: Any, language: Language) -> str:
    if isinstance(value, bool):
        return language.gettext(N_("yes") if value else N_("no"))
    if key in _TOLD and isinstance(value, str) and value:
        return language.gettext(_WORDS.get(value, value))
    if key == "expires" and isinstance(value, int):
        return language.moment(value) if value else language.gettext(N_("never"))
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
