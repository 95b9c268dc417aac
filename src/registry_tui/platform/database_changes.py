"""Whether a database was written to since the last check, without reading its rows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry_tui.platform.database_urls import for_psycopg, is_postgresql

if TYPE_CHECKING:
    import psycopg

#: Seconds after which a check is due although nothing was written.
AT_LEAST_EVERY = 1800.0

Stamp = tuple[Any, ...]


class DatabaseChanges:
    """Keeps a mark of the database from before the last finished check."""

    def __init__(self) -> None:
        self._done: Stamp | None = None
        self._until = 0.0

    @classmethod
    def of(cls, url: str) -> DatabaseChanges:
        """For a database by its address."""
        return PostgresqlChanges(url) if is_postgresql(url) else SqliteChanges(Path(url.removeprefix("sqlite:///")))

    def stamp(self) -> Stamp:
        """The mark as it is now; take it before a check."""
        raise NotImplementedError

    def due(self, stamp: Stamp) -> bool:
        """Whether something may have changed, or the last check is long ago."""
        return stamp != self._done or time.monotonic() > self._until

    def forget(self) -> None:
        """Makes the next check due, whether or not something was written."""
        self._done = None

    def done(self, stamp: Stamp) -> None:
        """Notes the end of a check that began with this stamp."""
        self._done, self._until = stamp, time.monotonic() + AT_LEAST_EVERY


class SqliteChanges(DatabaseChanges):
    """Every commit writes to the database or to its log (WAL), and so changes a file's time."""

    def __init__(self, database: Path) -> None:
        super().__init__()
        self._files = (database, database.with_name(f"{database.name}-wal"))

    def stamp(self) -> Stamp:
        return tuple(_stamp(path) for path in self._files)


class PostgresqlChanges(DatabaseChanges):
    """Every transaction that writes, of any database of the server, changes which ones a snapshot sees."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._connection: psycopg.Connection[Any] | None = None

    def stamp(self) -> Stamp:
        """The mark, or a unique one while the server does not respond."""
        # The driver is loaded where it is used.
        import psycopg

        from registry_tui.platform.postgresql import connect

        try:
            if self._connection is None or self._connection.closed:
                self._connection = connect(for_psycopg(self._url), patience=0)
                self._connection.autocommit = True
            return (self._connection.execute("SELECT pg_current_snapshot()::text").fetchone(),)
        except psycopg.Error:
            return (time.monotonic(),)


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)
