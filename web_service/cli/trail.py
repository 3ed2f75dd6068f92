"""`registry-web events` and `registry-web audit`: what happened in the registry, and who changed what."""

import json
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any, Final

from web_service import audit, documents, events
from web_service.cli.numbers import between, span
from web_service.cli.output import moment, moment_or_never, table
from web_service.cli.shell import Commands, Shell

_DEFAULT_LIMIT: Final = 50
_MOST: Final = 100_000


def add_to(commands: Commands) -> None:
    """Add the commands."""
    shown = commands.add("events", _events, "list pushes, pulls and deletions, the newest first")
    shown.add_argument("--user", default="", help="of this user only")
    shown.add_argument("--repository", default="", metavar="TEXT", help="of repositories with this in their name")
    shown.add_argument("--action", default="", help="pull, push, mount or delete only")
    changes = commands.add("audit", _audit, "list changes, sign-ins and refusals, the newest first")
    changes.add_argument("--actor", default="", help="by this user, or account on the server, only")
    changes.add_argument("--action", default="", help="only this: user.create, or user. for all that begin so")
    changes.add_argument("--subject", default="", metavar="TEXT", help="only what has this in its name")
    changes.add_argument("--since", type=span, metavar="SPAN", help="only of so long ago: 7d, 2w, 12h (all)")
    for command in (shown, changes):
        _add_limit(command)


def _add_limit(command: ArgumentParser) -> None:
    text = f"so many at most ({_DEFAULT_LIMIT})"
    command.add_argument("--limit", type=between(1, _MOST), default=_DEFAULT_LIMIT, metavar="N", help=text)


def _events(shell: Shell, options: Namespace) -> None:
    wanted = events.Wanted(options.user, options.repository, options.action)
    page = shell.do(shell.events.page(wanted, size=options.limit))
    rows = [
        (moment(one.time), one.user, one.action, f"{one.repository}{_reference(one)}", one.address)
        for one in page.events
    ]
    items = [documents.event(one) for one in page.events]
    document = documents.Events(items=items, page=1, size=options.limit, more=page.has_next)
    text = table(("TIME", "USER", "ACTION", "IMAGE", "FROM"), rows, "no events")
    shell.show(document, text + _more(more=page.has_next))


def _audit(shell: Shell, options: Namespace) -> None:
    since = 0 if options.since is None else max(int(time.time()) - options.since, 0)
    wanted = audit.Wanted(options.actor, options.action, options.subject, since)
    page = shell.do(shell.audit.page(wanted, size=options.limit))
    rows = [
        (moment(one.time), one.actor, f"{one.via} {one.address}".rstrip(), one.action, one.subject, _change(one))
        for one in page.entries
    ]
    items = [documents.audit_entry(one) for one in page.entries]
    document = documents.AuditEntries(items=items, page=1, size=options.limit, more=page.has_next)
    text = table(("TIME", "WHO", "VIA", "ACTION", "SUBJECT", "CHANGE"), rows, "no entries")
    shell.show(document, text + _more(more=page.has_next))


def _reference(event: events.Event) -> str:
    return f":{event.tag}" if event.tag else f"@{event.digest[:19]}" if event.digest else ""


def _change(entry: audit.Entry) -> str:
    names = dict.fromkeys([*entry.old, *entry.new])
    return "; ".join(filter(None, (_one_change(name, entry.old, entry.new) for name in names)))


def _one_change(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return what became of one value; nothing for one that was and is empty."""
    was, is_now = (_value(name, values.get(name, "")) for values in (old, new))
    if was == is_now or name not in old:
        return f"{name} {is_now}" if is_now else ""
    return f"{name} {was or '-'} → {is_now or '-'}"


def _value(name: str, value: Any) -> str:
    if name == "expires" and isinstance(value, int):
        return moment_or_never(value)
    if isinstance(value, list):
        return ", ".join(_value("", one) for one in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _more(*, more: bool) -> str:
    return "\n\nthere are more: see --limit" if more else ""
