"""Keeps objects of a process's start, which live until its end, out of Python's garbage collection.

Collecting them takes a third of the CPU time of a start, and as much again at the end, for nothing.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: New objects after which Python collects garbage among them, at most some megabytes.
THRESHOLD = 20_000


@contextmanager
def lasting() -> Iterator[None]:
    """Disables garbage collection during a start, and excludes the objects made until its end from then on."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        # With Python's own 700, a page of thousands of rows is traversed a dozen times.
        gc.set_threshold(THRESHOLD, 10, 10)
        gc.enable()


def none_at_the_end() -> None:
    """Has this process end without a last collection: its memory goes with it.

    Call it first: exit handlers registered later run before.
    """
    atexit.register(gc.freeze)
