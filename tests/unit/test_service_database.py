"""The service's tables: migrations, times, sessions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError, StatementError

from registry_tui.service.database.database import Database
from registry_tui.service.database.migrations import upgrade
from registry_tui.service.database.tables import Base, CollaboratorRow, EnvironmentRoleRow, UserRow


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database.at(tmp_path / "service.db")
    made.migrate()
    return made


def test_migrations_make_the_tables_that_the_code_knows(database: Database) -> None:
    database.migrate()  # a second start changes nothing
    with database.engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def _filled(connection: Connection, table: str, **given: object) -> None:
    """Adds a row whose other columns that have to be there are filled somehow."""
    values = dict(given)
    for _, name, kind, required, default, _ in connection.exec_driver_sql(f"PRAGMA table_info({table})").all():
        if name not in values and required and default is None:
            values[name] = 1 if kind.upper() in ("INTEGER", "BOOLEAN", "FLOAT", "BIGINT") else f"{table}-{name}"
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    connection.exec_driver_sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))


def test_a_migration_keeps_rows_that_others_point_at(tmp_path: Path) -> None:
    """Platforms that were there before go on: a table that is made anew loses no row, and none that points at it."""
    database = Database.at(tmp_path / "service.db")
    with database.engine.begin() as connection:
        upgrade(connection, "0007")
        _filled(connection, "environments", id="e")
        _filled(connection, "workspaces", id="w", environment_id="e")
        _filled(connection, "registries", id="r", environment_id="e")
    database.migrate()
    with database.engine.begin() as connection:
        for table, id_ in (("environments", "e"), ("workspaces", "w"), ("registries", "r")):
            assert connection.exec_driver_sql(f"SELECT id FROM {table}").all() == [(id_,)], table
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    with pytest.raises(IntegrityError), database.session() as session:
        session.add(CollaboratorRow(project_id="none", user="none", role="viewer"))


def test_people_who_were_named_before_become_users_who_may_do_what_they_could(tmp_path: Path) -> None:
    database = Database.at(tmp_path / "service.db")
    with database.engine.begin() as connection:
        upgrade(connection, "0008")
        connection.exec_driver_sql("INSERT INTO installation (key, value) VALUES ('account_id', 'a')")
        _filled(connection, "users", name="ann", created_at="2026-11-22 12:00:00")
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
