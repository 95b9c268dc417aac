"""The service's tables: migrations, times, sessions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, StatementError

from registry_tui.service.database.database import Database
from registry_tui.service.database.tables import Base, CollaboratorRow, UserRow


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database.at(tmp_path / "service.db")
    made.migrate()
    return made


def test_migrations_make_the_tables_that_the_code_knows(database: Database) -> None:
    database.migrate()  # a second start changes nothing
    with database.engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


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
