"""How quickly workflows move bytes, measured between polls."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from registry_tui.wording.words import duration, size

if TYPE_CHECKING:
    from registry_tui.schemas.operations import Workflow


class Paces:
    """Remembers when each workflow's current step was first seen, and its progress then."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[str | None, float, int]] = {}

    def words(self, work: Workflow, now: float | None = None) -> str:
        """`12 MB of 40 MB, 6 MB/s, 5 s left` for a step that moves bytes, as far as known; else an empty text.

        `now`: seconds of `time.monotonic`.
        """
        progress, now = work.progress, time.monotonic() if now is None else now
        if work.status.finished or not progress.bytes_total:
            self._first.pop(work.id, None)
            return ""
        step, since, done = self._first.get(work.id, (work.step, now, progress.bytes_done))
        if step != work.step or progress.bytes_done < done:
            since, done = now, progress.bytes_done
        self._first[work.id] = (work.step, since, done)
        words = f"{size(progress.bytes_done)} of {size(progress.bytes_total)}"
        if now - since < 0.2 or progress.bytes_done == done:
            return words
        rate = (progress.bytes_done - done) / (now - since)
        left = (progress.bytes_total - progress.bytes_done) / rate
        return f"{words}, {size(round(rate))}/s, {duration(left)} left"
