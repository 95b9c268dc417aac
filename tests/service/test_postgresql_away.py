"""A PostgreSQL server that goes away and comes back: who asks waits or is told, and nothing is half done."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from registry_tui.platform import postgresql
from registry_tui.platform.database_urls import Databases
from registry_tui.platform.databases import database_fault, is_lost_connection
from registry_tui.service.database.database import Database
from registry_tui.service.database.tables import UserRow
from support.postgres import PostgresServer, running_postgres


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that only these tests use: they stop it."""
    with running_postgres() as started:
        yield started


@pytest.fixture
def database(server: PostgresServer) -> Iterator[Database]:
    made = Database(Databases.on_postgresql(server.new_database()).service)
    made.migrate()
    yield made
    made.close()


def test_connections_that_a_restart_cut_off_are_replaced(server: PostgresServer, database: Database) -> None:
    with database.reading() as session:
        assert session.scalars(select(UserRow)).all() == []
    server.stop()
    server.start()
    with database.session() as session:
        session.add(UserRow(name="ann", crn="c"))
    with database.reading() as session:
        assert session.scalars(select(UserRow.name)).all() == ["ann"]


def test_who_asks_waits_for_a_server_that_starts_again(server: PostgresServer, database: Database) -> None:
    server.stop()
    asked = threading.Event()

    def start() -> None:
        asked.wait()
        server.start()

    starter = threading.Thread(target=start)
    starter.start()
    try:
        asked.set()
        with database.session() as session:
            session.add(UserRow(name="ann", crn="c"))
    finally:
        starter.join()
    with database.reading() as session:
        assert session.scalars(select(UserRow.name)).all() == ["ann"]


def test_a_transaction_that_is_cut_off_changes_nothing(server: PostgresServer, database: Database) -> None:
    with pytest.raises(OperationalError) as caught, database.session() as session:
        session.add(UserRow(name="ann", crn="c"))
        session.flush()
        server.stop()
        session.add(UserRow(name="bob", crn="c"))
    server.start()
    fault = database_fault(caught.value)
    assert is_lost_connection(caught.value)
    assert fault is not None and fault.detail == "The service's database cannot be reached: nothing was changed"
    assert not fault.final
    with database.reading() as session:
        assert session.scalars(select(UserRow)).all() == []


def test_a_server_that_stays_away_is_told_from_one_that_refuses(server: PostgresServer) -> None:
    url = server.new_database()
    wrong = [url.replace(server.password, "guessed"), f"{url}_gone", url.replace("postgres:", "nobody:")]
    for each in wrong:
        with pytest.raises(psycopg.OperationalError) as refused:
            postgresql.connect(each)
        fault = database_fault(refused.value)
        assert fault is not None and fault.final and "refuses the user" in fault.detail
        assert not is_lost_connection(refused.value)
    server.stop()
    try:
        with pytest.raises(psycopg.OperationalError) as away:
            postgresql.connect(url, patience=0.1)
    finally:
        server.start()
    fault = database_fault(away.value)
    assert fault is not None and not fault.final and is_lost_connection(away.value)


def test_who_waits_for_another_writer_for_too_long_is_told(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "SETTINGS", {**postgresql.SETTINGS, "lock_timeout": "50ms"})
    with database.session() as session:
        session.add(UserRow(name="ann", crn="c"))
        session.flush()
        other = Database(database.url)
        with pytest.raises(OperationalError) as caught, other.session() as waiting:
            waiting.add(UserRow(name="bob", crn="c"))
        other.close()
    fault = database_fault(caught.value)
    assert fault is not None and fault.detail == "The service's database was busy for too long"
