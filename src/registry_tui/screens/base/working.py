"""Work that never blocks: coroutines in named worker groups, changes that are sent once, one handler of errors."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from registry_tui.screens.base.asking import Asking
from registry_tui.screens.base.program import Program


def _close_unstarted(*works: Coroutine[Any, Any, None]) -> None:
    for work in works:
        if inspect.getcoroutinestate(work) == inspect.CORO_CREATED:
            work.close()


class Working(Asking):
    """For screens and dialogs: coroutines in named worker groups, with one place for errors."""

    if TYPE_CHECKING:
        # From Textual's `Widget`, which every subclass is.
        is_attached: bool

    @property
    def program(self) -> Program:
        """The app, as screens know it."""
        return cast(Program, self.app)  # type: ignore[attr-defined]

    def work_on(self, work: Coroutine[Any, Any, None], group: str, *, exclusive: bool = True) -> None:
        """Runs it; the group's earlier work is cancelled first, so that no stale response arrives."""
        guarded = self._guarded(work)
        self.run_worker(guarded, group=group, exclusive=exclusive, exit_on_error=False)  # type: ignore[attr-defined]
        # After the worker's first step: a coroutine cancelled before that is closed, or Python would warn that it was
        # never awaited.
        asyncio.get_running_loop().call_soon(_close_unstarted, guarded, work)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            self.failed(error)

    def change(self, words: str, send: Callable[[], Awaitable[Any]], then: Callable[[Any], None]) -> None:
        """Sends a change, once: see `changes.Changes.send_change`."""
        self.program.send_change(words, self, send, then)

    def failed(self, error: Exception) -> None:
        """The one handler of errors; dialogs show them in place."""
        self.program.report(error)
