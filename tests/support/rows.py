"""Reading a platform's databases past its parts, whether they are SQLite's files or PostgreSQL's schemas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, Row, create_engine, inspect, text
from sqlalchemy.pool import NullPool

from registry_tui.platform.database_urls import is_postgresql


def ask(url: str, query: str) -> Sequence[Row[Any]]:
    """The rows that a query finds. Raises SQLAlchemyError."""
    with _engine(url).connect() as connection:
        return connection.execute(text(query)).all()


def tables(url: str) -> list[str]:
    """The names of all tables. Raises SQLAlchemyError."""
    with _engine(url).connect() as connection:
        return inspect(connection).get_table_names()


def _engine(url: str) -> Engine:
    if is_postgresql(url):
        return create_engine(url, poolclass=NullPool)
    path = url.removeprefix("sqlite:///")
    return create_engine(f"sqlite:///file:{path}?mode=ro&uri=true", poolclass=NullPool)
