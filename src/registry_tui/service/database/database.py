"""The service's database: engine, sessions, migrations at start."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, event, inspect
from sqlalchemy.orm import Session

from registry_tui.platform.database_urls import is_postgresql
from registry_tui.service.database import dialects, event_chain

#: The newest migration: files are named by their revision.
LATEST_REVISION = max(path.name.split("_")[0] for path in (Path(__file__).parent / "migrations/versions").glob("0*.py"))


class Database:
    """One database; `url` is a SQLAlchemy URL. Threads may share it, each with its own session."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = dialects.open_engine(url)
        self._readers = dialects.reading(self.engine)
        #: Whether other processes may write too.
        self.shared = is_postgresql(url)
        #: Another number after each commit of this process.
        self.writes = 0
        self._count = itertools.count(1)
        #: Called with the rows that a session has written, after its commit.
        self.committed: list[Callable[[Sequence[object]], None]] = []
        #: Called with a session and the rows that it has made, at the end of its transaction.
        self.committing: list[Callable[[Session, Sequence[object]], None]] = []
        #: Called with a session and all rows that it has written, at the very end of its transaction.
        self.announcing: list[Callable[[Session, Sequence[object]], None]] = []

    @classmethod
    def at(cls, path: Path) -> Database:
        """A SQLite database file."""
        return cls(f"sqlite:///{path}")

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session that may write: commits at the end, rolls back on an exception.

        Its first statement waits for other writing sessions, so that the rows it reads stay current until its end: keep
        it short, and never call another system inside.
        """
        written: dict[int, object] = {}
        made: list[object] = []

        def flushed(session: Session, _: object) -> None:
            made.extend(session.new)
            written.update((id(row), row) for row in (*session.new, *session.dirty))

        with Session(self.engine, expire_on_commit=False) as session:
            event.listen(session, "after_flush", flushed)
            with session.begin():
                yield session
                session.flush()
                for take_part in self.committing if made else ():
                    take_part(session, made)
                event_chain.seal(session, made)
                if self.announcing:
                    session.flush()
                for announce in self.announcing if written else ():
                    announce(session, list(written.values()))
        self.writes = next(self._count)
        if written:
            for tell in self.committed:
                tell(list(written.values()))

    def stamp(self) -> Hashable:
        """A value that differs after each commit, also of other processes; for callers that cache their reads."""
        if not self.shared:
            return self.writes
        with self._readers.connect() as connection:
            found: Hashable = connection.exec_driver_sql("SELECT pg_current_snapshot()::text").scalar()
            return found

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for reading only: one consistent snapshot, which never waits for writers."""
        with Session(self._readers, expire_on_commit=False, autoflush=False) as session:
            yield session

    def migrate(self) -> None:
        """Migrates the tables to this version. Raises OSError, SQLAlchemyError, psycopg.Error."""
        dialects.prepare(self.url)
        with self.engine.connect() as connection, dialects.migrating(connection):
            if _revision(connection) != LATEST_REVISION:
                # Alembic takes a third of a second to import: only when there is something to do.
                from registry_tui.service.database.migrations import upgrade

                upgrade(connection)

    def close(self) -> None:
        """Closes every connection."""
        self.engine.dispose()


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
