"""Finds what a name on the command line means; a name that is nobody's is answered by one that is close to it."""

import difflib
import unicodedata
from collections.abc import Iterable

from web_service.access_tokens import AccessToken
from web_service.accounts import User
from web_service.cli.shell import Shell
from web_service.errors import NotFound
from web_service.groups import Group
from web_service.roles import Role, RoleRule


def user_named(shell: Shell, name: str) -> User:
    """Return a user, or a robot; raises NotFound."""
    found = shell.do(shell.users.named(unicodedata.normalize("NFC", name)))
    if found is None:
        raise _nothing("user", name, (user.name for user in shell.do(shell.users.all())))
    return found


def robot_named(shell: Shell, name: str) -> User:
    """Return a robot; raises NotFound, also for the name of a person."""
    found = shell.do(shell.users.named(unicodedata.normalize("NFC", name)))
    if found is None:
        raise _nothing("robot", name, (user.name for user in shell.do(shell.users.all()) if user.robot))
    if not found.robot:
        raise NotFound(f"{found.name} is no robot but a person: see `registry-web user`.")
    return found


def role_named(shell: Shell, name: str) -> Role:
    """Return a role; raises NotFound."""
    found = shell.do(shell.roles.named(name))
    if found is None:
        raise _nothing("role", name, (role.name for role in shell.do(shell.roles.all())))
    return found


def group_named(shell: Shell, name: str) -> Group:
    """Return a group; raises NotFound."""
    found = shell.do(shell.groups.named(name))
    if found is None:
        raise _nothing("group", name, (group.name for group in shell.do(shell.groups.all())))
    return found


def rule_numbered(role: Role, number: int) -> RoleRule:
    """Return a rule of a role; raises NotFound."""
    for rule in role.rules:
        if rule.id == number:
            return rule
    raise NotFound(f"The role {role.name} has no rule {number}; see `registry-web rule list`.")


def token_named(shell: Shell, owner: User, name: str) -> AccessToken:
    """Return an access token of its owner; raises NotFound."""
    tokens = shell.do(shell.access_tokens.of_user(owner.id))
    for token in tokens:
        if token.name == name:
            return token
    raise _nothing("token", name, (token.name for token in tokens), f"{owner.name} has no token named {name}.")


def _nothing(kind: str, name: str, names: Iterable[str], text: str = "") -> NotFound:
    folded = {one.casefold(): one for one in names}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    advice = f" Did you mean {folded[near[0]]}?" if near else ""
    return NotFound(f"{text or f'There is no {kind} named {name}.'}{advice}")
