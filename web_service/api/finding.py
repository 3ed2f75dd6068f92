"""Things by the names in a path; raises NotFound for what is not there."""

import unicodedata

from web_service.accounts import User
from web_service.api.operations import Call
from web_service.errors import N_, NotFound
from web_service.groups import Group
from web_service.roles import Role


async def user_of(call: Call) -> User:
    """Return the account in the path."""
    found = await call.parts.users.named(unicodedata.normalize("NFC", call.name("name")))
    if found is None:
        raise NotFound(N_("There is no such user."))
    return found


async def robot_of(call: Call) -> User:
    """Return the robot in the path; a person is none."""
    found = await user_of(call)
    if not found.robot:
        raise NotFound(N_("There is no such robot account."))
    return found


async def role_of(call: Call) -> Role:
    """Return the role in the path."""
    found = await call.parts.roles.named(call.name("role"))
    if found is None:
        raise NotFound(N_("There is no such role."))
    return found


async def group_of(call: Call) -> Group:
    """Return the group in the path."""
    found = await call.parts.groups.named(call.name("group"))
    if found is None:
        raise NotFound(N_("There is no such group."))
    return found
