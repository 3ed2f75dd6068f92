"""Child processes of a supervisor: forking one, hearing from it, seeing it end."""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NoReturn

from shared.config import ConfigError

log: Final = logging.getLogger("registry.workers")

_READY: Final = b"ready"
_LONGEST_REPORT_BYTES: Final = 4096
_REFUSED: Final = 2
_FAILED: Final = 1


@dataclass(frozen=True)
class Link:
    """What a child has of its supervisor: its number, 0 for the keeper, and descriptors.

    `lifeline` is readable once the supervisor is gone; `bell` is an eventfd that workers ring and the keeper hears.
    """

    number: int
    report: int
    lifeline: int
    bell: int

    def ready(self) -> None:
        """Tell the supervisor that the child does its work."""
        os.write(self.report, _READY)

    def ring(self) -> None:
        """Tell the keeper that there is something to deliver."""
        try:
            os.eventfd_write(self.bell, 1)
        except BlockingIOError:
            return  # it has been rung so often that the keeper knows

    def heard(self) -> None:
        """Take note of the bell, so that it can be heard again."""
        try:
            os.eventfd_read(self.bell)
        except BlockingIOError:
            return


@dataclass
class Child:
    """A running child; `refusal` is why it cannot start, in its own words."""

    pid: int
    report: int
    began: float = field(default_factory=time.monotonic)
    ready: bool = False
    refusal: str = ""

    def read_report(self) -> None:
        """Take what the child says of its start."""
        text = os.read(self.report, _LONGEST_REPORT_BYTES)
        self.ready = text == _READY
        self.refusal = "" if self.ready else text.decode(errors="replace")
        self._close()

    def poll(self) -> int | None:
        """Return the exit code once the child has ended, negative for a signal, else None."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return None
        if self.report >= 0:
            self.read_report()
        return os.waitstatus_to_exitcode(status)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; the child has not been waited for, so the process id is its own."""
        os.kill(self.pid, number)

    def _close(self) -> None:
        os.close(self.report)
        self.report = -1


def open_bell() -> int:
    """Return a descriptor that processes ring and hear, inherited by those that are forked."""
    return os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)


def fork(prepare: Callable[[], None], run: Callable[[int], None]) -> Child:
    """Start a child that runs `prepare`, then `run` with the descriptor of its reports, and ends with it.

    `prepare` lays down what belongs to the parent, such as its handlers of signals: none arrives until it is through.
    """
    near, far = os.pipe()
    sys.stdout.flush()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _live(near, far, prepare, run, before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    os.close(far)
    return Child(pid, near)


def _live(near: int, far: int, prepare: Callable[[], None], run: Callable[[int], None], mask: set[int]) -> NoReturn:
    code = _FAILED
    try:
        os.close(near)
        prepare()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it is for the supervisor
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        run(far)
        code = 0
    except ConfigError as error:
        code = _REFUSED
        os.write(far, str(error).encode()[:_LONGEST_REPORT_BYTES])
    except KeyboardInterrupt:  # before it could say that it waits for this signal
        code = 0
    except BaseException:
        log.exception("a process fails")
    finally:
        sys.stdout.flush()
        os._exit(code)


def exit_reason(code: int) -> str:
    """Return what an exit code says, in words."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
