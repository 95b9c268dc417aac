"""Periodic requests of a place that do not pile up."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from textual.css.query import NoMatches

from registry_tui.screens.base.asking import Question

if TYPE_CHECKING:
    from textual.timer import Timer

    from registry_tui.screens.base.program import Program

#: A pause is at least so many times as long as the last response took, to reduce the load on a slow service.
REST = 1.0
#: Seconds of the longest pause, also after errors, each of which doubles it.
LONGEST = 30.0


class Asker(Protocol):
    """A place that sends requests; every `FrameScreen` is one."""

    @property
    def program(self) -> Program: ...

    @property
    def is_attached(self) -> bool: ...

    @property
    def is_current(self) -> bool: ...

    def ask(self, question: Question, group: str, *, again: bool = True) -> None:
        """Sends a request, unless the group's last one is in flight."""

    def asks(self, group: str) -> bool:
        """Whether a request of the group is in flight."""

    def set_timer(self, delay: float, callback: Callable[[], None] | None = None, *, name: str | None = None) -> Timer:
        """Calls back after so many seconds."""


class Every:
    """Polls every `seconds` while the place is in view: only after the last response, and less often when responses
    take long or fail. Pauses while the place is not visible, or the service does not respond."""

    def __init__(
        self,
        frame: Asker,
        seconds: float,
        ask: Callable[[], Awaitable[None]],
        *,
        group: str,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """`group` names the request: see `Working.ask`. `wanted` returns whether there is anything to request now."""
        self._frame, self._seconds, self._ask, self._group, self._wanted = frame, seconds, ask, group, wanted
        self._timer: Timer | None = None
        self._failures = 0

    def begin(self) -> None:
        """Polls for the first time after a while, then repeatedly for the lifetime of the place."""
        self._wait(self._seconds)

    def now(self) -> None:
        """Requests immediately, and restarts the pause; behind a request in flight it is queued."""
        if self._possible():
            self._stop()
            self._frame.ask(self._look, self._group)

    def _possible(self) -> bool:
        try:
            return self._frame.is_current and self._frame.program.answering and self._wanted()
        except NoMatches:  # the place is being taken apart
            return False

    def _wait(self, seconds: float) -> None:
        self._stop()
        if self._frame.is_attached:
            self._timer = self._frame.set_timer(seconds, self._tick, name=self._group)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _tick(self) -> None:
        frame = self._frame
        if frame.asks(self._group) or not self._possible():
            self._wait(self._seconds)
        else:
            frame.ask(self._look, self._group)

    async def _look(self) -> None:
        began = time.monotonic()
        try:
            await self._ask()
            self._failures = 0
        except Exception:
            self._failures += 1
            raise
        finally:
            took = REST * (time.monotonic() - began)
            self._wait(min(LONGEST, max(self._seconds * 2 ** min(self._failures, 10), took)))
