"""Waiting that counts the program's own time: on a busy machine a second may pass before it gets any work done."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.message_pump import MessagePump
    from textual.timer import Timer

#: Seconds between two checks, and how much later than that a check may come to count.
TICK, LATE = 0.1, 0.05


class Patience:
    """Calls a function after some seconds in which the program kept up with its work; starts immediately.

    A late check shows that the program was kept from its work meanwhile, or had much of it: the awaited event had no
    time to happen, and the time does not count.
    """

    def __init__(self, pump: MessagePump, seconds: float, then: Callable[[], object], name: str) -> None:
        self._pump, self._then, self._name = pump, then, name
        self._looks = max(1, round(seconds / TICK))
        self._due = 0.0
        self._timer: Timer | None = None
        self._wait()

    def stop(self) -> None:
        """Ends without the call."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _wait(self) -> None:
        self._due = time.monotonic() + TICK
        self._timer = self._pump.set_timer(TICK, self._look, name=self._name)

    def _look(self) -> None:
        if self._timer is None:
            return  # it was stopped during this check
        if time.monotonic() < self._due + LATE:
            self._looks -= 1
        if self._looks:
            self._wait()
        else:
            self._timer = None
            self._then()
