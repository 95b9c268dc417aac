"""A PostgreSQL server that goes away and comes back: callers wait or get an error, and nothing is half done."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError, OperationalError

from registry_tui.platform import postgresql
from registry_tui.platform.database_urls import Databases, schema_of
from registry_tui.platform.databases import database_fault, is_lost_connection
from registry_tui.schemas.operations import WorkflowKind, WorkflowStatus
from registry_tui.service.database.database import Database
from registry_tui.service.database.tables import InstallationRow, LogLineRow, UserRow
from registry_tui.service.engine.steps import Step, StepContext
from support.bare import asking, bare_service
from support.platforms import PATIENCE, temporary_folder, wait_for
from support.postgres import PostgresServer, running_postgres
from support.workflow_bench import ANN, WINE, Bench


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
    assert fault is not None and fault.detail == "The service's database cannot be reached"
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


def test_a_server_without_a_free_connection_says_so_and_lets_in_who_waits(
    server: PostgresServer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, held = server.new_database(), list[psycopg.Connection[Any]]()
    with database.reading() as session:
        assert session.scalars(select(UserRow)).all() == []
    database.engine.dispose()
    with suppress(psycopg.OperationalError):
        while True:
            held.append(psycopg.connect(url))
    with pytest.raises(psycopg.OperationalError) as refused:
        postgresql.connect(url, patience=0.1)
    fault = database_fault(refused.value)
    assert fault is not None and not fault.final and is_lost_connection(refused.value)
    assert fault.detail == "The server of the service's database has no free connection"
    # A waiting connection is accepted once another one closes, also at the first connection of an engine.
    pause = time.sleep

    def give_one_back(seconds: float) -> None:
        if held:
            held.pop().close()
        pause(seconds)

    monkeypatch.setattr(time, "sleep", give_one_back)
    with database.session() as session:
        session.add(UserRow(name="ann", crn="c"))
    for each in held:
        each.close()


def test_a_view_of_somebody_elses_on_a_table_stays_or_is_named_as_what_stands_in_the_way(
    server: PostgresServer, database: Database
) -> None:
    schema, name = schema_of(database.url), database.url.rpartition("/")[2].partition("?")[0]
    server.execute(f"CREATE VIEW theirs AS SELECT name FROM {schema}.users", name)
    database.migrate()
    with database.session() as session:
        session.add(UserRow(name="ann", crn="c"))
    # A column that has to change, and that their view shows.
    server.execute(f"ALTER TABLE {schema}.users ADD COLUMN more text", name)
    server.execute(f"CREATE VIEW more AS SELECT more FROM {schema}.users", name)
    with pytest.raises(DBAPIError) as refused:
        database.migrate()
    fault = database_fault(refused.value)
    assert fault is not None and fault.final and "A view" in fault.detail and "Drop it" in fault.action
    server.execute("DROP VIEW more", name)
    database.migrate()


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


def test_a_workflow_goes_on_whose_connections_end_at_every_moment(
    server: PostgresServer, database: Database, tmp_path: Path
) -> None:
    """Also in the middle of a step's transaction, which then counts for nothing. DBOS has its rows there too."""
    bench, moments, ended = Bench(tmp_path, database=database), list[str](), set[str]()

    def observe(moment: str, kind: WorkflowKind, step: str) -> None:
        moments.append(f"{moment} {step}")
        server.end_connections()

    def write(name: str) -> Step:
        def run(context: StepContext) -> dict[str, str]:
            context.log(name)
            with database.session() as session:
                session.add(InstallationRow(key=name, value=context.workflow_id))
                session.flush()
                if name not in ended:
                    ended.add(name)
                    server.end_connections()
            return {name: "done"}

        return Step(name, run)

    definition = bench.define(write("first"), write("second"), on_success=write("at its end").run)
    bench.engine.observe(observe)
    bench.engine.launch()
    done = bench.engine.wait(bench.engine.start(ANN, definition.kind, resource=WINE).id, PATIENCE)
    bench.engine.stop()
    assert (done.status, done.steps_done, done.error) == (WorkflowStatus.SUCCEEDED, 2, None)
    assert moments == [
        f"{moment} {name}" for name in ("first", "second", "on_success") for moment in ("before", "after")
    ]
    with database.reading() as session:
        rows = {row.key: row.value for row in session.scalars(select(InstallationRow))}
    assert rows == dict.fromkeys(("first", "second", "at its end"), done.id)
    assert sum("cannot be reached; trying again" in text for text in bench.texts(done)) == 3


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a file system")
def test_a_workflow_waits_while_the_disk_of_the_server_is_full(server: PostgresServer, tmp_path: Path) -> None:
    with server.small_database(60) as (url, disk):
        database = Database(Databases.on_postgresql(url).service)
        database.migrate()
        bench = Bench(tmp_path, database=database)
        filling, filled = disk / "filling", list[bool]()

        def fill(context: StepContext) -> None:
            if not filled:
                filled.append(True)
                fill_up(disk, filling)
            with database.session() as session:
                session.add_all(LogLineRow(request_id="r", text="x" * 1000) for _ in range(1000))

        definition = bench.define(Step("fill", fill))
        bench.engine.launch()
        begun = bench.engine.start(ANN, definition.kind, resource=WINE)
        wait_for(lambda: filled, what="the step to begin")
        fill_up(disk, filling)  # the server may have given room back
        with pytest.raises(OperationalError) as caught:
            write_much(database)
        fault = database_fault(caught.value)
        assert fault is not None and "is full: nothing was changed" in fault.detail and not fault.final
        with database.reading() as session:
            assert session.scalar(select(func.count()).where(LogLineRow.request_id == "much")) == 0
        filling.unlink()
        done = bench.engine.wait(begun.id, PATIENCE)
        bench.engine.stop()
        assert (done.status, done.error) == (WorkflowStatus.SUCCEEDED, None)
        with database.reading() as session:
            assert session.scalar(select(func.count()).where(LogLineRow.request_id == "r")) == 1000
        write_much(database)
        database.close()


def fill_up(disk: Path, filling: Path) -> None:
    """Takes all the room of a small disk on which a server writes and deletes at the same time."""
    with filling.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 12))


def write_much(database: Database) -> None:
    """More rows than fit into the pages that a table has already."""
    with database.session() as session:
        session.add_all(LogLineRow(request_id="much", text="y" * 1000) for _ in range(5000))


async def test_requests_are_carried_out_once_when_their_connections_end(server: PostgresServer, tmp_path: Path) -> None:
    """Reads, and changes with a key, are repeated automatically.

    For a change without one, the response has the remedy.
    """
    database = Database(Databases.on_postgresql(server.new_database()).service)
    database.migrate()
    with bare_service(tmp_path, database=database) as service:
        async with asking(service) as http:
            with cut_off(server, database, "session", after=1):  # the first one notes the key
                made = await http.put("/groups/a", json={"description": "x"}, headers={"Idempotency-Key": "k"})
            assert made.status_code == 200, made.text
            with cut_off(server, database, "reading"):
                assert [each["name"] for each in (await http.get("/groups")).json()["items"]] == ["a"]
            with cut_off(server, database, "session"):
                lost = await http.put("/groups/b", json={})
            assert (lost.status_code, lost.json()["code"]) == (503, "database-unavailable")
            assert lost.json()["action"] == "See whether its server runs, then try again"
            assert [each["name"] for each in (await http.get("/groups")).json()["items"]] == ["a"]
            assert (await http.put("/groups/b", json={})).status_code == 200
            events = [(each["resource_name"], each["outcome"]) for each in (await http.get("/events")).json()["items"]]
            succeeded = [name for name, outcome in events if outcome == "succeeded"]
            assert sorted(succeeded) == ["a", "b"] and ("b", "failed") in events


async def test_a_text_with_nul_is_refused_where_people_send_it_and_shown_where_a_program_does(
    database: Database,
) -> None:
    with temporary_folder() as folder, bare_service(folder, database=database) as service:
        with database.session() as session:
            session.add(LogLineRow(request_id="r", text="a\0b"))
        with database.reading() as session:
            assert session.scalars(select(LogLineRow.text)).all() == ["a␀b"]
        async with asking(service) as http:
            for headers in ({}, {"Idempotency-Key": "k"}):
                refused = await http.put("/groups/a", json={"description": "a\0b"}, headers=headers)
                assert (refused.status_code, refused.json()["detail"]) == (422, "A text holds the character NUL")
            assert (await http.put("/groups/a", json={"description": "a\\u0000b"})).status_code == 200
            assert (await http.get("/events", params={"resource": "a\0b"})).status_code < 500


@contextmanager
def cut_off(server: PostgresServer, database: Database, kind: str, after: int = 0) -> Iterator[None]:
    """Ends all connections within one transaction of a kind, before it is committed: the next one, or one `after`."""
    begin = getattr(database, kind)
    left = after + 1

    @contextmanager
    def beginning() -> Iterator[Any]:
        nonlocal left
        with begin() as session:
            left -= 1
            if left == 0:
                session.connection()
                server.end_connections()
            yield session

    setattr(database, kind, beginning)
    try:
        yield
    finally:
        setattr(database, kind, begin)
    assert left <= 0
