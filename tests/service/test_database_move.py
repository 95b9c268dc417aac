"""`database move`: every row of a platform's SQLite files is in PostgreSQL, or the platform stays where it is."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import Mock

import psycopg
import pytest
from sqlalchemy import func, select

from registry_tui.platform import database_choice
from registry_tui.platform.database_choice import Choice
from registry_tui.platform.database_urls import Databases, databases_of
from registry_tui.platform.errors import HomeUnusable
from registry_tui.platform.paths import Home
from registry_tui.service import moving
from registry_tui.service.database.copying import CannotMove
from registry_tui.service.database.database import Database
from registry_tui.service.database.tables import DeploymentRow, EventRow, LogLineRow, UserRow, WorkflowRow
from support.postgres import PostgresServer
from support.rows import ask
from support.whole_homes import copied, event, filled_home


@pytest.fixture(scope="module")
def filled() -> Iterator[Home]:
    with filled_home() as home:
        yield home


@pytest.fixture
def home(filled: Home) -> Iterator[Home]:
    """A copy of it, which a test may move."""
    with copied(filled) as copy:
        yield copy


def test_every_row_is_there_and_the_same(home: Home, postgres: PostgresServer) -> None:
    choice = Choice(postgres.new_database())
    moved = {each.part: each for each in moving.bring_rows(home, choice)}
    assert databases_of(home) == Databases.on_postgresql(choice.service)
    assert list(moved) == ["service", "workflows", "mlflow", "mlflow_auth"]
    rows = {table.table: table.rows for each in moved.values() for table in each.tables}
    for path in (home.service_database, home.mlflow_database, home.mlflow_auth_database):
        with closing(sqlite3.connect(path)) as database:
            names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
            for (name,) in names.fetchall():
                [count] = database.execute(f'SELECT count(*) FROM "{name}"').fetchone()
                assert name.startswith("alembic_version") or rows[name] >= count, name
    assert rows["runs"] == 300 and rows["metrics"] == 900 and rows["deployments"] == 1
    before, after = Database.at(home.service_database), Database(databases_of(home).service)
    found = []
    for one in (before, after):
        with one.reading() as session:
            workflow, kept = session.scalars(select(WorkflowRow)).one(), session.scalars(select(EventRow)).one()
            deployment = session.scalars(select(DeploymentRow)).one()
            line = session.scalars(select(LogLineRow.text)).one()
            found.append((workflow.state, workflow.created_at, kept.resource_name, deployment.authentication, line))
    assert found[0] == found[1]
    with after.session() as session:
        session.add(later := event("later"))
        session.flush()
        assert later.id == 3, "the ID of an event that was deleted is not given again"
    before.close()
    after.close()


def test_a_move_that_was_cut_off_begins_again(home: Home, postgres: PostgresServer) -> None:
    choice = Choice(postgres.new_database())
    begun = moving.bring_rows(home, choice)
    assert next(begun).part == "service"
    begun.close()
    assert databases_of(home) == Databases.in_home(home)
    assert [each.part for each in moving.bring_rows(home, choice)] == ["service", "workflows", "mlflow", "mlflow_auth"]
    with pytest.raises(CannotMove, match="in PostgreSQL already"):
        list(moving.bring_rows(home, choice))


def test_a_move_that_could_not_be_kept_begins_again(
    home: Home, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = Choice(postgres.new_database())
    with monkeypatch.context() as patched:
        patched.setattr(database_choice, "keep", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(HomeUnusable, match="its disk is full"):
            list(moving.bring_rows(home, choice))
    assert databases_of(home) == Databases.in_home(home)
    assert [each.part for each in moving.bring_rows(home, choice)] == ["service", "workflows", "mlflow", "mlflow_auth"]
    assert databases_of(home) == Databases.on_postgresql(choice.service)


def test_a_move_that_ended_with_its_comments_is_safe_from_another_platform(
    home: Home, filled: Home, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    choice = Choice(postgres.new_database())
    with monkeypatch.context() as patched:
        patched.setattr(moving, "_release", Mock(side_effect=psycopg.OperationalError("gone")))
        list(moving.bring_rows(home, choice))
    assert databases_of(home) == Databases.on_postgresql(choice.service)
    other = Home(tmp_path / "other")
    shutil.copytree(filled.root, other.root, ignore=shutil.ignore_patterns("*.sock"))
    with closing(sqlite3.connect(other.service_database)) as database, database:
        database.execute("INSERT OR REPLACE INTO installation (key, value) VALUES ('account_id', 'another')")
    with pytest.raises(CannotMove, match="has tables already"):
        list(moving.bring_rows(other, choice))
    assert ask(databases_of(home).service, "SELECT count(*) FROM deployments") == [(1,)]


def test_rows_of_another_platform_are_not_touched(home: Home, postgres: PostgresServer) -> None:
    url = postgres.new_database()
    other = Database(Databases.on_postgresql(url).service)
    other.migrate()
    with other.session() as session:
        session.add(UserRow(name="somebody", crn="c"))
    with pytest.raises(CannotMove, match="has tables already"):
        list(moving.bring_rows(home, Choice(url)))
    with other.reading() as session:
        assert session.scalar(select(func.count()).select_from(UserRow)) == 1
    other.close()
    assert databases_of(home) == Databases.in_home(home)


def test_a_value_that_postgresql_does_not_take_is_named(home: Home, postgres: PostgresServer) -> None:
    with closing(sqlite3.connect(home.service_database)) as database, database:
        database.execute("UPDATE events SET duration_ms = 3000000000")
    with pytest.raises(CannotMove, match=r"events.*column duration_ms") as caught:
        list(moving.bring_rows(home, Choice(postgres.new_database())))
    assert "3000000000" not in str(caught.value)
    assert databases_of(home) == Databases.in_home(home)


def test_a_row_that_points_at_nothing_is_named(home: Home, postgres: PostgresServer) -> None:
    with closing(sqlite3.connect(home.service_database)) as database, database:
        database.execute("INSERT INTO group_members VALUES ('nobody', 'nobody')")
    with pytest.raises(CannotMove, match="group_members: ForeignKeyViolation"):
        list(moving.bring_rows(home, Choice(postgres.new_database())))
    assert databases_of(home) == Databases.in_home(home)


def test_a_text_with_nul_has_the_picture_of_it_in_postgresql(home: Home, postgres: PostgresServer) -> None:
    with closing(sqlite3.connect(home.service_database)) as database, database:
        database.execute("UPDATE log_lines SET text = 'a' || char(0) || 'b'")
    list(moving.bring_rows(home, Choice(postgres.new_database())))
    assert ask(databases_of(home).service, "SELECT text FROM log_lines") == [("a␀b",)]


def test_a_new_home_has_nothing_to_move(tmp_path: Path, postgres: PostgresServer) -> None:
    home = Home(tmp_path / "home")
    home.create()
    with pytest.raises(CannotMove, match="no rows yet"):
        list(moving.bring_rows(home, Choice(postgres.new_database())))
