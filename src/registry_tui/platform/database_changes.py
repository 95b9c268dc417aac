"""Whether a SQLite database was written to, without opening it."""

from __future__ import annotations

import time
from pathlib import Path

#: Seconds after which a look is due although nothing was written.
AT_LEAST_EVERY = 1800.0

Stamp = tuple[tuple[int, int, int], ...]


class DatabaseChanges:
    """Remembers what the database's files looked like before the last look that was finished.

    Every commit writes to the database or to its log (SQLite, WAL), and so changes a file's time.
    """

    def __init__(self, database: Path) -> None:
        self._files = (database, database.with_name(f"{database.name}-wal"))
        self._done: Stamp | None = None
        self._until = 0.0

    def stamp(self) -> Stamp:
        """The files as they are now; take it before looking."""
        return tuple(_stamp(path) for path in self._files)

    def due(self, stamp: Stamp) -> bool:
        """Whether there may be something new, or the last look is long ago."""
        return stamp != self._done or time.monotonic() > self._until

    def forget(self) -> None:
        """The next look is due, whatever was written."""
        self._done = None

    def done(self, stamp: Stamp) -> None:
        """A look that began with this stamp is finished."""
        self._done, self._until = stamp, time.monotonic() + AT_LEAST_EVERY


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)
