"""`registry-web user`: who may sign in, and with which roles."""

from argparse import Namespace
from functools import partial

from web_service import accounts, documents
from web_service.cli.asking import confirm, new_password
from web_service.cli.finding import role_named, user_named
from web_service.cli.output import facts, moment, state, table
from web_service.cli.shell import Commands, Shell
from web_service.passwords import hash_password
from web_service.roles import check_grantable
from web_service.users import check_name


def add_to(commands: Commands) -> None:
    """Add the commands."""
    users = commands.noun("user", "list and change users")
    users.add("list", _list, "list all people who have an account")
    users.add("show", _show, "show a user with roles and rules", "NAME")
    add = users.add("add", _add, "add a user; the password is asked for, or read from stdin", "NAME")
    add.add_argument("--disabled", action="store_true", help="an account that cannot be used yet")
    add.add_argument(
        "--role",
        dest="roles",
        action="append",
        default=[],
        metavar="ROLE",
        help="grant a role; may be given several times",
    )
    change = users.add("set-password", _set_password, "give a user another password; sessions end", "NAME")
    for command in (add, change):
        command.add_argument("--stdin", action="store_true", help="read the password from the first line of stdin")
    users.add("rename", _rename, "give a user another name", "NAME", "NEW")
    users.add("enable", partial(_switch, enabled=True), "open an account", "NAME")
    users.add("disable", partial(_switch, enabled=False), "close an account; sessions end", "NAME")
    delete = users.add("delete", _delete, "remove a user, with all sessions and tokens", "NAME")
    delete.add_argument("--yes", action="store_true", help="do not ask")
    users.add("grant", _grant, "give a user a role", "NAME", "ROLE")
    users.add("revoke", _revoke, "take a role from a user", "NAME", "ROLE")


def describe(user: accounts.User) -> str:
    """Return all about an account, as text."""
    opens = "as administrator" if user.is_admin else "yes" if user.may_browse else ""
    head = facts(
        [
            ("name", user.name),
            ("state", state(enabled=user.enabled)),
            ("created", moment(user.created)),
            ("roles", _roles(user)),
            ("groups", ", ".join(user.groups)),
            ("console", opens),
        ]
    )
    rows = [
        (rule.repository, rule.level.value, rule.address, "(everybody)" if rule.public else rule.role)
        for rule in user.rules
    ]
    return f"{head}\n\n{table(('REPOSITORY', 'LEVEL', 'FROM', 'ROLE'), rows, 'no rules')}"


def switch_account(shell: Shell, user: accounts.User, *, enabled: bool) -> None:
    """Open or close an account; raises Problem."""
    shell.do(shell.users.set_enabled(user.id, enabled=enabled, by=shell.by))
    _changed(shell, user.id, f"{user.name} is {state(enabled=enabled)}")


def delete_account(shell: Shell, user: accounts.User, *, yes: bool) -> None:
    """Remove an account when that is really wanted; raises Problem."""
    confirm(f"Delete the {'robot' if user.robot else 'user'} {user.name} with all tokens?", yes=yes)
    gone = shell.do(shell.users.delete(user.id, by=shell.by))
    shell.show(documents.user(gone), f"{gone.name} was deleted")


def _list(shell: Shell, _options: Namespace) -> None:
    found = [user for user in shell.do(shell.users.all()) if not user.robot]
    document = documents.Users(items=[documents.user(one) for one in found], page=1, size=len(found), more=False)
    rows = [
        (one.name, state(enabled=one.enabled), moment(one.created), ", ".join(one.groups), _roles(one)) for one in found
    ]
    shell.show(document, table(("NAME", "STATE", "CREATED", "GROUPS", "ROLES"), rows, "no users"))


def _show(shell: Shell, options: Namespace) -> None:
    user = user_named(shell, options.name)
    shell.show(documents.user(user), describe(user))


def _add(shell: Shell, options: Namespace) -> None:
    name = check_name(options.name)
    wanted = [role_named(shell, role) for role in options.roles]
    for role in wanted:
        check_grantable(role)  # before anything is made
    password_hash = hash_password(new_password(name, from_stdin=options.stdin))
    user = shell.do(shell.users.create(name, password_hash, enabled=not options.disabled, by=shell.by))
    for role in wanted:
        shell.do(shell.users.grant(user.id, role.id, by=shell.by))
    _changed(shell, user.id, f"{user.name} was added")


def _set_password(shell: Shell, options: Namespace) -> None:
    user = user_named(shell, options.name)
    password_hash = "" if user.robot else hash_password(new_password(user.name, from_stdin=options.stdin))
    shell.do(shell.users.set_password(user.id, password_hash, by=shell.by))
    _changed(shell, user.id, f"{user.name} has a new password; all sessions have ended")


def _rename(shell: Shell, options: Namespace) -> None:
    user = user_named(shell, options.name)
    renamed = shell.do(shell.users.rename(user.id, options.new, by=shell.by))
    shell.show(documents.user(renamed), f"{user.name} is now {renamed.name}")


def _switch(shell: Shell, options: Namespace, *, enabled: bool) -> None:
    switch_account(shell, user_named(shell, options.name), enabled=enabled)


def _delete(shell: Shell, options: Namespace) -> None:
    delete_account(shell, user_named(shell, options.name), yes=options.yes)


def _grant(shell: Shell, options: Namespace) -> None:
    user, role = user_named(shell, options.name), role_named(shell, options.role)
    shell.do(shell.users.grant(user.id, role.id, by=shell.by))
    _changed(shell, user.id, f"{user.name} has the role {role.name}")


def _revoke(shell: Shell, options: Namespace) -> None:
    user, role = user_named(shell, options.name), role_named(shell, options.role)
    shell.do(shell.users.revoke(user.id, role.id, by=shell.by))
    now = shell.do(shell.users.get(user.id))
    left = [held.group for held in now.roles if held.id == role.id]
    text = f"still has the role {role.name}, by the group {left[0]}" if left else f"has not the role {role.name}"
    shell.show(documents.user(now), f"{now.name} {text}")


def _changed(shell: Shell, user_id: int, text: str) -> None:
    shell.show(documents.user(shell.do(shell.users.get(user_id))), text)


def _roles(user: accounts.User) -> str:
    def with_remarks(role: accounts.HeldRole) -> str:
        remarks = ", ".join([*([] if role.enabled else ["disabled"]), *([f"by {role.group}"] if role.group else [])])
        return f"{role.name} ({remarks})" if remarks else role.name

    return ", ".join(with_remarks(role) for role in user.roles)
