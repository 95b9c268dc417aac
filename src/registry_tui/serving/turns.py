"""Turns at a model: at most so many concurrent calls of it, in the order of the requests."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A fair semaphore: a thread that gives a turn back and wants another one waits behind all earlier ones."""

    def __init__(self, at_once: int) -> None:
        self._guard = threading.Lock()
        self._free = at_once
        self._waiting: deque[threading.Event] = deque()

    def take(self) -> None:
        """Waits for a turn."""
        with self._guard:
            if self._free and not self._waiting:
                self._free -= 1
                return
            mine = threading.Event()
            self._waiting.append(mine)
        mine.wait()

    def give(self) -> None:
        """Gives the turn back, to the thread that has waited longest."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Holds a turn during the block."""
        self.take()
        try:
            yield
        finally:
            self.give()

    @contextmanager
    def given(self) -> Iterator[None]:
        """Gives the turn back during the block, so that others can take it."""
        self.give()
        try:
            yield
        finally:
            self.take()
