import time

import pytest

from web_service.actors import Actor, Via
from web_service.audit import Audit
from web_service.audit import Wanted as AuditWanted
from web_service.events import Event, Events, Wanted


@pytest.fixture
def events(database):
    return Events(database)


def event(number, **values):
    defaults = {"user": "dev", "action": "push", "repository": "team/app", "tag": str(number), "time": number}
    return Event(event_id=f"id-{number}", **(defaults | values))


async def shown(events, **wanted):
    return [one.event_id for one in (await events.page(Wanted(**wanted))).events]


async def test_what_was_recorded_comes_back_whole(events):
    full = event(1, digest="sha256:1", media_type="m", address="::1", user_agent="docker")
    assert await events.record([full]) == 1
    assert (await events.page(Wanted())).events == (full,)


async def test_an_event_is_recorded_once(events):
    assert await events.record([event(1), event(1)]) == 1
    assert await events.record([event(1), event(2)]) == 1
    assert await shown(events) == ["id-2", "id-1"]


async def test_the_newest_comes_first_also_within_a_second(events):
    await events.record([event(1, time=5), event(2, time=9), event(3, time=5)])
    assert await shown(events) == ["id-2", "id-3", "id-1"]


async def test_filters(events):
    await events.record([event(1), event(2, user="ops"), event(3, action="pull"), event(4, repository="team_b/x")])
    assert await shown(events, user="ops") == ["id-2"]
    assert await shown(events, action="pull") == ["id-3"]
    assert await shown(events, repository="app") == ["id-3", "id-2", "id-1"]
    assert await shown(events, repository="m_b") == ["id-4"]
    assert await shown(events, repository="%") == []
    assert await shown(events, user="dev", action="push", repository="team/") == ["id-1"]


async def test_a_viewer_sees_visible_repositories_and_own_events(events):
    await events.record([event(1), event(2, repository="secret"), event(3, repository="secret", user="me")])
    assert await shown(events, visible=frozenset({"team/app"}), viewer="me") == ["id-3", "id-1"]
    assert await shown(events, visible=frozenset(), viewer="me") == ["id-3"]


async def test_thousands_of_visible_repositories_are_no_problem(events):
    await events.record([event(1)])
    names = frozenset(f"r{number}" for number in range(1300)) | {"team/app"}
    assert await shown(events, visible=names) == ["id-1"]


async def test_what_no_database_keeps_is_replaced_not_refused(events):
    """NUL and half characters, which JSON can spell; otherwise the registry would send the event for ever."""
    await events.record([event(1, user="a\0b", user_agent="x\ud800", tag="\0")])
    (kept,) = (await events.page(Wanted(user="a\0b", repository="team", action="push"))).events
    assert (kept.user, kept.user_agent, kept.tag) == ("a\ufffdb", "x\ufffd", "\ufffd")
    assert await shown(events, repository="\0") == []
    assert await shown(events, user="\ud800", visible=frozenset({"\0"}), viewer="\0") == []


async def test_a_time_of_any_year_is_kept(events):
    late = 253_402_300_799  # the last second of the year 9999
    await events.record([event(1, time=late), event(2, time=-62_135_596_800)])
    assert [one.time for one in (await events.page(Wanted())).events] == [late, -62_135_596_800]


async def test_pages(events):
    await events.record([event(number) for number in range(1, 6)])
    first, last = await events.page(Wanted(), 1, 3), await events.page(Wanted(), 2, 3)
    assert ([one.tag for one in first.events], first.has_next) == (["5", "4", "3"], True)
    assert ([one.tag for one in last.events], last.has_next) == (["2", "1"], False)


async def test_repositories_are_named_once(events):
    await events.record([event(1), event(2), event(3, repository="other")])
    assert await events.repositories() == {"team/app", "other"}


async def test_old_events_are_forgotten(events):
    now = int(time.time())
    await events.record([event(1, time=now - 100), event(2, time=now)])
    assert await events.purge(50) == 1
    assert await shown(events) == ["id-2"]


async def test_a_deletion_is_on_record_once_whoever_made_it(database):
    events, audit = Events(database), Audit(database)
    digest = "sha256:" + "a" * 64
    gone = Event("d1", 7, "dev", "delete", "team/app", digest=digest, address="10.0.0.1")
    tag = Event("d2", 7, "dev", "delete", "team/tagged", tag="1.0", address="10.0.0.1")
    await events.record([gone, tag, Event("p1", 7, "dev", "push", "team/app", tag="1.0")])
    await events.record([gone, tag])  # told again
    entries = (await audit.page(AuditWanted())).entries
    assert [(one.actor, one.via, one.address, one.action, one.subject) for one in entries] == [
        ("dev", "docker", "10.0.0.1", "image.delete", "team/tagged:1.0"),
        ("dev", "docker", "10.0.0.1", "image.delete", f"team/app@{digest}"),
    ]


async def test_what_the_console_has_put_on_record_is_not_told_again_by_its_events(database):
    events, audit = Events(database), Audit(database)
    boss = Actor("boss", Via.CONSOLE, "10.0.0.1")
    await audit.record(boss, "image.delete", "team/app@sha256:1", repository="team/app", tags=["1.0"])
    await events.record(
        [
            Event("d1", 7, "boss", "delete", "team/app", digest="sha256:1"),
            Event("d2", 7, "boss", "delete", "team/app", tag="1.0"),
            Event("d3", 7, "dev", "delete", "team/app", digest="sha256:1"),  # somebody else
        ]
    )
    entries = (await audit.page(AuditWanted())).entries
    assert [(one.actor, one.via) for one in entries] == [("dev", "docker"), ("boss", "console")]
