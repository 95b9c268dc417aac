"""A list of runs polls by itself: often while a run in view runs, now and then for a new one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from registry_tui.screens.base.every import Every
from registry_tui.screens.tracking.run_list import RunList

if TYPE_CHECKING:
    from registry_tui.schemas.tracking import Run

#: Seconds between two polls while a run in view runs; multiplied over SSH.
EVERY, OVER_SSH = 3.0, 3
#: While none runs, only the newest run is requested, once in so many polls.
AT_REST = 5
#: States of a run that are not final.
UNFINISHED = frozenset({"RUNNING", "SCHEDULED"})


class Following:
    """Reloads the rows in view; the table repaints only the differences, and keeps cursor, marks and scroll."""

    def __init__(self, screen: RunList) -> None:
        self._screen = screen
        self._looks = 0

    def begin(self) -> None:
        """Polls from now on, for the lifetime of the screen."""
        slower = OVER_SSH if self._screen.program.preferences.over_ssh else 1
        Every(self._screen, EVERY * slower, self._look, group="look-again").begin()

    @property
    def runs(self) -> bool:
        """Whether a run in view is not finished."""
        return any(run.status in UNFINISHED for run in self._in_view())

    def _in_view(self) -> Iterable[Run]:
        table = self._screen.table
        top, source = table.scroll_offset.y, table.source
        rows = [] if source is None else [source.row(index) for index in range(top, top + table.size.height)]
        return [row for row in rows if row is not None]

    async def _look(self) -> None:
        table = self._screen.table
        if table.source is None or not table.source.started:
            return
        if self.runs:
            await table.reloaded()
            return
        self._looks += 1
        if self._looks % AT_REST == 0:
            await self._look_for_new()

    async def _look_for_new(self) -> None:
        """One row, so that polling an idle list costs next to nothing."""
        screen = self._screen
        newest = await screen.newest_run()
        source = screen.table.source
        if newest is None or source is None or newest.started_at is None:
            return
        known: list[Any] = source.loaded_rows()
        began: list[datetime] = [run.started_at for run in known if run.started_at is not None]
        if newest.id not in {run.id for run in known} and (not began or newest.started_at >= max(began)):
            screen.table.reload()
