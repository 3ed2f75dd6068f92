"""`registry-web rule`: what a role allows or denies; every change can be tried before it is made."""

from argparse import ArgumentParser, Namespace

from web_service import documents
from web_service.access import Level
from web_service.cli.asking import confirm
from web_service.cli.finding import role_named, rule_numbered
from web_service.cli.numbers import between
from web_service.cli.output import moment, table
from web_service.cli.shell import Commands, Shell
from web_service.roles import Role, RoleRule, RuleDraft
from web_service.simulation import DAYS, Trial


def add_to(commands: Commands) -> None:
    """Add the commands."""
    noun = commands.noun("rule", "list and change the rules of a role")
    noun.add("list", _list, "list the rules of a role, with their numbers", "ROLE")
    add = noun.add("add", _add, "add a rule to a role", "ROLE")
    _add_content(add, required=True)
    edit = noun.add("edit", _edit, "change what is given of a rule", "ROLE")
    delete = noun.add("delete", _delete, "remove a rule", "ROLE")
    for command in (edit, delete):
        command.add_argument("id", type=between(1, 2**31), metavar="ID", help="its number, as `rule list` shows it")
    _add_content(edit, required=False)
    delete.add_argument("--yes", action="store_true", help="do not ask")
    for command in (add, edit, delete):
        text = f"change nothing; show who would lose or gain what they asked for in the last {DAYS} days"
        command.add_argument("--try", dest="only_try", action="store_true", help=text)


def rules_table(role: Role) -> str:
    """Return the rules of a role, as text."""
    rows = [(str(rule.id), rule.repository, rule.level.value, rule.address, rule.comment) for rule in role.rules]
    return table(("ID", "REPOSITORY", "LEVEL", "FROM", "COMMENT"), rows, "no rules")


def _add_content(command: ArgumentParser, *, required: bool) -> None:
    levels = [level.value for level in Level]
    text = "which repositories: team/app, team/*, team/**, or {user}/** for each user's own"
    command.add_argument("--repository", required=required, metavar="GLOB", help=text)
    command.add_argument("--level", required=required, choices=levels, metavar="LEVEL", help=", ".join(levels))
    address = "*" if required else None
    command.add_argument("--from", dest="address", default=address, help="addresses: 10.0.0.0/8, 10.1.*, or * (all)")
    command.add_argument("--comment", default="" if required else None, metavar="TEXT", help="a note on it")


def _list(shell: Shell, options: Namespace) -> None:
    role = role_named(shell, options.role)
    items = [documents.rule(rule) for rule in role.rules]
    shell.show(documents.Rules(items=items, page=1, size=len(items), more=False), rules_table(role))


def _add(shell: Shell, options: Namespace) -> None:
    role = role_named(shell, options.role)
    draft = RuleDraft(options.address, options.repository, options.level, options.comment)
    if options.only_try:
        _show_trial(shell, shell.do(shell.simulation.add_rule(role.id, draft)))
        return
    rule = shell.do(shell.roles.add_rule(role.id, draft, by=shell.by))
    shell.show(documents.rule(rule), f"rule {rule.id} of the role {role.name}: {_words(rule)}")


def _edit(shell: Shell, options: Namespace) -> None:
    role = role_named(shell, options.role)
    now = rule_numbered(role, options.id)
    names = ("address", "repository", "level", "comment")
    given = {name: getattr(options, name) for name in names}
    draft = RuleDraft(**{name: getattr(now, name) if given[name] is None else given[name] for name in names})
    if options.only_try:
        _show_trial(shell, shell.do(shell.simulation.edit_rule(role.id, now.id, draft)))
        return
    rule = shell.do(shell.roles.edit_rule(role.id, now.id, draft, by=shell.by))
    shell.show(documents.rule(rule), f"rule {rule.id} of the role {role.name} is now: {_words(rule)}")


def _delete(shell: Shell, options: Namespace) -> None:
    role = role_named(shell, options.role)
    rule = rule_numbered(role, options.id)
    if options.only_try:
        _show_trial(shell, shell.do(shell.simulation.delete_rule(role.id, rule.id)))
        return
    confirm(f"Delete rule {rule.id} of the role {role.name}: {_words(rule)}?", yes=options.yes)
    shell.do(shell.roles.delete_rule(role.id, rule.id, by=shell.by))
    shell.show(documents.rule(rule), f"rule {rule.id} of the role {role.name} was deleted: {_words(rule)}")


def _words(rule: RoleRule) -> str:
    return f"{rule.level} on {rule.repository} from {rule.address}"


def _show_trial(shell: Shell, trial: Trial) -> None:
    rows = [
        (
            "gains" if one.gained else "loses",
            one.user or "(not signed in)",
            one.action,
            one.repository,
            one.address,
            str(one.times),
            moment(one.last),
        )
        for one in trial.differences
    ]
    gained = sum(one.gained for one in trial.differences)
    counts = f"{len(rows) - gained} lost, {gained} gained" if rows else "nobody would notice"
    end = f"{counts}; {trial.looked_at} requests of {trial.days} days were looked at, and nothing was changed"
    headings = ("", "USER", "ACTION", "REPOSITORY", "FROM", "TIMES", "LAST")
    text = f"{table(headings, rows, '')}\n\n{end}" if rows else end
    shell.show(documents.trial(trial), text)
