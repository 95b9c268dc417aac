"""A backup of a platform whose rows are in PostgreSQL has all of them, of one moment, and is restored into either."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from registry_tui.platform import database_owner
from registry_tui.platform.database_choice import Choice
from registry_tui.platform.database_urls import databases_of, for_psycopg
from registry_tui.platform.paths import Home
from registry_tui.service.backup import postgresql_snapshots, snapshots, taking
from registry_tui.service.backup.snapshots import CannotBackUp
from support.postgres import PostgresServer
from support.whole_homes import filled_home, on_postgresql


@pytest.fixture(scope="module")
def filled() -> Iterator[Home]:
    with filled_home() as home:
        yield home


@pytest.fixture(params=[1, 3], ids=["one-database", "three-databases"])
def home(request: pytest.FixtureRequest, filled: Home, postgres: PostgresServer) -> Iterator[Home]:
    """A home whose rows are in PostgreSQL, and as they were before in files of SQLite."""
    choice = Choice(*(postgres.new_database() for _ in range(request.param)))
    with on_postgresql(filled, choice) as moved:
        yield moved


def rows_of(path: Path) -> dict[str, list[str]]:
    """The rows of every table, each as text, and the IDs that were given."""
    with closing(sqlite3.connect(path)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(map(repr, database.execute(f'SELECT * FROM "{name}"'))) for name in names}


def write(url: str, statement: str) -> None:
    with psycopg.connect(for_psycopg(url)) as connection:
        connection.execute(statement.encode())


def test_files_of_a_backup_are_what_was_moved_to_postgresql_of_one_moment(home: Home, tmp_path: Path) -> None:
    databases = databases_of(home)
    database_owner.claim(home, databases.service)
    with taking._one_moment(home) as copies:
        for url, table in ((databases.service, "events"), (databases.mlflow, "metrics")):
            write(url, f"DELETE FROM {table}")  # after the moment
        for name, copy in copies.items():
            copy(tmp_path / name)
    for name, path in snapshots.files_of(home).items():
        made, before = rows_of(tmp_path / name), rows_of(path)
        for each in (made, before):
            # DBOS writes a row for each process that makes its tables.
            each.pop("application_versions", None)
        assert made == before, name
    assert taking._facts(tmp_path / "service.db").platform == taking._facts(home.service_database).platform


def test_who_writes_to_one_database_of_several_is_waited_for(
    filled: Home, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = Choice(postgres.new_database(), "", postgres.new_database())
    monkeypatch.setattr(postgresql_snapshots, "_PATIENCE", 0.2)
    with on_postgresql(filled, choice) as home, psycopg.connect(for_psycopg(databases_of(home).mlflow)) as writer:
        writer.execute("DELETE FROM metrics")
        with pytest.raises(CannotBackUp, match="without a pause"), taking._one_moment(home):
            pass
        writer.rollback()
        with taking._one_moment(home) as copies:
            assert set(copies) == set(snapshots.files_of(home))


def test_rows_of_another_version_and_a_server_that_is_away_are_refused(
    filled: Home, postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on_postgresql(filled, Choice(postgres.new_database())) as home:
        url = databases_of(home).service
        write(url, "UPDATE alembic_version SET version_num = '0011'")
        with taking._one_moment(home) as copies, pytest.raises(CannotBackUp, match="another version"):
            copies["service.db"](tmp_path / "service.db")
        name = url.rpartition("?")[0].rpartition("/")[2]
        postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")
        with pytest.raises(CannotBackUp) as refused, taking._one_moment(home):
            pass
        assert postgres.password not in str(refused.value)
