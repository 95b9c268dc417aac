"""Ctrl+Z: the shell that started the program gets its terminal back, until `fg`."""

from __future__ import annotations

import os
import signal
import time
from typing import Any, ClassVar

from textual.app import App, SuspendNotSupported
from textual.binding import Binding, BindingType

from registry_tui.screens.base.program import Frame

#: Seconds after which a process that should have stopped continues: no shell would resume it.
STOPS_WITHIN = 0.5


class Suspending(App[None]):
    """The part of the program that suspends it, and restores it afterwards."""

    # Also in a text field: undo there is ctrl+_.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+z", "suspend_process", "Suspend", id="suspend", show=False, priority=True)
    ]

    def action_suspend_process(self) -> None:
        """Stops the program with the other processes of its job, as the terminal's own ctrl+z does.

        If no shell with job control started it, no shell could resume it: then it shows a message and continues.
        """
        # The leader of a session has no shell above it.
        stopped = False
        if os.getpgrp() != os.getsid(0):
            try:
                with self.suspend():
                    stopped = _stop_job()
            except SuspendNotSupported:
                stopped = False
        if not stopped:
            self.frame.flash("suspend: not now, no shell with job control started the program", "$warning")

    @property
    def frame(self) -> Frame:
        """The visible screen with a frame."""
        raise NotImplementedError


def _stop_job() -> bool:
    """Stops this process group until SIGCONT. Returns False where it does not stop.

    The system drops SIGTSTP of a group that no shell could resume.
    """
    continued = []

    def note(number: int, frame: Any) -> None:
        continued.append(number)

    before = {signal.SIGTSTP: signal.signal(signal.SIGTSTP, signal.SIG_DFL)}
    before[signal.SIGCONT] = signal.signal(signal.SIGCONT, note)
    try:
        os.killpg(os.getpgrp(), signal.SIGTSTP)
        until = time.monotonic() + STOPS_WITHIN
        while not continued and time.monotonic() < until:
            time.sleep(0.01)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return bool(continued)
