"""Queries of MLflow's database that differ between SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, String, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session


class by_bytes(ColumnElement[str]):
    """A text that is compared by its bytes, independently of the database's collation."""

    inherit_cache = True
    type = String()

    def __init__(self, column: Any) -> None:
        self.column = column


@compiles(by_bytes)
def _as_it_is(element: by_bytes, compiler: Any, **given: Any) -> str:
    return str(compiler.process(element.column, **given))


@compiles(by_bytes, "postgresql")
def _collated(element: by_bytes, compiler: Any, **given: Any) -> str:
    return f'({compiler.process(element.column, **given)} COLLATE "C")'


def insert_unless_there(session: Session, table: Table, values: Mapping[str, Any]) -> None:
    """Inserts a row, and does nothing when another one has its key."""
    name = session.get_bind().dialect.name
    if name == "postgresql":
        session.execute(postgresql.insert(table).values(values).on_conflict_do_nothing())
    else:
        session.execute(sqlite.insert(table).values(values).on_conflict_do_nothing())


def take_turn(session: Session, *subject: str) -> None:
    """Waits until no other transaction works on a subject (kind and place, in words), and locks it until its end.

    Values read from then on stay valid. On SQLite the first write of a transaction does that, for the whole database.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("\n".join(subject), 0))))
