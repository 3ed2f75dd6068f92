"""Signals as something to wait for, in a process without an event loop."""

import signal
import socket
from typing import Final, Self

_MANY_BYTES: Final = 4096


class Signals:
    """Collects some signals while inside; `descriptor` becomes readable when one has arrived."""

    def __init__(self, *numbers: signal.Signals) -> None:
        self._numbers = numbers
        self._before: dict[signal.Signals, object] = {}
        self._near, self._far = socket.socketpair()
        self.descriptor = self._near.fileno()

    def __enter__(self) -> Self:
        for one in (self._near, self._far):
            one.setblocking(False)
        signal.set_wakeup_fd(self._far.fileno(), warn_on_full_buffer=False)
        for number in self._numbers:
            self._before[number] = signal.signal(number, _do_nothing)
        return self

    def __exit__(self, *_: object) -> None:
        self.restore()

    def arrived(self) -> list[int]:
        """Return the signals that have arrived since the last call."""
        try:
            return [number for number in self._near.recv(_MANY_BYTES) if number in self._numbers]
        except BlockingIOError:
            return []

    def restore(self) -> None:
        """Let signals do again what they did before; also for a child that was forked meanwhile."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before = {}
        self._near.close()
        self._far.close()


def _do_nothing(number: int, frame: object) -> None:
    """Be a handler: only a signal with one wakes the descriptor."""
