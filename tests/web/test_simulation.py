"""A change of rules is tried against what was asked for: who loses, who gains; and nothing is changed."""

import pytest

from tests.kit.actors import ADMIN
from web_service.asked import Asked, AskedFor
from web_service.audit import Audit, Wanted
from web_service.errors import Invalid, NotFound, Refused
from web_service.groups import Groups
from web_service.roles import RuleDraft
from web_service.simulation import DAYS, Simulation


@pytest.fixture
def asked(database):
    return AskedFor(database)


@pytest.fixture
def simulation(database, users, asked):
    return Simulation(database, asked)


@pytest.fixture
async def role(users, roles):
    """A role that pulls team/**, held by `dev` and, through a group, by `ci`."""
    role = await roles.create("team", by=ADMIN)
    await roles.add_rule(role.id, RuleDraft("*", "team/**", "pull"), by=ADMIN)
    await users.grant((await users.create("dev", "hash", by=ADMIN)).id, role.id, by=ADMIN)
    return await roles.get(role.id)


@pytest.fixture
async def requests(asked, role):
    """Requests of the last days, as they were answered."""
    asked.note(
        [
            Asked("dev", "10.0.0.1", "team/app", "pull", allowed=True),
            Asked("dev", "10.0.0.1", "team/app", "pull", allowed=True),
            Asked("dev", "192.168.0.1", "team/app", "pull", allowed=True),
            Asked("dev", "10.0.0.1", "team/app", "push", allowed=False),
            Asked("dev", "10.0.0.1", "other", "pull", allowed=False),
            Asked("gone", "10.0.0.1", "team/app", "pull", allowed=True),
            Asked("", "10.0.0.1", "team/app", "pull", allowed=False),
        ]
    )


def told(trial):
    return [(one.user, one.address, one.repository, one.action, one.gained, one.times) for one in trial.differences]


@pytest.mark.usefixtures("requests")
async def test_who_would_gain(simulation, role):
    trial = await simulation.add_rule(role.id, RuleDraft("*", "**", "push"))
    assert told(trial) == [
        ("dev", "10.0.0.1", "other", "pull", True, 1),
        ("dev", "10.0.0.1", "team/app", "push", True, 1),
    ]
    assert (trial.looked_at, trial.days) == (6, DAYS)


@pytest.mark.usefixtures("requests")
async def test_who_would_lose(simulation, role):
    trial = await simulation.edit_rule(role.id, role.rules[0].id, RuleDraft("10.0.0.0/8", "team/**", "pull"))
    assert told(trial) == [("dev", "192.168.0.1", "team/app", "pull", False, 1)]
    trial = await simulation.delete_rule(role.id, role.rules[0].id)
    assert told(trial) == [
        ("dev", "10.0.0.1", "team/app", "pull", False, 2),
        ("dev", "192.168.0.1", "team/app", "pull", False, 1),
    ]
    trial = await simulation.add_rule(role.id, RuleDraft("*", "team/app", "deny"))
    assert {one.gained for one in trial.differences} == {False}
    assert len(trial.differences) == 2


@pytest.mark.usefixtures("requests")
async def test_losses_come_before_gains(simulation, role):
    trial = await simulation.edit_rule(role.id, role.rules[0].id, RuleDraft("*", "other", "pull"))
    assert [(one.repository, one.gained) for one in trial.differences] == [
        ("team/app", False),
        ("team/app", False),
        ("other", True),
    ]


@pytest.mark.usefixtures("requests")
async def test_the_public_and_groups_count_as_well(simulation, asked, users, roles, role, database):
    groups, ci = Groups(database), await users.create_robot("ci", by=ADMIN)
    group = await groups.create("machines", by=ADMIN)
    await groups.add_member(group.id, ci.id, by=ADMIN)
    await groups.grant(group.id, role.id, by=ADMIN)
    asked.note([Asked("ci", "10.0.0.9", "team/app", "push", allowed=False)])
    trial = await simulation.add_rule(role.id, RuleDraft("10.0.0.9", "team/**", "push"))
    assert told(trial) == [("ci", "10.0.0.9", "team/app", "push", True, 1)]
    public = await roles.named("anonymous")
    await roles.set_enabled(public.id, enabled=True, by=ADMIN)
    trial = await simulation.add_rule(public.id, RuleDraft("*", "team/**", "pull"))
    assert told(trial) == [("", "10.0.0.1", "team/app", "pull", True, 1)]


@pytest.mark.usefixtures("requests")
async def test_a_trial_leaves_no_trace(simulation, roles, role, database):
    before = (await roles.all(), (await Audit(database).page(Wanted())).entries)
    await simulation.add_rule(role.id, RuleDraft("*", "**", "push"))
    await simulation.edit_rule(role.id, role.rules[0].id, RuleDraft("*", "**", "push"))
    await simulation.delete_rule(role.id, role.rules[0].id)
    assert (await roles.all(), (await Audit(database).page(Wanted())).entries) == before


async def test_a_change_that_cannot_be_made_cannot_be_tried(simulation, roles, role):
    with pytest.raises(Invalid):
        await simulation.add_rule(role.id, RuleDraft("*", "", "pull"))
    with pytest.raises(NotFound):
        await simulation.delete_rule(role.id, 99)
    with pytest.raises(Refused):
        await simulation.add_rule((await roles.named("UI_ADMIN")).id, RuleDraft("*", "**", "pull"))
