"""Groups, their members and their roles. For administrators."""

from web_service import documents
from web_service.api.finding import group_of, role_of, user_of
from web_service.api.operations import Call
from web_service.errors import NotFound
from web_service.inputs import GroupChange, NewGroup


async def show_groups(call: Call) -> documents.Groups:
    """List groups."""
    return call.listing(documents.Groups, await call.parts.groups.all(), documents.group)


async def create_group(call: Call) -> documents.Group:
    """Add a group without members."""
    given = call.given(NewGroup)
    return documents.group(await call.parts.groups.create(given.name, given.comment, by=call.actor))


async def show_group(call: Call) -> documents.Group:
    """Show a group."""
    return documents.group(await group_of(call))


async def change_group(call: Call) -> documents.Group:
    """Give a group another name or comment."""
    group, given = await group_of(call), call.given(GroupChange)
    name = group.name if given.name is None else given.name
    comment = group.comment if given.comment is None else given.comment
    await call.parts.groups.update(group.id, name, comment, by=call.actor)
    return documents.group(await call.parts.groups.get(group.id))


async def delete_group(call: Call) -> None:
    """Delete a group, which takes its roles from its members."""
    await call.parts.groups.delete((await group_of(call)).id, by=call.actor)


async def add_member(call: Call) -> None:
    """Take an account in."""
    group, user = await group_of(call), await user_of(call)
    await call.parts.groups.add_member(group.id, user.id, by=call.actor)


async def remove_member(call: Call) -> None:
    """Let an account go."""
    group, user = await group_of(call), await user_of(call)
    if user.id not in {member.id for member in group.members}:
        raise NotFound("The account is no member of this group.")
    await call.parts.groups.remove_member(group.id, user.id, by=call.actor)


async def grant_role(call: Call) -> None:
    """Give a role to all members."""
    group, role = await group_of(call), await role_of(call)
    await call.parts.groups.grant(group.id, role.id, by=call.actor)


async def revoke_role(call: Call) -> None:
    """Take a role from all members."""
    group, role = await group_of(call), await role_of(call)
    if role.id not in {held.id for held in group.roles}:
        raise NotFound("The group does not have this role.")
    await call.parts.groups.revoke(group.id, role.id, by=call.actor)
