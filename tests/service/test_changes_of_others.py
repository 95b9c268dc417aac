"""Notifications of other processes on PostgreSQL, also foreign and malformed ones."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import func, select

from registry_tui.platform.database_urls import Databases, schema_of
from registry_tui.schemas.stream import ChangeKind
from registry_tui.service.database.database import Database
from registry_tui.service.database.tables import DeploymentRow, EnvironmentBackendRow, EventRow
from registry_tui.service.loops.others import Others
from registry_tui.service.loops.stream import Hub
from support.platforms import PATIENCE, wait_for
from support.postgres import PostgresServer

#: A process of the service that nobody runs.
SENDER = "5d2f0c1b6e7a4f3c9b8a7d6e5f4c3b2a"


class _Heard(Hub):
    """Records the published messages."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[object] = []

    def publish(self, kind: ChangeKind, **told: object) -> None:
        self.heard.append(getattr(told.get("event"), "resource_name", None))
        super().publish(kind, **told)

    def begin_again(self) -> None:
        self.heard.append("resync")
        super().begin_again()


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[Database]:
    made = Database(Databases.on_postgresql(postgres.new_database()).service)
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def hub(database: Database) -> Iterator[_Heard]:
    made = _Heard()
    Others(database, made).start()
    yield made
    made.close()


def _notify(database: Database, payload: str) -> None:
    with database.session() as session:
        session.execute(select(func.pg_notify(schema_of(database.url), payload)))


def _add(database: Database, name: str, outcome: str = "succeeded") -> None:
    """An event of another process, which announces it."""
    named = {name: name for name in ("actor", "actor_crn", "action", "resource_type", "resource_id", "request_id")}
    with database.session() as session:
        row = EventRow(**named, resource_name=name, outcome=outcome)
        session.add(row)
        session.flush()
        Others(database, Hub()).announce(session, [row])


@pytest.mark.parametrize(
    "payload",
    ["", "hello", "x event y", f"{SENDER} event y", f"{SENDER} event", f"{SENDER} x 1"],
)
def test_notifications_that_are_none_of_ours_are_ignored(database: Database, hub: _Heard, payload: str) -> None:
    _notify(database, payload)
    _add(database, "after it")
    wait_for(lambda: hub.heard == ["after it"], what="the change after the odd notification")


def test_after_a_row_that_is_not_understood_all_is_asked_again_and_others_are_still_followed(
    database: Database, hub: _Heard, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("first", "second"):
        _add(database, name, outcome="of a newer process")
    _add(database, "after them")
    wait_for(lambda: hub.heard == ["resync", "resync", "after them"], what="the change after those of newer processes")
    assert caplog.text.count("is not understood") == 1


def test_rows_that_another_process_writes_wake_what_rests(database: Database) -> None:
    woken = threading.Semaphore(0)
    hub = Hub()
    Others(database, hub, wakes=(EnvironmentBackendRow,), wake=woken.release).start()
    other = Others(database, Hub(), wakes=(EnvironmentBackendRow,))
    try:
        with database.session() as session:
            other.announce(session, [EnvironmentBackendRow()])
        assert woken.acquire(timeout=PATIENCE)
        with database.session() as session:
            other.announce(session, [DeploymentRow()])
        _add(database, "after it")
        assert not woken.acquire(timeout=0.2)
    finally:
        hub.close()
