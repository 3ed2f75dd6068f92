"""Trying a change of a rule: who would lose or gain what they lately asked for. It changes nothing."""

from typing import Any, Final

from aiohttp import web

from web_service.errors import Problem
from web_service.roles import RuleDraft
from web_service.simulation import Trial
from web_service.views.page import render
from web_service.views.roles import draft_of, draft_of_rule, role_of, role_page, rule_of, rule_page
from web_service.views.routing import PARTS

_MOST_SHOWN: Final = 200


async def try_new_rule(request: web.Request) -> web.StreamResponse:
    """Try a new rule."""
    role, draft = await role_of(request), await draft_of(request)
    try:
        trial = await request.app[PARTS].simulation.add_rule(role.id, draft)
    except Problem as problem:
        return await role_page(request, problem, draft)
    save, back = f"/role/addAcl/{role.id}", f"/role/show/{role.id}"
    return await _trial_page(request, trial, role=role, before=None, after=draft, save=save, back=back)


async def try_changed_rule(request: web.Request) -> web.StreamResponse:
    """Try another content of a rule."""
    (role, rule), draft = await rule_of(request), await draft_of(request)
    try:
        trial = await request.app[PARTS].simulation.edit_rule(role.id, rule.id, draft)
    except Problem as problem:
        return await rule_page(request, role, rule, draft, problem)
    place, before = f"/role/editAcl/{role.id}/{rule.id}", draft_of_rule(rule)
    return await _trial_page(request, trial, role=role, before=before, after=draft, save=place, back=place)


async def try_without_rule(request: web.Request) -> web.StreamResponse:
    """Try to do without a rule."""
    role, rule = await rule_of(request)
    trial = await request.app[PARTS].simulation.delete_rule(role.id, rule.id)
    save, back = f"/role/deleteAcl/{role.id}/{rule.id}", f"/role/show/{role.id}"
    before = draft_of_rule(rule)
    return await _trial_page(request, trial, role=role, before=before, after=None, save=save, back=back)


async def _trial_page(
    request: web.Request, trial: Trial, *, before: RuleDraft | None, after: RuleDraft | None, **shown: Any
) -> web.Response:
    lost = sum(not one.gained for one in trial.differences)
    return await render(
        request,
        "trial.html",
        trial=trial,
        differences=trial.differences[:_MOST_SHOWN],
        lost=lost,
        gained=len(trial.differences) - lost,
        before=before,
        after=after,
        here=shown["back"],
        **shown,
    )
