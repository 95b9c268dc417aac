"""Notifies users who look elsewhere of the end of work that they started."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from registry_tui.app.watching import Watching
from registry_tui.terminal.notifications import notification
from registry_tui.terminal.textual_private import write_raw

if TYPE_CHECKING:
    from registry_tui.schemas.operations import Workflow

#: IDs of ended workflows that are kept, so that none is reported twice.
KEPT = 200


class Notifying(Watching):
    """The part of the program that reports the end of the user's own work through the terminal."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        #: IDs of the acting user's workflows that were seen running, and of those that ended.
        self._own: set[str] = set()
        self._ended: deque[str] = deque(maxlen=KEPT)

    def work_seen(self, work: Workflow) -> None:
        """Notifies of the end of the acting user's workflow, once, while the terminal has no focus."""
        if work.actor != self.user or work.id in self._ended:
            return
        if not work.status.finished:
            self._own.add(work.id)
            return
        self._own.discard(work.id)
        self._ended.append(work.id)
        if not self.app_focus:
            from registry_tui.wording.text import safe

            text = safe(f"{work.kind.value} of {work.resource_name}: {work.status.value}", 200)
            write_raw(self, notification(text, self.preferences.terminal.notify))

    async def works_seen(self, active: Sequence[Workflow]) -> None:
        """Requests the outcome of those that no longer run: without a stream there was no report of it."""
        from registry_tui.client import NotFound

        for work in active:
            self.work_seen(work)
        for gone in self._own - {work.id for work in active}:
            try:
                self.work_seen(await self.client.workflow(gone))
            except NotFound:
                self._own.discard(gone)
