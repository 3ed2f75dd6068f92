"""`registry-web group`: users who share roles."""

from argparse import Namespace

from web_service import documents
from web_service.cli.asking import confirm
from web_service.cli.finding import group_named, role_named, user_named
from web_service.cli.output import facts, table
from web_service.cli.shell import Commands, Shell
from web_service.roles import Holder


def add_to(commands: Commands) -> None:
    """Add the commands."""
    noun = commands.noun("group", "list and change groups of users")
    noun.add("list", _list, "list all groups")
    noun.add("show", _show, "show a group with members and roles", "NAME")
    add = noun.add("add", _add, "add a group without members", "NAME")
    add.add_argument("--comment", default="", metavar="TEXT", help="a note on it")
    rename = noun.add("rename", _rename, "give a group another name, or another comment", "NAME", "NEW")
    rename.add_argument("--comment", metavar="TEXT", help="the new note (the old one)")
    delete = noun.add("delete", _delete, "remove a group; its members lose its roles", "NAME")
    delete.add_argument("--yes", action="store_true", help="do not ask")
    noun.add("join", _join, "take a user, or a robot, into a group", "GROUP", "USER")
    noun.add("leave", _leave, "take a user out of a group", "GROUP", "USER")
    noun.add("grant", _grant, "give all members of a group a role", "GROUP", "ROLE")
    noun.add("revoke", _revoke, "take a role from all members of a group", "GROUP", "ROLE")


def _list(shell: Shell, _options: Namespace) -> None:
    found = shell.do(shell.groups.all())
    document = documents.Groups(items=[documents.group(one) for one in found], page=1, size=len(found), more=False)
    rows = [(one.name, str(len(one.members)), _names(one.roles), one.comment) for one in found]
    shell.show(document, table(("NAME", "MEMBERS", "ROLES", "COMMENT"), rows, "no groups"))


def _show(shell: Shell, options: Namespace) -> None:
    group = group_named(shell, options.name)
    pairs = [
        ("name", group.name),
        ("comment", group.comment),
        ("members", _names(group.members)),
        ("roles", _names(group.roles)),
    ]
    shell.show(documents.group(group), facts(pairs))


def _add(shell: Shell, options: Namespace) -> None:
    group = shell.do(shell.groups.create(options.name, options.comment, by=shell.by))
    shell.show(documents.group(group), f"the group {group.name} was added")


def _rename(shell: Shell, options: Namespace) -> None:
    group = group_named(shell, options.name)
    comment = group.comment if options.comment is None else options.comment
    shell.do(shell.groups.update(group.id, options.new, comment, by=shell.by))
    _changed(shell, group.id, f"the group {group.name} is now {options.new}")


def _delete(shell: Shell, options: Namespace) -> None:
    group = group_named(shell, options.name)
    confirm(f"Delete the group {group.name} with {len(group.members)} members?", yes=options.yes)
    gone = shell.do(shell.groups.delete(group.id, by=shell.by))
    shell.show(documents.group(gone), f"the group {gone.name} was deleted")


def _join(shell: Shell, options: Namespace) -> None:
    group, user = group_named(shell, options.group), user_named(shell, options.user)
    shell.do(shell.groups.add_member(group.id, user.id, by=shell.by))
    _changed(shell, group.id, f"{user.name} is in the group {group.name}")


def _leave(shell: Shell, options: Namespace) -> None:
    group, user = group_named(shell, options.group), user_named(shell, options.user)
    shell.do(shell.groups.remove_member(group.id, user.id, by=shell.by))
    _changed(shell, group.id, f"{user.name} is not in the group {group.name}")


def _grant(shell: Shell, options: Namespace) -> None:
    group, role = group_named(shell, options.group), role_named(shell, options.role)
    shell.do(shell.groups.grant(group.id, role.id, by=shell.by))
    _changed(shell, group.id, f"the group {group.name} has the role {role.name}")


def _revoke(shell: Shell, options: Namespace) -> None:
    group, role = group_named(shell, options.group), role_named(shell, options.role)
    shell.do(shell.groups.revoke(group.id, role.id, by=shell.by))
    _changed(shell, group.id, f"the group {group.name} has not the role {role.name}")


def _changed(shell: Shell, group_id: int, text: str) -> None:
    shell.show(documents.group(shell.do(shell.groups.get(group_id))), text)


def _names(holders: tuple[Holder, ...]) -> str:
    return ", ".join(one.name for one in holders)
