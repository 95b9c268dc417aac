"""The private names of DBOS that the engine uses: all of them, here only (`tests/support/private_names/`)."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbos import DBOS


def go_on_with(dbos: type[DBOS], executor: str) -> None:
    """Puts the workflows into the queue that a process has left, from which one process takes each."""
    dbos._recover_pending_workflows([executor])


def background_stops(instance: DBOS) -> Iterable[threading.Event]:
    """Events that end the threads of a launched DBOS for queues, schedules, delays and time limits.

    Where a newer DBOS lacks one, its threads stay: they cost a query a second each.
    """
    yield from getattr(instance, "background_thread_stop_events", ())
    if (jobs := getattr(instance, "_background_jobs_stop_event", None)) is not None:
        yield jobs
