"""`registry-web role`: named sets of rules."""

from argparse import Namespace
from functools import partial

from web_service import documents, roles
from web_service.cli.asking import confirm
from web_service.cli.finding import role_named
from web_service.cli.output import facts, state, table
from web_service.cli.rules import rules_table
from web_service.cli.shell import Commands, Shell


def add_to(commands: Commands) -> None:
    """Add the commands."""
    noun = commands.noun("role", "list and change roles")
    noun.add("list", _list, "list all roles")
    noun.add("show", _show, "show a role with its rules and holders", "NAME")
    noun.add("add", _add, "add a role without rules; see `registry-web rule add`", "NAME")
    noun.add("rename", _rename, "give a role another name", "NAME", "NEW")
    noun.add("enable", partial(_switch, enabled=True), "let a role count", "NAME")
    noun.add("disable", partial(_switch, enabled=False), "let a role count for nobody", "NAME")
    delete = noun.add("delete", _delete, "remove a role, from all its holders", "NAME")
    delete.add_argument("--yes", action="store_true", help="do not ask")


def _list(shell: Shell, _options: Namespace) -> None:
    found = shell.do(shell.roles.all())
    document = documents.Roles(items=[documents.role(one) for one in found], page=1, size=len(found), more=False)
    rows = [
        (
            one.name,
            state(enabled=one.enabled),
            str(len(one.rules)) if one.has_rules else "-",
            _count(one.holders) if not one.is_anonymous else "everybody",
            _count(one.groups),
        )
        for one in found
    ]
    shell.show(document, table(("NAME", "STATE", "RULES", "USERS", "GROUPS"), rows, "no roles"))


def _show(shell: Shell, options: Namespace) -> None:
    role = role_named(shell, options.name)
    users = "everybody" if role.is_anonymous else _names(role.holders)
    head = facts(
        [("name", role.name), ("state", state(enabled=role.enabled)), ("users", users), ("groups", _names(role.groups))]
    )
    text = f"{head}\n\n{rules_table(role)}" if role.has_rules else f"{head}\n\nopens the console; it has no rules"
    shell.show(documents.role(role), text)


def _add(shell: Shell, options: Namespace) -> None:
    role = shell.do(shell.roles.create(options.name, by=shell.by))
    shell.show(documents.role(role), f"the role {role.name} was added")


def _rename(shell: Shell, options: Namespace) -> None:
    role = role_named(shell, options.name)
    shell.do(shell.roles.rename(role.id, options.new, by=shell.by))
    _changed(shell, role.id, f"the role {role.name} is now {options.new}")


def _switch(shell: Shell, options: Namespace, *, enabled: bool) -> None:
    role = role_named(shell, options.name)
    shell.do(shell.roles.set_enabled(role.id, enabled=enabled, by=shell.by))
    _changed(shell, role.id, f"the role {role.name} is {state(enabled=enabled)}")


def _delete(shell: Shell, options: Namespace) -> None:
    role = role_named(shell, options.name)
    holders = len(role.holders) + len(role.groups)
    confirm(f"Delete the role {role.name}, which {holders} users and groups have?", yes=options.yes)
    gone = shell.do(shell.roles.delete(role.id, by=shell.by))
    shell.show(documents.role(gone), f"the role {gone.name} was deleted")


def _changed(shell: Shell, role_id: int, text: str) -> None:
    shell.show(documents.role(shell.do(shell.roles.get(role_id))), text)


def _names(holders: tuple[roles.Holder, ...]) -> str:
    return ", ".join(one.name for one in holders)


def _count(holders: tuple[roles.Holder, ...]) -> str:
    return str(len(holders)) if holders else "-"
