"""Connections to PostgreSQL: their common settings, and how long they wait for an unavailable server."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, cast

import psycopg
from psycopg import errors, sql
from psycopg.abc import AdaptContext, Buffer
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.string import StrDumper

from registry_tui.platform import collations
from registry_tui.platform.database_urls import for_psycopg, schema_of
from registry_tui.platform.databases import without_nul
from registry_tui.platform.postgresql_answers import refusal, takes_logins

_logger = logging.getLogger(__name__)

#: Seconds that a new connection waits for a server that restarts, or for a failover.
PATIENCE = 20.0
_PAUSE = 0.2
#: Lock timeout for a table after another one was locked: a dump of a database locks all of them.
_SHORT_WAIT = "1s"
#: Timeout of one attempt, in seconds, for each of the servers in an address.
CONNECT_TIMEOUT = 10

#: Sessions: times in UTC; a wait for another's lock ends, as SQLite's does (`database/dialects.py: BUSY_TIMEOUT_MS`);
#: the locks of a client whose machine is gone end within a minute.
SETTINGS: Mapping[str, str] = {
    "timezone": "UTC",
    "lock_timeout": "30s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}


class _TextDumper(StrDumper):
    """Texts of models' logs may hold NUL; those that people send are refused (`contracts/`)."""

    def dump(self, obj: str) -> Buffer | None:
        return super().dump(without_nul(obj))


def connect(
    conninfo: str, patience: float = PATIENCE, context: AdaptContext | None = None, *, worked: bool = False
) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection with our settings; `context` adapts values; `worked`: the login was right before.

    Raises psycopg.OperationalError: with the SQLSTATE 08004 when a server that takes logins refuses this one, with
    08001 when none let us in within `patience` seconds, or 53300 when it has no free connection. libpq itself reports
    no code for any of them.
    """
    until, took_logins = time.monotonic() + patience, False
    while True:
        try:
            connection = psycopg.connect(
                conninfo, context=context, connect_timeout=CONNECT_TIMEOUT, application_name="registry-tui"
            )
            break
        except psycopg.OperationalError as error:
            takes = takes_logins(error.pgconn)
            # A server that starts meanwhile takes logins after the attempt: it has to fail once more.
            if takes and took_logins and not worked and _any_server_will_do(conninfo):
                raise errors.SqlserverRejectedEstablishmentOfSqlconnection(str(error)) from error
            if time.monotonic() > until and not (takes and not took_logins):
                if refusal(error.pgconn) == errors.TooManyConnections.sqlstate:
                    raise errors.TooManyConnections(str(error)) from error
                raise errors.SqlclientUnableToEstablishSqlconnection(str(error)) from error
            took_logins = takes
        time.sleep(_PAUSE)
    each = (sql.SQL("set_config({}, {}, false)").format(name, value) for name, value in SETTINGS.items())
    connection.execute(sql.SQL("SELECT {}").format(sql.SQL(", ").join(each)))
    connection.commit()
    connection.adapters.register_dumper(str, _TextDumper)
    return connection


def _any_server_will_do(conninfo: str) -> bool:
    """Whether libpq accepts any server that admits it, and not only a writable one, for example."""
    return conninfo_to_dict(conninfo).get("target_session_attrs", "any") == "any"


def ensure_schema(url: str, patience: float = PATIENCE) -> None:
    """Makes the schema of an address (`database_urls.with_schema`), unless it is there. Raises psycopg.Error."""
    schema = schema_of(url)
    with connect(for_psycopg(url), patience) as connection:
        if connection.execute("SELECT to_regnamespace(%s)", (schema,)).fetchone() == (None,):
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))


def compare_by_bytes(url: str) -> bool:
    """Makes all text columns of a URL's schema compare by bytes; returns whether tables were changed.

    A table that cannot be changed (a view uses its column, another session locks it) stays as it is, and the reason is
    logged:
    only the order of its texts differs then. Where tables were changed, connections opened before must not be reused:
    their prepared statements no longer match. Raises psycopg.Error.
    """
    changed = False
    with connect(for_psycopg(url)) as connection:
        # A transaction for each table, so that one failure does not affect the others.
        connection.autocommit = True
        for table, statement in collations.statements(cast("Any", connection.execute)).items():
            try:
                connection.execute(statement.encode())
                changed = True
            except psycopg.Error as error:
                if connection.broken:
                    raise
                why = " ".join(str(error).split())
                _logger.warning("texts of the table %s are still sorted by the database's language: %s", table, why)
                if isinstance(error, errors.LockNotAvailable):
                    connection.execute(sql.SQL("SET lock_timeout = {}").format(_SHORT_WAIT))
    return changed
