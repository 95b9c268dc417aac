"""All rows of one SQLite database into a schema of PostgreSQL with the same tables, or back, compared afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    DateTime,
    Engine,
    LargeBinary,
    MetaData,
    Table,
    TableClause,
    Text,
    column,
    delete,
    insert,
    inspect,
    literal_column,
    select,
)
from sqlalchemy import table as bare_table
from sqlalchemy.types import Float, Integer, NullType, Numeric, TypeEngine

from registry_tui.contracts.counts import counted
from registry_tui.platform.databases import without_nul
from registry_tui.platform.errors import PlatformError

#: Where migrations note their version: made with the tables, so the same on both sides, and not copied.
_VERSIONS = frozenset({"alembic_version", "alembic_version_auth", "dbos_migrations"})
_ADVICE = "Nothing was changed here: the platform still has its rows in SQLite"


#: Rows that are written to SQLite at once.
_AT_ONCE = 5000


class CannotMove(PlatformError):
    """Rows cannot be copied to another database."""


@dataclass(frozen=True)
class Copied:
    """A table that is the same on both sides: its rows, and a sum over all their values."""

    table: str
    rows: int
    checksum: int


def copy_all(source: Engine, target: Engine) -> list[Copied]:
    """Copies every table in one transaction, and reads both sides to compare them. Raises CannotMove."""
    with source.connect() as read, target.begin() as write:
        tables = _tables(read, write)
        names = ", ".join(write.dialect.identifier_preparer.quote(table.name) for table in tables)
        write.exec_driver_sql(f"TRUNCATE {names} CASCADE")
        for table in tables:
            _copy(read, write, table)
            _go_on_counting(read, write, table)
        return [_compared(read, write, table, _ADVICE) for table in tables]


def copy_out(read: Connection, target: Engine) -> list[Copied]:
    """Copies every table of PostgreSQL that a connection sees into a SQLite database with this version's tables.

    `read` is in a transaction that sees one moment: its rows are read twice, the second time to compare them. Raises
    CannotMove.
    """
    with target.begin() as write:
        tables = _tables_out(read, write)
        for table in tables:
            write.execute(delete(bare_table(table.name)))
        for table in tables:
            names = _names(write, table)
            given = [name for name in names if table.columns[name].computed is None]
            into = insert(_as_kept(table, given))
            for rows in _batches(_rows(read, table, given)):
                write.execute(into, [dict(zip(given, row, strict=True)) for row in rows])
            _go_on_counting_out(read, write, table)
        return [_compared(write, read, table, "Try again") for table in tables]


def _batches(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    while found := list(islice(rows, _AT_ONCE)):
        yield found


def _tables_out(read: Connection, write: Connection) -> list[Table]:
    """PostgreSQL's tables that SQLite has, too. Raises CannotMove where the two sides differ."""
    metadata = MetaData()
    metadata.reflect(bind=read)
    known = inspect(write)
    there = set(known.get_table_names())
    for name in sorted(_VERSIONS & metadata.tables.keys()):
        versions = [sorted(map(tuple, each.exec_driver_sql(f"SELECT * FROM {name}"))) for each in (read, write)]
        if versions[0] != versions[1]:
            raise CannotMove(
                f"{name} says that the rows were written by another version ({versions[0]}, not {versions[1]})",
                action="Back up with the version that wrote them, or run `registry-tui upgrade` first",
            )
    found = []
    for table in metadata.sorted_tables:
        if table.name in _VERSIONS:
            continue
        lost = (
            set(table.columns.keys()) ^ {each["name"] for each in known.get_columns(table.name)}
            if table.name in there
            else set(table.columns.keys())
        )
        if not lost:
            found.append(table)
        elif read.execute(select(bare_table(table.name)).add_columns(literal_column("1")).limit(1)).first():
            raise CannotMove(
                f"This version does not know all of the table {table.name}: {', '.join(sorted(lost))}",
                action="Back up with the version that wrote it",
            )
    return found


def _go_on_counting_out(read: Connection, write: Connection, table: Table) -> None:
    """Sets SQLite's counters of IDs behind all IDs ever given, where it keeps such counters."""
    if not inspect(write).has_table("sqlite_sequence"):
        return
    made = write.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = ?", (table.name,)).scalar() or ""
    if "AUTOINCREMENT" not in made.upper():
        return
    (name,) = table.primary_key.columns.keys()
    quoted = read.dialect.identifier_preparer.quote(table.name)
    counter = read.exec_driver_sql("SELECT pg_get_serial_sequence(%s, %s)", (quoted, name)).scalar()
    if counter is None:
        return
    last, given = read.exec_driver_sql(f"SELECT last_value, is_called FROM {counter}").one()
    write.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (table.name,))
    if given:
        write.exec_driver_sql("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table.name, last))


def _tables(read: Connection, write: Connection) -> list[Table]:
    """The target's tables, those first that others point at. Raises CannotMove where the two sides differ."""
    metadata = MetaData()
    metadata.reflect(bind=write)
    known, there = inspect(read), set(inspect(read).get_table_names())
    for name in there - metadata.tables.keys():
        if read.execute(select(bare_table(name)).add_columns(column("rowid")).limit(1)).first():
            raise CannotMove(f"This version does not know the table {name}, and it is not empty", action=_ADVICE)
    for name in _VERSIONS & there:
        versions = [sorted(map(tuple, each.exec_driver_sql(f"SELECT * FROM {name}"))) for each in (read, write)]
        if versions[0] != versions[1]:
            raise CannotMove(
                f"{name} says that the rows were written by another version ({versions[0]}, not {versions[1]})",
                action="Start the platform once with this version, stop it, and try again",
            )
    found = [table for table in metadata.sorted_tables if table.name in there - _VERSIONS]
    for table in found:
        if lost := {each["name"] for each in known.get_columns(table.name)} - set(table.columns.keys()):
            raise CannotMove(
                f"This version does not know all columns of the table {table.name}: {lost}", action=_ADVICE
            )
    return found


def _as_kept(table: Table, names: Sequence[str]) -> TableClause:
    """The table with types whose values both sides give alike. JSON stays the text that it is."""
    return bare_table(table.name, *(column(name, _kind(table.columns[name].type)) for name in names))


def _kind(of: TypeEngine[Any]) -> TypeEngine[Any]:
    if isinstance(of, Boolean | DateTime | LargeBinary):
        return of
    return NullType() if isinstance(of, Integer | Numeric | Float) else Text()


def _names(read: Connection, table: Table) -> list[str]:
    return [each["name"] for each in inspect(read).get_columns(table.name)]


def _rows(connection: Connection, table: Table, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Every row, as values that are the same on both sides. A text of SQLite may hold NUL."""
    kept = _as_kept(table, names)
    columns: list[ColumnElement[Any]] = list(kept.columns)
    if connection.dialect.name == "postgresql":
        columns = [each.cast(Text) if isinstance(each.type, Text) else each for each in columns]
    found = connection.execution_options(yield_per=5000).execute(select(*columns).select_from(kept))
    return (tuple(_alike(value) for value in row) for row in found)


def _alike(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None) if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, str):
        return without_nul(value)
    return bytes(value) if isinstance(value, memoryview) else value


def _copy(read: Connection, write: Connection, table: Table) -> None:
    # Columns that the database computes itself are compared afterwards.
    names = [name for name in _names(read, table) if table.columns[name].computed is None]
    zoned = [bool(getattr(table.columns[name].type, "timezone", False)) for name in names]
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    driver = write.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as into:
            for row in _rows(read, table, names):
                into.write_row([_in_utc(value, zone) for value, zone in zip(row, zoned, strict=True)])
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise CannotMove(
            f"PostgreSQL does not take a row of the table {table.name}: {_reason(error)}", action=_ADVICE
        ) from error


def _reason(error: psycopg.Error) -> str:
    """The kind of an error, and the rule or the column that it is about; not the value, which may be a secret."""
    place = error.diag.constraint_name or (error.diag.context or "").partition(': "')[0]
    return f"{type(error).__name__} ({place})" if place else type(error).__name__


def _in_utc(value: Any, zone: bool) -> Any:
    return value.replace(tzinfo=UTC) if zone and isinstance(value, datetime) else value


def _go_on_counting(read: Connection, write: Connection, table: Table) -> None:
    """Sets the database's counters of IDs behind all IDs ever given."""
    for name in _names(read, table):
        quoted = write.dialect.identifier_preparer.quote(table.name)
        counter = write.exec_driver_sql("SELECT pg_get_serial_sequence(%s, %s)", (quoted, name)).scalar()
        if counter is None:
            continue
        last = write.execute(select(table.columns[name]).order_by(table.columns[name].desc()).limit(1)).scalar() or 0
        if inspect(read).has_table("sqlite_sequence"):
            given = read.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = ?", (table.name,)).scalar()
            last = max(last, given or 0)
        write.exec_driver_sql("SELECT setval(%s, %s, %s)", (counter, max(last, 1), last > 0))


def _compared(read: Connection, write: Connection, table: Table, advice: str) -> Copied:
    """`read` is of SQLite. Raises CannotMove."""
    names = _names(read, table)
    before, after = (_summed(table.name, _rows(each, table, names)) for each in (read, write))
    if before != after:
        raise CannotMove(
            f"The table {table.name} is not the same after it was copied ({counted(before.rows, 'row')} before)",
            action=advice,
        )
    return after


def _summed(table: str, rows: Iterable[tuple[Any, ...]]) -> Copied:
    """The number of rows and a sum that does not depend on their order."""
    count = total = 0
    for row in rows:
        count += 1
        total += int.from_bytes(hashlib.blake2b(repr(row).encode("utf-8", "surrogatepass"), digest_size=8).digest())
    return Copied(table, count, total % (1 << 64))
