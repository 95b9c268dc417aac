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
        #: Threads that have a turn, and those of them whose turn another thread has in addition.
        self._holders: set[int] = set()
        self._lent: set[int] = set()

    def take(self) -> None:
        """Waits for a turn."""
        with self._guard:
            if self._free and not self._waiting:
                self._free -= 1
                self._holders.add(threading.get_ident())
                return
            mine = threading.Event()
            self._waiting.append(mine)
        mine.wait()
        with self._guard:
            self._holders.add(threading.get_ident())

    def give(self) -> None:
        """Gives the turn back, to the thread that has waited longest."""
        thread = threading.get_ident()
        with self._guard:
            self._holders.discard(thread)
            if thread in self._lent:
                self._lent.discard(thread)
            else:
                self._pass_on()

    def lend(self, thread: int) -> None:
        """Gives the turn of a thread that keeps it for long to another thread in addition, once."""
        with self._guard:
            if thread in self._holders and thread not in self._lent:
                self._lent.add(thread)
                self._pass_on()

    def _pass_on(self) -> None:
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
