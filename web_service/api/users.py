"""Accounts: list, create, change, delete, and their roles. For administrators."""

from web_service import documents
from web_service.api.failures import DENIED, Failed, of_field
from web_service.api.finding import role_of, user_of
from web_service.api.operations import Call
from web_service.errors import Invalid, NotFound
from web_service.inputs import NewUser, PasswordChange, UserChange


async def show_users(call: Call) -> documents.Users:
    """List accounts, robots among them."""
    return call.listing(documents.Users, await call.parts.users.all(), documents.user)


async def create_user(call: Call) -> documents.User:
    """Add a person; without a password nobody knows one."""
    given = call.given(NewUser)
    if given.password is not None and call.login.token is not None:
        raise Failed(DENIED, "Setting a password needs the password: no access token may do it.")
    password_hash = "" if given.password is None else await _hash(call, given.name, given.password)
    user = await call.parts.users.create(given.name, password_hash, enabled=given.enabled, by=call.actor)
    return documents.user(user)


async def show_user(call: Call) -> documents.User:
    """Show an account."""
    return documents.user(await user_of(call))


async def change_user(call: Call) -> documents.User:
    """Rename an account, open or close it."""
    user, given = await user_of(call), call.given(UserChange)
    changed = await call.parts.users.change(user.id, name=given.name, enabled=given.enabled, by=call.actor)
    return documents.user(changed)


async def delete_user(call: Call) -> None:
    """Delete an account."""
    await call.parts.users.delete((await user_of(call)).id, by=call.actor)


async def set_password(call: Call) -> None:
    """Set the password of somebody."""
    user = await user_of(call)
    password_hash = await _hash(call, user.name, call.given(PasswordChange).password)
    await call.parts.users.set_password(user.id, password_hash, by=call.actor)


async def set_own_password(call: Call) -> None:
    """Set one's own password."""
    user = call.login.user
    password_hash = await _hash(call, user.name, call.given(PasswordChange).password)
    await call.parts.users.set_password(user.id, password_hash, by=call.actor)


async def grant_role(call: Call) -> None:
    """Give a role to an account."""
    user, role = await user_of(call), await role_of(call)
    await call.parts.users.grant(user.id, role.id, by=call.actor)


async def revoke_role(call: Call) -> None:
    """Take a role that was given to the account itself."""
    user, role = await user_of(call), await role_of(call)
    if not any(held.id == role.id and not held.group for held in user.roles):
        raise NotFound("The role was not granted to this account itself.")
    await call.parts.users.revoke(user.id, role.id, by=call.actor)


async def show_me(call: Call) -> documents.WhoAmI:
    """Show who calls."""
    return documents.who_am_i(call.login.user, call.login.token)


async def _hash(call: Call, name: str, password: str) -> str:
    try:
        return await call.parts.authenticator.hash_new(name, password)
    except Invalid as problem:
        raise of_field("password", problem) from None
