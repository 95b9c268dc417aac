"""A platform's schemas of PostgreSQL as they all were at one moment, as files of SQLite for a backup.

One database gives all of its schemas the same snapshot (`pg_export_snapshot`). Several have none in common: nobody
writes to any of them while each begins to read, as with SQLite's files. The files have this version's tables, so that a
backup is restored into SQLite or PostgreSQL alike.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from registry_tui.platform import database_owner
from registry_tui.platform.database_urls import Databases, for_psycopg, shown
from registry_tui.platform.databases import database_fault
from registry_tui.platform.postgresql import connect
from registry_tui.service import moving
from registry_tui.service.backup.snapshots import CannotBackUp
from registry_tui.service.database import dialects
from registry_tui.service.database.copying import CannotMove, copy_out

#: The names of their copies in a backup.
NAMES = {"service": "service.db", "workflows": "workflows.db", "mlflow": "mlflow.db", "mlflow_auth": "auth.db"}
#: Seconds to wait for a moment without writers, between tries, and for a connection.
_PATIENCE, _PAUSE, _CONNECTING = 30.0, 0.05, 5.0


@contextmanager
def one_moment(databases: Databases) -> Iterator[Mapping[str, Connection]]:
    """Connections that all read the same moment, by the names in `Databases`. Raises CannotBackUp."""
    with words(databases), ExitStack() as stack:
        urls = {name: str(getattr(databases, name)) for name in NAMES}
        # The first reading waits longer for a restarting server; one that is down is reported at once.
        for url in {database_of(each): each for each in urls.values()}.values():
            connect(for_psycopg(url), _CONNECTING).close()
        with _nobody_writes(set(urls.values())) if len(_servers(urls)) > 1 else ExitStack():
            exported: dict[str, str] = {}
            readers = {name: stack.enter_context(_reader(url, exported)) for name, url in urls.items()}
        yield readers


def copy(name: str, reader: Connection, target: Path) -> None:
    """Writes a connection's snapshot as a SQLite database. Raises CannotBackUp."""
    url = f"sqlite:///{target}"
    moving.MAKERS[name](url)
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    try:
        copy_out(reader, engine)
    except CannotMove as error:
        raise CannotBackUp(error.message, action=error.action) from error
    except Exception as error:
        if (fault := database_fault(error, f"A database or its copy {target}")) is None:
            raise
        raise CannotBackUp(fault.detail, action=fault.action) from error
    finally:
        engine.dispose()
    with closing(sqlite3.connect(target)) as there:
        if name == "service":
            # The owner of a PostgreSQL database's rows is not a fact of the restored platform.
            there.execute("DELETE FROM installation WHERE key = ?", (database_owner.KEY,))
            there.commit()
        # A backup takes a single file.
        there.execute("PRAGMA journal_mode = DELETE")


@contextmanager
def words(databases: Databases) -> Iterator[None]:
    """Translates a server's errors. Raises CannotBackUp."""
    try:
        yield
    except (psycopg.Error, SQLAlchemyError) as error:
        if (fault := database_fault(error, f"The database {shown(databases.service)}")) is None:
            raise
        raise CannotBackUp(fault.detail, action=fault.action) from error


def database_of(url: str) -> tuple[str, str]:
    """Identifies the database of an address: user, server and name, without the schema."""
    parts = urlsplit(url)
    return parts.netloc, parts.path


def _servers(urls: Mapping[str, str]) -> set[tuple[str, str]]:
    return {database_of(url) for url in urls.values()}


@contextmanager
def _reader(url: str, exported: dict[str, str]) -> Iterator[Connection]:
    """A connection in a transaction with the snapshot that others of the same database in `exported` have."""
    engine = dialects.open_engine(url)
    try:
        with dialects.reading(engine).connect() as connection:
            database = " ".join(database_of(url))
            if snapshot := exported.get(database):
                connection.exec_driver_sql(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
            else:
                exported[database] = str(connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar())
            yield connection
    finally:
        engine.dispose()


@contextmanager
def _nobody_writes(urls: set[str]) -> Iterator[None]:
    """Locks all tables of these schemas against writes. Raises CannotBackUp, psycopg.Error.

    If a lock is not free at once, all are released and tried again: waiting for one while holding others could block
    writers.
    """
    until = time.monotonic() + _PATIENCE
    with ExitStack() as stack:
        writers = [stack.enter_context(closing(connect(for_psycopg(url), _CONNECTING))) for url in sorted(urls)]
        while True:
            try:
                for writer in writers:
                    _lock(writer)
                break
            except psycopg.errors.LockNotAvailable as error:
                for writer in writers:
                    writer.rollback()
                if time.monotonic() > until:
                    raise CannotBackUp(
                        "The databases are written to without a pause", action="Try again later"
                    ) from error
                time.sleep(_PAUSE)
        yield
        for writer in writers:
            writer.rollback()


def _lock(writer: psycopg.Connection[tuple[object, ...]]) -> None:
    """Locks all tables of the current schema against writes until the transaction's end."""
    found = writer.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
    ).fetchall()
    if found:
        tables = sql.SQL(", ").join(sql.Identifier(str(name)) for (name,) in found)
        writer.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE NOWAIT").format(tables))
