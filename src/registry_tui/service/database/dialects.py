"""How the service's database differs between SQLite and PostgreSQL; the rest of the service does not depend on it.

Both give the same guarantees. A writing session waits for the one before it, so that the rows it has read stay current
until it commits. A reading session sees one snapshot, and never waits. Texts are sorted by their bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import IntegrityError

from registry_tui.platform.collations import compare_by_bytes
from registry_tui.platform.database_urls import is_postgresql, schema_of

#: Milliseconds that a SQLite connection waits for another's lock.
BUSY_TIMEOUT_MS = 30_000

#: The option of an execution that makes a transaction one for reading (`reading`).
_READS = "registry_tui_reads"

#: PostgreSQL's locks of applications have two numbers: ours, and one for each schema.
_LOCK = 0x7267_7475


def open_engine(url: str) -> Engine:
    """The engine of a database; connects to nothing yet."""
    # Threads of the web server's pool and of workflows each keep a connection for a moment.
    if not is_postgresql(url):
        engine = create_engine(url, pool_size=40, max_overflow=40, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    # A server has 100 connections for everybody by default. Connections that it closed are noticed before use; a new
    # one waits for a restarting server.
    engine = create_engine(url, pool_size=10, max_overflow=20, pool_pre_ping=True, hide_parameters=True)
    event.listen(engine, "do_connect", _connects_postgresql())
    event.listen(engine, "begin", _begins_postgresql(schema_of(url)))
    return engine


def open_locking_engine(url: str) -> Engine:
    """The engine of PostgreSQL for locks that outlive transactions: a connection for each piece of work with locks.

    Without a bound of its own, on which work that holds one and needs another would wait for itself: keyed requests and
    threads have theirs.
    """
    engine = create_engine(
        url, pool_size=2, max_overflow=-1, pool_pre_ping=True, isolation_level="AUTOCOMMIT", hide_parameters=True
    )
    event.listen(engine, "do_connect", _connects_postgresql())
    return engine


def reading(engine: Engine) -> Engine:
    """The same engine for transactions that read only."""
    return engine.execution_options(**{_READS: True})


def prepare(url: str) -> None:
    """Makes the schema that must exist before the first connection. Raises psycopg.Error."""
    if is_postgresql(url):
        # The driver is loaded where it is used.
        from registry_tui.platform.postgresql import ensure_schema

        ensure_schema(url)


@contextmanager
def migrating(connection: Connection) -> Iterator[None]:
    """A transaction for changes of tables, which other processes wait for. Raises IntegrityError.

    SQLite checks foreign keys at its end, not before: a column that it cannot alter is changed by a new table in place
    of the old one, and dropping that would delete the rows that point at it. Foreign keys can be switched between
    transactions only.
    """
    if connection.dialect.name != "sqlite":
        with connection.begin():
            yield
            # Pages and names are compared by the program too, which knows no language's rules.
            compare_by_bytes(connection.exec_driver_sql)
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
    # Writing sessions take the lock at once, so that reading and then writing cannot fail half-way.
    connection.exec_driver_sql("BEGIN" if _reads(connection) else "BEGIN IMMEDIATE")


def _connects_postgresql() -> Callable[..., Any]:
    """Makes connections of one engine. A login that worked once is not refused later: it waits for the server."""
    worked = False

    def connect_one(_dialect: object, _record: object, _arguments: object, given: dict[str, Any]) -> Any:
        from psycopg.conninfo import make_conninfo  # as in `prepare`

        from registry_tui.platform.postgresql import connect

        nonlocal worked
        context = given.pop("context", None)
        made = connect(make_conninfo(**given), context=context, worked=worked)
        worked = True
        return made

    return connect_one


def _begins_postgresql(schema: str) -> Callable[[Connection], None]:
    take_turn = f"SELECT pg_advisory_xact_lock({_LOCK}, {zlib.crc32(schema.encode()) - (1 << 31)})"
    one_moment = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
    return lambda connection: connection.exec_driver_sql(one_moment if _reads(connection) else take_turn).close()


def _reads(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get(_READS))
