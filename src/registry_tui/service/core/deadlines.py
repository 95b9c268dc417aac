"""Work that may hang, e.g. on a mount whose server is lost, with a deadline for its callers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

T = TypeVar("T")


class TooLate(TimeoutError):
    """The work had not ended at its deadline; its thread stays until it ends."""


def within(seconds: float, work: Callable[[], T], name: str) -> T:
    """Runs the work in a thread of this name. Raises TooLate, and the work's own exceptions."""
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    if not wait((answer,), seconds).done:
        raise TooLate
    return answer.result()
