"""`registry-tui database move`: brings the rows of a platform that is stopped from SQLite to PostgreSQL.

Each part's tables are made by its own migrations and filled in one transaction. Only when all are there, and the same
as before, does the home record that its rows are in PostgreSQL. An interrupted move begins again: a comment on the
schemas marks them as its own, with the platform. It is removed last: no other platform's move touches them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import psycopg
from psycopg import sql
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from registry_tui.platform import database_choice, lifecycle
from registry_tui.platform.database_choice import Choice
from registry_tui.platform.database_urls import Databases, for_psycopg, is_postgresql, schema_of, shown
from registry_tui.platform.databases import database_fault
from registry_tui.platform.paths import Home
from registry_tui.platform.postgresql import compare_by_bytes, connect, ensure_schema
from registry_tui.service.database.copying import CannotMove, Copied, copy_all
from registry_tui.service.database.database import Database
from registry_tui.service.database.tables import InstallationRow
from registry_tui.service.engine.engine import make_tables

_MOVING = "registry-tui: rows are being moved here, of the platform"
_PATIENCE = 5.0


@dataclass(frozen=True)
class Moved:
    """A database that was moved: its part of the platform, and its tables."""

    part: str
    tables: tuple[Copied, ...]

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)


def bring_rows(home: Home, choice: Choice) -> Generator[Moved, None, None]:
    """Moves each part's rows; yields each when done. Raises CannotMove, StillRunning, Busy, UnusableAddress."""
    target = choice.databases
    if home.databases_file.exists():
        raise CannotMove("This platform has its rows in PostgreSQL already", action="See `registry-tui status`")
    source = Databases.in_home(home)
    with lifecycle.stopped(home):
        if missing := [name for name in MAKERS if not Path(shown(getattr(source, name))).exists()]:
            raise CannotMove(
                f"This platform has no rows yet ({', '.join(missing)})",
                action="Begin it there: `registry-tui up --database URL`",
            )
        try:
            _claim(target, _mark_of(source))
            for name, make in MAKERS.items():
                yield Moved(name, tuple(_moved(getattr(source, name), getattr(target, name), make)))
        except Exception as error:
            if (fault := database_fault(error, f"The database {shown(target.service)}")) is None:
                raise
            raise CannotMove(fault.detail, action=fault.action) from error
        database_choice.keep(home, choice)
        # The rows are there for good: if the comment stays, it admits only a move of this platform, which has ended.
        with suppress(psycopg.Error):
            _release(target)


def require_place(choice: Choice) -> None:
    """Checks whether rows can be brought to a database, and changes nothing. Raises CannotMove, UnusableAddress."""
    target = choice.databases
    try:
        for url in _urls(target):
            with connect(for_psycopg(url), _PATIENCE) as connection:
                comment, tables = _schema(connection, url)
                # The remains of an interrupted move are removed when the next one of the same platform begins.
                if tables and not (comment or "").startswith(_MOVING):
                    raise _taken(url)
    except Exception as error:
        if (fault := database_fault(error, f"The database {shown(target.service)}")) is None:
            raise
        raise CannotMove(fault.detail, action=fault.action) from error


def _schema(connection: psycopg.Connection[tuple[object, ...]], url: str) -> tuple[str | None, int]:
    """The comment of an address's schema, and its tables and indexes."""
    found = connection.execute(
        "SELECT obj_description(oid, 'pg_namespace'), "
        "(SELECT count(*) FROM pg_class WHERE relnamespace = n.oid) FROM pg_namespace n WHERE nspname = %s",
        (schema_of(url),),
    ).fetchone()
    return (None, 0) if found is None else (cast("str | None", found[0]), cast(int, found[1]))


def _taken(url: str) -> CannotMove:
    return CannotMove(
        f"The schema {schema_of(url)} of {shown(url)} has tables already",
        action="Name an empty database, or one that no other platform has its rows in",
    )


def _moved(source: str, target: str, make: Callable[[str], None]) -> list[Copied]:
    make(target)
    engines = [create_engine(url, hide_parameters=True) for url in (source, target)]
    try:
        return copy_all(*engines)
    finally:
        for engine in engines:
            engine.dispose()


def _mark_of(source: Databases) -> str:
    engine = create_engine(source.service, hide_parameters=True)
    try:
        with Session(engine) as session:
            row = session.get(InstallationRow, "account_id")
            return f"{_MOVING} {'' if row is None else row.value}"
    finally:
        engine.dispose()


def _claim(target: Databases, mark: str) -> None:
    """Makes the schemas, after removing those of an interrupted move. Raises CannotMove, psycopg.Error."""
    for url in _urls(target):
        schema = schema_of(url)
        with connect(for_psycopg(url), _PATIENCE) as connection:
            comment, tables = _schema(connection, url)
            if comment == mark:
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
            elif tables:
                raise _taken(url)
    for url in _urls(target):
        ensure_schema(url)
        with connect(for_psycopg(url), _PATIENCE) as connection:
            _comment(connection, schema_of(url), mark)


def _release(target: Databases) -> None:
    for url in _urls(target):
        with connect(for_psycopg(url), _PATIENCE) as connection:
            _comment(connection, schema_of(url), None)


def _comment(connection: psycopg.Connection[tuple[object, ...]], schema: str, text: str | None) -> None:
    connection.execute(sql.SQL("COMMENT ON SCHEMA {} IS {}").format(sql.Identifier(schema), sql.Literal(text)))


def _urls(databases: Databases) -> list[str]:
    return [getattr(databases, name) for name in MAKERS]


def _make_service(url: str) -> None:
    database = Database(url)
    database.migrate()
    database.close()


def _make_mlflow(url: str) -> None:
    """Makes MLflow's tables, and ours in the same database."""
    # MLflow takes seconds to import.
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    from registry_tui.mlflow_plugin import default_experiment, numbers, prompt_projects

    engine = SqlAlchemyStore(url, "mlflow-artifacts:/").engine
    for module in (numbers, prompt_projects, default_experiment):
        module.create_table(engine)
    engine.dispose()
    _sort_by_bytes(url)


def _make_mlflow_auth(url: str) -> None:
    # As above.
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore()
    store.init_db(url)
    store.engine.dispose()
    _sort_by_bytes(url)


def _sort_by_bytes(url: str) -> None:
    """While the tables are empty; MLflow's server does the same when it starts."""
    if is_postgresql(url):
        compare_by_bytes(url)


#: The databases of a platform, by their names in `Databases`, with the functions that make their tables.
MAKERS: dict[str, Callable[[str], None]] = {
    "service": _make_service,
    "workflows": make_tables,
    "mlflow": _make_mlflow,
    "mlflow_auth": _make_mlflow_auth,
}
