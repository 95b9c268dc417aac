"""A loop rests while nothing needs it, until a commit writes rows that may."""

from __future__ import annotations

import threading

from registry_tui.service.loops.resting import Resting
from support.platforms import PATIENCE


class Row:
    """A row that may want the loop."""


class Looking:
    """A loop that counts its looks."""

    def __init__(self, resting: Resting) -> None:
        self.resting, self.stopping, self.looks = resting, threading.Event(), threading.Semaphore(0)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while self.resting.pause(self.stopping):
            self.resting.wanted = False
            self.looks.release()

    def looked(self) -> bool:
        return self.looks.acquire(timeout=PATIENCE)

    def end(self) -> None:
        self.stopping.set()
        self.resting.wake()
        self.thread.join(PATIENCE)


def test_a_loop_that_nothing_wants_looks_again_after_a_commit_that_concerns_it_alone() -> None:
    looking = Looking(Resting(0.001, Row))
    assert looking.looked()
    looking.resting.written([object()])
    # Two hundred of its pauses.
    assert not looking.looks.acquire(timeout=0.2)
    looking.resting.written([object(), Row()])
    assert looking.looked()
    looking.end()
    assert not looking.thread.is_alive()


def test_a_loop_that_rests_is_woken_for_what_another_process_wrote() -> None:
    looking = Looking(Resting(0.001, Row))
    assert looking.looked()
    assert not looking.looks.acquire(timeout=0.2)
    looking.resting.wake()
    assert looking.looked()
    looking.end()
    assert not looking.thread.is_alive()
