"""Locks that hold for all processes of the service that share a PostgreSQL database."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from registry_tui.platform.database_urls import schema_of
from registry_tui.service.core.kept import Locks
from registry_tui.service.database.dialects import open_locking_engine

logger = logging.getLogger(__name__)

_KEY = "hashtextextended(%(name)s, 0)"


class SharedLocks(Locks):
    """Each is a lock within this process first, so that only one of its threads at a time waits for other processes.

    The server releases a lock when its connection ends. Its holder goes on: then unique constraints of the tables keep
    two processes from making the same row.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self._engine = open_locking_engine(url)
        self._prefix = f"{schema_of(url)}\n"
        self._kept_guard = threading.Lock()
        self._kept: dict[str, Connection] = {}

    def of(self, name: str) -> AbstractContextManager[object]:
        return self._held(name)

    def keep(self, name: str) -> bool:
        """Takes a lock for the life of this process; returns False if another process has it. Raises SQLAlchemyError.

        Call it repeatedly: a lock is lost when its connection ends.
        """
        with self._kept_guard:
            if (connection := self._kept.get(name)) is not None:
                try:
                    connection.exec_driver_sql("SELECT 1").close()
                    return True
                except SQLAlchemyError:
                    _end(self._kept.pop(name))
            connection = self._engine.connect()
            try:
                if connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_KEY})", self._named(name)).scalar():
                    self._kept[name] = connection
                    return True
            except SQLAlchemyError:
                _end(connection)
                raise
            connection.close()
            return False

    def give_up(self, name: str) -> None:
        """Releases a lock that `keep` took."""
        with self._kept_guard:
            if (connection := self._kept.pop(name, None)) is not None:
                _end(connection)

    def close(self) -> None:
        """Gives up everything, and closes the connections."""
        with self._kept_guard:
            for connection in self._kept.values():
                _end(connection)
            self._kept.clear()
        self._engine.dispose()

    @contextmanager
    def _held(self, name: str) -> Iterator[None]:
        with self._own(name), self.across(name):
            yield

    @contextmanager
    def across(self, *names: str) -> Iterator[None]:
        """All of them on one connection: a server has 100 for everybody."""
        with self._engine.connect() as connection:
            try:
                connection.exec_driver_sql("SET lock_timeout = 0").close()
                for name in names:
                    connection.exec_driver_sql(f"SELECT pg_advisory_lock({_KEY})", self._named(name)).close()
            except BaseException:
                _end(connection)
                raise
            try:
                yield
            finally:
                try:
                    for name in names:
                        connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_KEY})", self._named(name)).close()
                except SQLAlchemyError as error:
                    logger.warning("the lock %s was lost while it was held: %s", ", ".join(names), error)
                    _end(connection)

    def _named(self, name: str) -> dict[str, str]:
        return {"name": self._prefix + name}


def _end(connection: Connection) -> None:
    """Ends a connection for good, so that the server gives up its locks."""
    with suppress(SQLAlchemyError):
        connection.invalidate()
        connection.close()
