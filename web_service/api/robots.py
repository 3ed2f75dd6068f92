"""Robots: accounts of machines, which have no password. For administrators."""

from web_service import documents
from web_service.api.finding import robot_of
from web_service.api.operations import Call
from web_service.api.tokens import draft_of
from web_service.inputs import NewRobotAccount
from web_service.limits import Limit
from web_service.roles import RuleDraft


async def show_robots(call: Call) -> documents.Users:
    """List robots."""
    found = [user for user in await call.parts.users.all() if user.robot]
    return call.listing(documents.Users, found, documents.user)


async def create_robot(call: Call) -> documents.NewRobot:
    """Add a robot, with what it may do and its first token, all or nothing."""
    given = call.given(NewRobotAccount)
    limits = [Limit.parse(text) for text in given.rules]
    rules = [RuleDraft(given.address, limit.repository, limit.level.value) for limit in limits]
    if given.token is None:
        robot = await call.parts.users.create_robot(given.name, rules, by=call.actor)
        return documents.NewRobot(robot=documents.user(robot), token=None)
    robot, token, secret = await call.parts.access_tokens.create_robot(
        given.name, rules, draft_of(given.token), by=call.actor, minted_with=call.login.token
    )
    return documents.NewRobot(robot=documents.user(robot), token=documents.new_token(token, secret))


async def show_robot(call: Call) -> documents.User:
    """Show a robot."""
    return documents.user(await robot_of(call))


async def delete_robot(call: Call) -> None:
    """Delete a robot, with its tokens and the role that was made for it."""
    await call.parts.users.delete((await robot_of(call)).id, by=call.actor)
