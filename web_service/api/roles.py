"""Roles, their rules, and changes of rules that are only tried. For administrators."""

from web_service import documents
from web_service.api.finding import role_of
from web_service.api.operations import Call
from web_service.inputs import NewRole, NewRule, RoleChange, RuleChange


async def show_roles(call: Call) -> documents.Roles:
    """List roles."""
    return call.listing(documents.Roles, await call.parts.roles.all(), documents.role)


async def create_role(call: Call) -> documents.Role:
    """Add a role without rules."""
    return documents.role(await call.parts.roles.create(call.given(NewRole).name, by=call.actor))


async def show_role(call: Call) -> documents.Role:
    """Show a role."""
    return documents.role(await role_of(call))


async def change_role(call: Call) -> documents.Role:
    """Rename a role, let it count or not."""
    role, given = await role_of(call), call.given(RoleChange)
    changed = await call.parts.roles.change(role.id, name=given.name, enabled=given.enabled, by=call.actor)
    return documents.role(changed)


async def delete_role(call: Call) -> None:
    """Delete a role, which takes it from all who have it."""
    await call.parts.roles.delete((await role_of(call)).id, by=call.actor)


async def show_rules(call: Call) -> documents.Rules:
    """List the rules of a role."""
    return call.listing(documents.Rules, (await role_of(call)).rules, documents.rule)


async def add_rule(call: Call) -> documents.Rule:
    """Add a rule."""
    role = await role_of(call)
    return documents.rule(await call.parts.roles.add_rule(role.id, call.given(NewRule).draft(), by=call.actor))


async def replace_rule(call: Call) -> documents.Rule:
    """Replace a rule."""
    role, draft = await role_of(call), call.given(NewRule).draft()
    return documents.rule(await call.parts.roles.edit_rule(role.id, call.number(), draft, by=call.actor))


async def delete_rule(call: Call) -> None:
    """Delete a rule."""
    await call.parts.roles.delete_rule((await role_of(call)).id, call.number(), by=call.actor)


async def try_new_rule(call: Call) -> documents.Trial:
    """Say what a new rule would change, without adding it."""
    role = await role_of(call)
    return documents.trial(await call.parts.simulation.add_rule(role.id, call.given(NewRule).draft()))


async def try_rule_change(call: Call) -> documents.Trial:
    """Say what another content of a rule, or its end, would change, without doing it."""
    role, rule = await role_of(call), call.given(RuleChange).rule
    if rule is None:
        return documents.trial(await call.parts.simulation.delete_rule(role.id, call.number()))
    return documents.trial(await call.parts.simulation.edit_rule(role.id, call.number(), rule.draft()))
