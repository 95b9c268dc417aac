"""Files that one process at a time may lock."""

from __future__ import annotations

import errno
import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

#: Seconds between two attempts.
_PAUSE = 0.02
#: Seconds of waiting that need no explanation.
_SOON = 3.0


class Locked(TimeoutError):
    """Another process holds the lock."""


@contextmanager
def only_one(
    path: Path, patience: float, busy: str, lasting: Callable[[], str | None] = lambda: None
) -> Iterator[None]:
    """Holds a file's lock while the block runs, after waiting for another process for `patience` seconds.

    `lasting` returns the reason when waiting does not help; it is called after a few seconds.

    Raises Locked with the text `busy` after the timeout, or with that of `lasting`, and OSError when the file cannot be
    made.
    """
    with path.open("w") as lock:
        began = time.monotonic()
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = time.monotonic() - began
                if waited > patience or (waited > _SOON and lasting()):
                    raise Locked(errno.ETIMEDOUT, lasting() or busy) from None
                time.sleep(_PAUSE)
        yield


def is_held(path: Path) -> bool:
    """Whether a process holds a file's lock. Raises OSError."""
    try:
        with path.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
