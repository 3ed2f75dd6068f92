"""Several processes on one port: a supervisor that starts them, replaces those that die, and exchanges them all.

The supervisor opens the port once for each worker, a door, and keeps all doors open: a connection that waits at one is
not lost when its worker dies or goes, for the next worker in that place inherits the door. One more process, the
keeper, does the background work. The supervisor forks, which is quick and shares the memory of the code; for that it
has neither threads nor an event loop. It knows nothing of registries: what a child does comes from `__main__`.
"""

import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from registry_service.children import Child, Link, exit_reason, fork, open_bell
from registry_service.signals import Signals
from shared.config import ConfigError
from shared.logs import fields

C = TypeVar("C")

log: Final = logging.getLogger("registry.workers")

_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 2.0
"""Meanwhile connections wait at its door."""
_STABLE_SECONDS: Final = 10.0
"""A child that has lived so long had no trouble with its start."""
_GRACE_SECONDS: Final = 5.0
"""How much longer than its own patience a child may take to end before it is killed."""


@dataclass(frozen=True)
class Plan(Generic[C]):
    """What a generation of children is made from: the configuration, the doors, the number of workers.

    There are at least as many doors as workers; those beyond are shared out among them. `patience` is how many seconds
    a child may take for its requests in flight.
    """

    config: C
    doors: Sequence[Sequence[socket.socket]]
    workers: int
    patience: float

    @property
    def sockets(self) -> list[socket.socket]:
        """Return the sockets of all doors."""
        return [one for door in self.doors for one in door]

    def sockets_of(self, number: int) -> list[socket.socket]:
        """Return those of a worker; workers count from 1, and 0 is the keeper, who has none."""
        return [one for door in self.doors[number - 1 :: self.workers] for one in door] if number else []


@dataclass
class _Slot:
    """A place that one child at a time fills, the keeper's or a worker's.

    `due` is when the next one is to be started (monotonic seconds).
    """

    number: int
    child: Child | None = None
    failures: int = 0
    due: float = 0.0

    @property
    def role(self) -> str:
        return f"worker {self.number}" if self.number else "keeper"


@dataclass
class _Generation(Generic[C]):
    """Children of one plan: coming until `announced`, then serving, and leaving since the time they were told to go."""

    plan: Plan[C]
    slots: list[_Slot]
    announced: bool = False
    leaving_since: float | None = None

    @property
    def ready(self) -> bool:
        return all(slot.child is not None and slot.child.ready for slot in self.slots)

    @property
    def last_moment(self) -> float:
        """Return when those that still leave are killed, in monotonic seconds."""
        return (self.leaving_since or 0.0) + self.plan.patience + _GRACE_SECONDS


class Supervisor(Generic[C]):
    """Runs `work` in every worker and `keep` in the keeper; both end on SIGTERM, or when the link says so.

    `renew` returns the plan of the next generation on SIGHUP, and raises ConfigError for one that cannot be used.
    `announce` is told of each plan whose children are all ready, and whether it is the first.
    """

    def __init__(
        self,
        work: Callable[[Plan[C], Link], None],
        keep: Callable[[Plan[C], Link], None],
        *,
        renew: Callable[[Plan[C]], Plan[C]],
        announce: Callable[[Plan[C], bool], None],
    ) -> None:
        self._work, self._keep, self._renew, self._announce = work, keep, renew, announce
        self._generations: list[_Generation[C]] = []
        self._plan: Plan[C]
        self._stopping = self._was_ready = False
        self._refusal = ""
        self._bell = open_bell()
        self._far_end, self._lifeline = os.pipe()

    def run(self, plan: Plan[C]) -> None:
        """Supervise until SIGTERM or SIGINT; raises ConfigError when the first children say that they cannot start."""
        with Signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD) as self._signals:
            self._begin(plan)
            while self._generations:
                self._wait()
                for number in self._signals.arrived():
                    self._take(number)
                self._reap()
                self._look_after_all()
        if self._refusal:
            raise ConfigError(self._refusal)

    def _begin(self, plan: Plan[C]) -> None:
        self._plan = plan
        self._generations.append(_Generation(plan, [_Slot(number) for number in range(plan.workers + 1)]))
        self._look_after_all()

    def _wait(self) -> None:
        """Sleep until a signal, a report of a child, or the time to do something."""
        reports = {child.report: child for child in self._children() if child.report >= 0}
        times = [slot.due for one in self._generations for slot in one.slots if slot.child is None]
        times += [one.last_moment for one in self._generations if one.leaving_since is not None]
        timeout = max(0.0, min(times) - time.monotonic()) if times else None
        readable, _, _ = select.select([self._signals.descriptor, *reports], [], [], timeout)
        for descriptor in readable:
            if descriptor in reports:
                reports[descriptor].read_report()

    def _take(self, number: int) -> None:
        if number == signal.SIGHUP and not self._stopping:
            self._reload()
        elif number in (signal.SIGTERM, signal.SIGINT):
            self._stop()

    def _stop(self) -> None:
        self._stopping = True
        for generation in list(self._generations):
            for one in generation.plan.sockets:
                one.close()
            self._dismiss(generation)

    def _reload(self) -> None:
        """Start the next generation; one that is still coming is given up for it."""
        try:
            plan = self._renew(self._plan)
        except ConfigError as error:
            log.error("the configuration cannot be used, and the one before stays", extra=fields(reason=error))  # noqa: TRY400
            return
        log.info("reloading", extra=fields(workers=plan.workers))
        self._begin(plan)
        for coming in [one for one in self._generations[:-1] if not one.announced]:
            self._dismiss(coming)

    def _reap(self) -> None:
        for generation in list(self._generations):
            for slot in list(generation.slots):
                child = slot.child
                if child is not None and (code := child.poll()) is not None:
                    slot.child = None
                    self._lose(generation, slot, child, code)
            self._forget_if_empty(generation)

    def _lose(self, generation: _Generation[C], slot: _Slot, child: Child, code: int) -> None:
        """Deal with the end of a child: one that was told to go, one that cannot start, one that died."""
        if generation.leaving_since is not None:
            generation.slots.remove(slot)
            return
        if child.refusal and not generation.announced:
            self._give_up(generation, child.refusal)
            return
        now = time.monotonic()
        slot.failures = 0 if now - child.began >= _STABLE_SECONDS else slot.failures + 1
        pause = min(_FIRST_PAUSE_SECONDS * 2**slot.failures, _LONGEST_PAUSE_SECONDS) if slot.failures > 1 else 0.0
        slot.due = now + pause
        log.error(
            "a process has died and is replaced",
            extra=fields(role=slot.role, pid=child.pid, reason=child.refusal or exit_reason(code), pause=pause or None),
        )

    def _give_up(self, generation: _Generation[C], reason: str) -> None:
        """Take a generation back that cannot start; if no other serves, that is the end."""
        serving = [one for one in self._generations if one.announced and one.leaving_since is None]
        if serving:
            log.error("the new processes cannot start, and those before stay", extra=fields(reason=reason))
            self._plan = serving[-1].plan
            self._dismiss(generation)
        else:
            self._refusal = self._refusal or reason
            self._stop()

    def _look_after_all(self) -> None:
        now = time.monotonic()
        for generation in list(self._generations):
            if generation.leaving_since is not None:
                self._kill_if_late(generation, now)
                continue
            for slot in generation.slots:
                if slot.child is None and slot.due <= now:
                    slot.child = self._fork(generation.plan, slot.number)
            if generation.ready and not generation.announced:
                self._settle(generation)

    def _settle(self, generation: _Generation[C]) -> None:
        """Let those go that a generation replaces, now that it can do their work."""
        generation.announced = True
        self._announce(generation.plan, not self._was_ready)
        self._was_ready = True
        for older in self._generations[: self._generations.index(generation)]:
            self._dismiss(older)

    def _dismiss(self, generation: _Generation[C]) -> None:
        if generation.leaving_since is None:
            generation.leaving_since = time.monotonic()
        generation.slots = [slot for slot in generation.slots if slot.child is not None]
        for slot in generation.slots:
            if slot.child is not None:
                slot.child.send(signal.SIGTERM)

    def _kill_if_late(self, generation: _Generation[C], now: float) -> None:
        if now < generation.last_moment:
            return
        generation.leaving_since = now
        for slot in generation.slots:
            if slot.child is not None:
                log.error("a process does not end and is killed", extra=fields(role=slot.role, pid=slot.child.pid))
                slot.child.send(signal.SIGKILL)

    def _forget_if_empty(self, generation: _Generation[C]) -> None:
        if not generation.slots:
            self._generations.remove(generation)
            for one in self._sockets_of_none_but(generation.plan, generation.plan.sockets):
                one.close()

    def _sockets_of_none_but(self, plan: Plan[C], sockets: list[socket.socket]) -> list[socket.socket]:
        """Return those of the sockets that no other plan than this one has."""
        kept = {one for other in self._generations if other.plan is not plan for one in other.plan.sockets}
        return [one for one in sockets if one not in kept]

    def _children(self) -> list[Child]:
        return [slot.child for one in self._generations for slot in one.slots if slot.child is not None]

    def _fork(self, plan: Plan[C], number: int) -> Child:
        def prepare() -> None:
            self._signals.restore()
            for descriptor in (self._lifeline, *(child.report for child in self._children())):
                if descriptor >= 0:
                    os.close(descriptor)
            for one in {one for other in self._generations for one in other.plan.sockets} - {*plan.sockets_of(number)}:
                one.close()

        run = self._work if number else self._keep
        return fork(prepare, lambda report: run(plan, Link(number, report, self._far_end, self._bell)))
