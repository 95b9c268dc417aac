"""Work on the database that must be done: it waits while the database is unavailable, busy or full."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from registry_tui.platform.databases import database_fault
from registry_tui.schemas.operations import Progress
from registry_tui.service.engine.steps import Interrupted

T = TypeVar("T")

logger = logging.getLogger(__name__)

#: Seconds of the first and the longest pause before something is tried again.
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0


class Patience:
    """How long a failing step is retried: from its first failure, or since it last got further than before."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end: float | None = None
        self._pause = FIRST_PAUSE
        self._furthest = 0

    def next_pause(self, progress: Progress | None) -> float | None:
        """Seconds until the next try of a failed step, given its progress; None to give up."""
        done = 0 if progress is None else progress.bytes_done + progress.files_done
        if self._end is None or done > self._furthest:
            self._furthest = max(done, self._furthest)
            self._end, self._pause = time.monotonic() + self._seconds, FIRST_PAUSE
        pause = self._pause
        self._pause = min(pause * 2, LONGEST_PAUSE)
        return None if time.monotonic() + pause > self._end else pause


def patiently(work: Callable[[], T], stopping: threading.Event) -> T:
    """Runs the work, and retries after transient faults of the database. It may run more than once.

    Raises the other errors of the work, and Interrupted when the service stops meanwhile.
    """
    pause, logged = FIRST_PAUSE, ""
    while True:
        try:
            return work()
        except Exception as error:
            fault = database_fault(error)
            if fault is None or fault.final:
                raise
            if fault.detail != logged:
                logger.warning("%s; trying again: %s", fault.detail, error)
                logged = fault.detail
        if stopping.wait(pause):
            raise Interrupted
        pause = min(pause * 2, LONGEST_PAUSE)
