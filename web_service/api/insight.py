"""Looking only: why something is allowed or not, what happened in the registry, and who changed what."""

from dataclasses import replace

from web_service import documents
from web_service.access import explain
from web_service.api.operations import Call
from web_service.api.queries import AccessQuery, AuditQuery, EventsQuery
from web_service.audit import Wanted as WantedEntries
from web_service.errors import N_
from web_service.events import Wanted as WantedEvents
from web_service.limits import within
from web_service.views.rights import may_see, sees_all


async def explain_access(call: Call) -> documents.Explanation:
    """Explain a decision."""
    asked = call.asked(AccessQuery)
    address = asked.address or call.actor.address
    subject = await call.parts.users.subject(asked.user)
    if call.parts.settings.config.registry.readonly:
        subject = replace(subject, console_shut=N_("The console is read-only: registry.readonly is true."))
    found = explain(subject, asked.repository, address, asked.action.value)
    return documents.explanation(asked.user, asked.repository, asked.action.value, address, found)


async def show_events(call: Call) -> documents.Events:
    """List the events that the console shows this account, and of those what the limits of the token leave."""
    asked = call.asked(EventsQuery)
    wanted = WantedEvents(
        asked.user,
        asked.repository,
        asked.action.value if asked.action else "",
        await _visible(call),
        "" if call.login.limits else call.login.user.name,
    )
    page = await call.parts.events.page(wanted, asked.page, asked.size)
    items = [documents.event(one) for one in page.events]
    return documents.Events(items=items, page=asked.page, size=asked.size, more=page.has_next)


async def show_audit(call: Call) -> documents.AuditEntries:
    """List the audit trail."""
    asked = call.asked(AuditQuery)
    since = max(0, int(asked.since.timestamp())) if asked.since else 0
    wanted = WantedEntries(asked.actor, asked.action, asked.subject, since)
    page = await call.parts.audit.page(wanted, asked.page, asked.size)
    items = [documents.audit_entry(one) for one in page.entries]
    return documents.AuditEntries(items=items, page=asked.page, size=asked.size, more=page.has_next)


async def _visible(call: Call) -> frozenset[str] | None:
    """Return of which repositories the events may be told; None for all."""
    limits, user = call.login.limits, call.login.user
    if not limits and sees_all(call.request):
        return None
    return frozenset(
        name
        for name in await call.parts.events.repositories()
        if may_see(call.request, name) and within(limits, user.name, name, ("pull",))
    )
