"""The service's tables, on SQLite and on PostgreSQL: migrations, times, sessions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, Table, select
from sqlalchemy.exc import IntegrityError, StatementError

from registry_tui.platform.collations import STATEMENTS
from registry_tui.platform.database_urls import Databases
from registry_tui.service.database import dialects
from registry_tui.service.database.database import Database
from registry_tui.service.database.migrations import upgrade
from registry_tui.service.database.tables import Base, CollaboratorRow, EnvironmentRoleRow, UserRow
from support.postgres import PostgresServer

_NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without tables."""
    if request.param == "sqlite":
        made = Database.at(tmp_path / "service.db")
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        made = Database(Databases.on_postgresql(server.new_database()).service)
    yield made
    made.close()


@pytest.fixture
def database(empty: Database) -> Database:
    empty.migrate()
    return empty


def test_migrations_make_the_tables_that_the_code_knows(database: Database) -> None:
    database.migrate()  # a second start changes nothing
    with database.engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def _filled(connection: Connection, of: str, **given: object) -> None:
    """Adds a row whose other columns that have to be there are filled somehow."""
    table = Table(of, MetaData(), autoload_with=connection)
    values = dict(given)
    for column in table.columns:
        if column.name not in values and not column.nullable and column.server_default is None:
            kind = column.type.python_type
            values[column.name] = f"{of}-{column.name}" if kind is str else _NOON if kind is datetime else kind(1)
    connection.execute(table.insert().values(values))


def test_a_migration_keeps_rows_that_others_point_at(empty: Database) -> None:
    """Platforms that were there before go on: a table that is made anew loses no row, and none that points at it."""
    database = empty
    dialects.prepare(database.url)
    with database.engine.begin() as connection:
        upgrade(connection, "0007")
        _filled(connection, "environments", id="e")
        _filled(connection, "workspaces", id="w", environment_id="e")
        _filled(connection, "registries", id="r", environment_id="e")
    database.migrate()
    with database.engine.begin() as connection:
        for table, id_ in (("environments", "e"), ("workspaces", "w"), ("registries", "r")):
            assert connection.exec_driver_sql(f"SELECT id FROM {table}").all() == [(id_,)], table
        if connection.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    with pytest.raises(IntegrityError), database.session() as session:
        session.add(CollaboratorRow(project_id="none", user="none", role="viewer"))


def test_people_who_were_named_before_become_users_who_may_do_what_they_could(empty: Database) -> None:
    database = empty
    dialects.prepare(database.url)
    with database.engine.begin() as connection:
        upgrade(connection, "0008")
        connection.exec_driver_sql("INSERT INTO installation (key, value) VALUES ('account_id', 'a')")
        _filled(connection, "users", name="ann", created_at=_NOON)
        for name in ("lab", "plant"):
            _filled(connection, "environments", id=name, bucket=name, name=name, creator="ann")
        _filled(connection, "workspaces", id="w", environment_id="lab", creator="bob")
    database.migrate()
    with database.reading() as session:
        users = {row.name: row for row in session.scalars(select(UserRow))}
        held = {(row.user, row.environment_id, row.role) for row in session.scalars(select(EnvironmentRoleRow))}
    assert set(users) == {"ann", "bob"} and {row.state for row in users.values()} == {"active"}
    assert users["bob"].crn == f"crn:altus:iam:us-west-1:a:user:{users['bob'].id}"
    roles = ("EnvironmentUser", "MLUser")
    assert held == {(name, place, role) for name in users for place in ("lab", "plant") for role in roles}


def test_times_come_back_in_utc_and_naive_ones_are_refused(database: Database) -> None:
    noon = datetime(2026, 11, 22, 12, tzinfo=timezone(timedelta(hours=2)))
    with database.session() as session:
        session.add(UserRow(name="ann", crn="c", created_at=noon))
    with database.reading() as session:
        found = session.get_one(UserRow, "ann").created_at
    assert found == noon and found.tzinfo is UTC
    with pytest.raises(StatementError), database.session() as session:
        session.add(UserRow(name="bob", crn="c", created_at=datetime(2026, 1, 1)))


def test_a_session_that_raises_changes_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError), database.session() as session:
        session.add(UserRow(name="ann", crn="c"))
        session.flush()
        raise RuntimeError
    with database.reading() as session:
        assert session.scalars(select(UserRow)).all() == []


def test_rows_cannot_point_at_nothing(database: Database) -> None:
    with pytest.raises(IntegrityError), database.session() as session:
        session.add(CollaboratorRow(project_id="none", user="none", role="viewer"))


def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    with database.session() as writing:
        writing.add(UserRow(name="ann", crn="c"))
        writing.flush()
        with database.reading() as session:
            assert session.get(UserRow, "ann") is None


def test_who_reads_and_then_writes_does_so_one_after_the_other(database: Database) -> None:
    """Both would write the number that they read and one more: none is lost."""
    with database.session() as session:
        session.add(UserRow(name="ann", crn="c", full_name="0"))

    def count() -> None:
        for _ in range(20):
            with database.session() as session:
                row = session.get_one(UserRow, "ann")
                row.full_name = str(int(row.full_name) + 1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as session:
        assert session.get_one(UserRow, "ann").full_name == "80"


def test_texts_are_sorted_by_their_bytes(database: Database) -> None:
    names = ["Zoe", "ann", "bob-1", "bob1", "bob_1", "Émile", "Ann"]
    with database.session() as session:
        session.add_all(UserRow(name=name, crn="c") for name in names)
    with database.reading() as session:
        assert session.scalars(select(UserRow.name).order_by(UserRow.name)).all() == sorted(names)
        later = session.scalars(select(UserRow.name).where(UserRow.name > "a").order_by(UserRow.name))
        assert later.all() == sorted(name for name in names if name > "a")
    if database.engine.dialect.name == "postgresql":
        with database.engine.begin() as connection:
            assert connection.exec_driver_sql(STATEMENTS).all() == []
