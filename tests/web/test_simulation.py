"""A change of rules is tried against what was asked for: who loses, who gains; and nothing is changed."""

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit.actors import ADMIN
from web_service import simulation as module
from web_service.access import Level, Rule, decide
from web_service.asked import Asked, AskedFor, Times
from web_service.audit import Audit, Wanted
from web_service.errors import Busy, Invalid, NotFound, Refused
from web_service.groups import Groups
from web_service.roles import RuleDraft
from web_service.simulation import DAYS, Simulation, _compare


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


@pytest.fixture
def decided(monkeypatch):
    """Everything that is decided, one entry a call."""
    calls = []

    def counted(rules, repository, address, requested):
        calls.append((repository, address, tuple(requested), len(rules)))
        return decide(rules, repository, address, requested)

    monkeypatch.setattr(module, "decide", counted)
    return calls


@pytest.mark.usefixtures("requests")
async def test_what_no_changed_rule_concerns_is_not_decided(simulation, asked, users, role, roles, decided):
    other = await roles.create("other", by=ADMIN)
    await roles.add_rule(other.id, RuleDraft("*", "**", "push"), by=ADMIN)
    await users.grant((await users.create("ops", "hash", by=ADMIN)).id, other.id, by=ADMIN)
    asked.note(Asked("ops", "10.0.0.1", f"team/app{number}", "pull", True) for number in range(50))
    nobodys = await roles.create("nobodys", by=ADMIN)
    for role_id, draft in (
        (nobodys.id, RuleDraft("*", "**", "deny")),  # no user has it
        (role.id, RuleDraft("*", "elsewhere/**", "push")),  # nobody asked there
        (role.id, RuleDraft("172.16.0.0/12", "team/**", "push")),  # nor from there
        (role.id, RuleDraft("*", "team/**", "ui-delete")),  # nor for that
        (role.id, RuleDraft("*", "team/**", "pull")),  # it is there already
    ):
        assert (await simulation.add_rule(role_id, draft)).differences == ()
    assert decided == []
    trial = await simulation.add_rule(role.id, RuleDraft("10.0.0.0/8", "team/*", "push"))
    assert told(trial) == [("dev", "10.0.0.1", "team/app", "push", True, 1)]
    assert sorted(one[0] for one in decided) == ["team/app", "team/app"]
    assert sorted(one[3] for one in decided) == [1, 2]  # the rules that apply, and no others


_RULES = st.lists(
    st.builds(
        Rule,
        st.sampled_from(["*", "10.0.0.0/8", "10.0.0.1", "[broken"]),
        st.sampled_from(["**", "team/*", "{user}/app", "team/app", "{broken"]),
        st.sampled_from(Level),
        st.sampled_from(["", "one"]),
        st.sampled_from(["", "team"]),
        st.booleans(),
        st.sampled_from([True, True, False]),
    ),
    max_size=4,
).map(tuple)
_RIGHTS = st.dictionaries(st.sampled_from(["", "dev", "team"]), _RULES)
_ASKED = st.builds(
    Asked,
    st.sampled_from(["", "dev", "team", "gone"]),
    st.sampled_from(["10.0.0.1", "10.9.9.9", "::1", "nonsense"]),
    st.sampled_from(["team/app", "other", "Not/A//name"]),
    st.sampled_from(["pull", "push", "delete", "*", "ui-delete", "other"]),
    st.just(True),
)


@given(common=_RIGHTS, before=_RIGHTS, after=_RIGHTS, asked=st.sets(_ASKED, max_size=30))
def test_it_finds_what_the_plain_way_finds(common, before, after, asked):
    """The plain way decides on everything for everybody, before and after."""
    before, after = (
        {name: (*common.get(name, ()), *rights.get(name, ())) for name in common.keys() | rights.keys()}
        for rights in (before, after)
    )
    plain = set()
    for one in asked:
        was, will_be = (
            bool(decide(rights.get(one.user, ()), one.repository, one.address, (one.action,)).granted)
            for rights in (before, after)
        )
        if was != will_be:
            plain.add((one.user, one.address, one.repository, one.action, will_be))
    found = _compare([Times(one, 1, 7) for one in asked], before, after, threading.Event())
    assert {(one.user, one.address, one.repository, one.action, one.gained) for one in found} == plain
    assert len(found) == len(plain)


@pytest.fixture
def slowly(monkeypatch):
    """Comparing that goes on until it is let go; what it was told when it was given up is in the list."""
    begun, go_on, told = threading.Event(), threading.Event(), []

    def wait(_asked, _before, _after, given_up):
        begun.set()
        go_on.wait(10)
        told.append(given_up.is_set())
        return ()

    monkeypatch.setattr(module, "_compare", wait)
    yield begun, go_on, told
    go_on.set()


async def test_one_tries_at_a_time_and_others_are_told_at_once(simulation, roles, role, slowly):
    begun, go_on, _ = slowly
    draft = RuleDraft("*", "**", "push")
    first = asyncio.create_task(simulation.add_rule(role.id, draft))
    await asyncio.to_thread(begun.wait, 10)
    with pytest.raises(Busy) as caught:
        await simulation.add_rule(role.id, draft)
    assert caught.value.status == 429
    for number in range(8):  # the threads of the database are free, and nobody holds the lock
        await asyncio.wait_for(roles.create(f"meanwhile-{number}", by=ADMIN), 5)
    go_on.set()
    assert (await first).differences == ()
    assert (await simulation.add_rule(role.id, draft)).differences == ()


async def test_a_trial_that_nobody_waits_for_ends(simulation, role, slowly):
    begun, go_on, told = slowly
    trial = asyncio.create_task(simulation.add_rule(role.id, RuleDraft("*", "**", "push")))
    await asyncio.to_thread(begun.wait, 10)
    trial.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trial
    go_on.set()
    await simulation.add_rule(role.id, RuleDraft("*", "**", "push"))
    assert told[0] is True


def test_comparing_stops_when_it_is_given_up(decided):
    rights, given_up = {"dev": (Rule("*", "**", Level.PUSH),)}, threading.Event()
    given_up.set()
    asked = [Times(Asked("dev", "10.0.0.1", "team/app", "pull", True), 1, 7)]
    assert _compare(asked, {}, rights, given_up) == ()
    assert decided == []
