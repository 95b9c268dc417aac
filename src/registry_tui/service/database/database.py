"""The service's database: engine, sessions, migrations at start."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event, inspect
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

#: Milliseconds that a SQLite connection waits for another's lock.
BUSY_TIMEOUT_MS = 30_000


#: The newest migration: files are named by their revision.
LATEST_REVISION = max(path.name.split("_")[0] for path in (Path(__file__).parent / "migrations/versions").glob("0*.py"))


class Database:
    """One database; `url` is a SQLAlchemy URL. Threads may share it, each with its own session."""

    def __init__(self, url: str) -> None:
        self.url = url
        sqlite = url.startswith("sqlite")
        # Threads of the web server's pool and of workflows each keep a connection for a moment.
        self.engine = create_engine(url, pool_size=40, max_overflow=40)
        if sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        self._readers = self.engine.execution_options(sqlite_begin="BEGIN")
        #: Another number after each commit, for who keeps what they have read.
        self.writes = 0
        self._count = itertools.count(1)
        #: Called with the rows that a session has written, after its commit.
        self.committed: list[Callable[[Sequence[object]], None]] = []
        #: Called with a session and the rows that it has made, at the end of its transaction.
        self.committing: list[Callable[[Session, Sequence[object]], None]] = []

    @classmethod
    def at(cls, path: Path) -> Database:
        """A SQLite database file."""
        return cls(f"sqlite:///{path}")

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session that may write: commits at the end, rolls back when anything is raised.

        On SQLite it takes the write lock at its first statement, so that reading and then writing cannot fail half-way;
        keep it short, and never call another system inside.
        """
        written: dict[int, object] = {}
        made: list[object] = []

        def flushed(session: Session, _: object) -> None:
            made.extend(session.new)
            written.update((id(row), row) for row in (*session.new, *session.dirty))

        with Session(self.engine, expire_on_commit=False) as session:
            if self.committed or self.committing:
                event.listen(session, "after_flush", flushed)
            with session.begin():
                yield session
                if self.committing:
                    session.flush()
                for take_part in self.committing if made else ():
                    take_part(session, made)
        self.writes = next(self._count)
        if written:
            for tell in self.committed:
                tell(list(written.values()))

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for reading only: one consistent snapshot, which never waits for writers."""
        with Session(self._readers, expire_on_commit=False, autoflush=False) as session:
            yield session

    def migrate(self) -> None:
        """Brings the tables to this version's form. Raises OSError, sqlalchemy.exc.SQLAlchemyError."""
        with self.engine.connect() as connection, _foreign_keys_later(connection):
            if _revision(connection) != LATEST_REVISION:
                # Alembic takes a third of a second to import: only when there is something to do.
                from registry_tui.service.database.migrations import upgrade

                upgrade(connection)

    def close(self) -> None:
        """Closes every connection."""
        self.engine.dispose()


@contextmanager
def _foreign_keys_later(connection: Connection) -> Iterator[None]:
    """A transaction at whose end SQLite checks foreign keys, not before. Raises IntegrityError.

    A column that SQLite cannot alter is changed by a new table in place of the old one, and dropping that would delete
    the rows that point at it. Foreign keys can be switched between transactions only.
    """
    if connection.dialect.name != "sqlite":
        with connection.begin():
            yield
        return
    raw = connection.connection.cursor()
    raw.execute("PRAGMA foreign_keys = OFF")
    try:
        with connection.begin():
            yield
            if lost := connection.exec_driver_sql("PRAGMA foreign_key_check").all():
                tables = ", ".join(sorted({str(row[0]) for row in lost}))
                raise IntegrityError(f"the migration leaves rows of {tables} that point at nothing", None, ValueError())
    finally:
        raw.execute("PRAGMA foreign_keys = ON")
        raw.close()


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transaction handling commits before DDL; `_begin_sqlite` begins them instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN IMMEDIATE"))
