"""Files that one process at a time may lock."""

from __future__ import annotations

import errno
import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Seconds between two attempts.
_PAUSE = 0.02


class Locked(TimeoutError):
    """Another process holds the lock."""


@contextmanager
def only_one(path: Path, patience: float, busy: str) -> Iterator[None]:
    """Holds a file's lock while the block runs, after waiting for another process for `patience` seconds.

    Raises Locked with the text `busy` after them, and OSError when the file cannot be made.
    """
    with path.open("w") as lock:
        until = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise Locked(errno.ETIMEDOUT, busy) from None
                time.sleep(_PAUSE)
        yield
