"""Questions that a place asks again and again by itself, without getting in their own way."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from textual.css.query import NoMatches

from registry_tui.screens.base.asking import Question

if TYPE_CHECKING:
    from textual.timer import Timer

    from registry_tui.screens.base.program import Program

#: A pause is at least so many times as long as the last answer took, so that a slow service is asked less.
REST = 1.0
#: Seconds of the longest pause, also after errors, each of which doubles it.
LONGEST = 30.0


class Asker(Protocol):
    """A place that asks the service; every `FrameScreen` is one."""

    @property
    def program(self) -> Program: ...

    @property
    def is_attached(self) -> bool: ...

    @property
    def is_current(self) -> bool: ...

    def ask(self, question: Question, group: str, *, again: bool = True) -> None:
        """Asks, unless the group's last question is under way."""

    def asks(self, group: str) -> bool:
        """Whether a question of the group is under way."""

    def set_timer(self, delay: float, callback: Callable[[], None] | None = None, *, name: str | None = None) -> Timer:
        """Calls back after so many seconds."""


class Every:
    """Asks every `seconds` while the place is in view: only once the last answer is there, and less often when answers
    take long or fail. Nothing is asked while the place is not seen, or the service does not answer.
    """

    def __init__(
        self,
        frame: Asker,
        seconds: float,
        ask: Callable[[], Awaitable[None]],
        *,
        group: str,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """`group` names the question: see `Working.ask`. `wanted` says whether there is anything to ask for now."""
        self._frame, self._seconds, self._ask, self._group, self._wanted = frame, seconds, ask, group, wanted
        self._timer: Timer | None = None
        self._failures = 0

    def begin(self) -> None:
        """Asks for the first time in a while, then again and again as long as the place exists."""
        self._wait(self._seconds)

    def now(self) -> None:
        """Asks at once, and restarts the pause; a question that is under way is asked once more behind it."""
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
