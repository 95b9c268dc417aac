"""What a process imports and builds at its start stays until its end: Python's search for garbage leaves it out.

Such a search takes a third of the CPU time of a start, and as much again at the end, for nothing.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: New objects after which Python looks for garbage among them, at most some megabytes.
THRESHOLD = 20_000


@contextmanager
def lasting() -> Iterator[None]:
    """Around a start: looks for no garbage meanwhile, and never among what was made until then."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        # With Python's own 700, looking for garbage goes through a page of thousands of rows a dozen times.
        gc.set_threshold(THRESHOLD, 10, 10)
        gc.enable()


def none_at_the_end() -> None:
    """Has this process end without a last search for garbage: its memory goes with it.

    Call it first: what others arranged for the end comes before.
    """
    atexit.register(gc.freeze)
