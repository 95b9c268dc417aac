"""The pauses of a loop that rests while it has no work."""

from __future__ import annotations

import threading
from collections.abc import Sequence


class Resting:
    """Pauses of `seconds` while the loop has work; else until a commit writes a row of one of the tables.

    Where other processes write to the same database too, their commits have to `wake` it (`loops/others.py`).
    """

    def __init__(self, seconds: float, *tables: type[object]) -> None:
        self._seconds, self.tables = seconds, tables
        self._woken = threading.Event()
        #: Whether the last look found work. True before the first look.
        self.wanted = True

    def written(self, rows: Sequence[object]) -> None:
        """Ends a rest when a commit wrote rows that may need the loop (`Database.committed`)."""
        if any(isinstance(row, self.tables) for row in rows):
            self._woken.set()

    def wake(self) -> None:
        """Ends a rest."""
        self._woken.set()

    def pause(self, stopping: threading.Event) -> bool:
        """Waits until the next look; False when the process stops instead."""
        if not self.wanted:
            self._woken.wait()
        if stopping.wait(self._seconds):
            return False
        # Before the look: rows that are written during it may be too late for it.
        self._woken.clear()
        return True
