"""Robot accounts: list, create, show. What is done with one afterwards is done as with users. For administrators."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from shared import logs
from web_service.access import Level
from web_service.access_tokens import AccessToken
from web_service.errors import N_, Invalid, Problem
from web_service.roles import RuleDraft
from web_service.views.page import form, redirect, render
from web_service.views.routing import PARTS, VISIT
from web_service.views.token_form import DAYS, DEFAULT_DAYS, TokenForm, lines
from web_service.views.tokens import secret_page
from web_service.views.users import place_of, user_of, user_page

_log = logging.getLogger("web.robots")
_MOST_RULES: Final = 50
_FIRST_TOKEN: Final = "default"  # noqa: S105 - the name of a token, by which its robot's list shows it


@dataclass(frozen=True, slots=True)
class RobotForm:
    """A robot as it was typed in: one rule a line, all for the same addresses."""

    name: str = ""
    rules: str = ""
    address: str = "*"
    days: str = DEFAULT_DAYS

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> "RobotForm":
        """Return what the fields of a form say."""
        return cls(fields.get("name", "").strip(), *(fields.get(key, "") for key in ("rules", "address", "days")))

    def drafts(self) -> list[RuleDraft]:
        """Return the rules that are asked for; raises Invalid."""
        entered = lines(self.rules)
        if len(entered) > _MOST_RULES:
            raise Invalid(N_("At most %(most)d rules can be entered here; add more to the role."), most=_MOST_RULES)
        return [_draft(line, self.address) for line in entered]


async def show_robots(request: web.Request) -> web.StreamResponse:
    """List all robots with when they were last seen, and whose tokens end soon."""
    parts = request.app[PARTS]
    robots = [user for user in await parts.users.all() if user.robot]
    tokens: dict[int, list[AccessToken]] = {robot.id: [] for robot in robots}
    for token in await parts.access_tokens.all():
        if token.owner_id in tokens:
            tokens[token.owner_id].append(token)
    return await render(request, "robots.html", robots=robots, tokens=tokens)


async def show_new_robot(request: web.Request) -> web.StreamResponse:
    """Show the form for a new robot."""
    return await _new_robot_page(request, RobotForm())


async def create_robot(request: web.Request) -> web.StreamResponse:
    """Add a robot with a first token, and show its secret."""
    tokens, by, wanted = request.app[PARTS].access_tokens, request[VISIT].actor, RobotForm.of(await form(request))
    try:
        first = TokenForm(_FIRST_TOKEN, wanted.days).draft()
        robot, token, secret = await tokens.create_robot(wanted.name, wanted.drafts(), first, by=by)
    except Problem as problem:
        return await _new_robot_page(request, wanted, problem)
    _log.info("robot created", extra=logs.fields(subject=robot.name, by=by.name))
    return await secret_page(request, robot, token, secret, back=place_of(robot))


async def show_robot(request: web.Request) -> web.StreamResponse:
    """Show a robot with its tokens, roles and recent events."""
    robot = await user_of(request)
    return await user_page(request) if robot.robot else redirect(request, place_of(robot))


async def _new_robot_page(request: web.Request, wanted: RobotForm, problem: Problem | None = None) -> web.Response:
    return await render(request, "robot_new.html", problem=problem, here="/robot/add", wanted=wanted, day_choices=DAYS)


def _draft(line: str, address: str) -> RuleDraft:
    repository, _, level = line.rpartition(":")
    if not repository or level not in set(Level):
        raise Invalid(N_("%(line)s is no rule of the form repository:level, as in team/**:push."), line=line[:255])
    return RuleDraft(address, repository, level)
