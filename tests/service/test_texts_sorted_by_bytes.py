"""Tables of PostgreSQL whose texts are sorted by a language: those that can be changed are; the log names others."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, event

from registry_tui.mlflow_plugin import launch
from registry_tui.platform import postgresql
from registry_tui.platform.collations import statements
from registry_tui.platform.database_urls import Databases, for_psycopg
from registry_tui.platform.postgresql import compare_by_bytes, ensure_schema
from support.postgres import PostgresServer

_TABLES = """
    CREATE TABLE model_versions (workspace text, name text, current_stage text, version int);
    CREATE TABLE params (key text);
    CREATE TABLE runs (run_uuid text, experiment_id int, lifecycle_stage text, start_time bigint);
    CREATE TABLE tags (key text)
"""


@pytest.fixture
def databases(postgres: PostgresServer) -> Databases:
    """MLflow's has a few tables as an older version of ours made them."""
    found = Databases.on_postgresql(postgres.new_database())
    ensure_schema(found.mlflow)
    _execute(found.mlflow, _TABLES)
    return found


@pytest.fixture
def address(databases: Databases) -> str:
    return databases.mlflow


@pytest.fixture
def engine(address: str) -> Iterator[Engine]:
    made = create_engine(address, hide_parameters=True)
    yield made
    made.dispose()


def _execute(address: str, statement: str) -> None:
    with psycopg.connect(for_psycopg(address)) as connection:
        connection.execute(statement.encode())


def _left(address: str) -> set[str]:
    """The tables that are still sorted otherwise."""
    with psycopg.connect(for_psycopg(address)) as connection:
        return set(statements(lambda statement: connection.execute(statement.encode())))


def test_a_view_keeps_only_its_own_table_from_being_changed(address: str, caplog: pytest.LogCaptureFixture) -> None:
    _execute(address, "CREATE VIEW report AS SELECT run_uuid FROM runs")
    assert compare_by_bytes(address)
    assert _left(address) == {"runs"}
    (warning,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert "table runs" in warning and "view report" in warning
    assert not compare_by_bytes(address), "nothing was changed, so connections may be kept"
    _execute(address, "DROP VIEW report")
    assert compare_by_bytes(address) and _left(address) == set()


def test_tables_that_somebody_holds_are_changed_later(
    address: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "SETTINGS", {**postgresql.SETTINGS, "lock_timeout": "200ms"})
    monkeypatch.setattr(postgresql, "_SHORT_WAIT", "100ms")
    with psycopg.connect(for_psycopg(address)) as dump:
        dump.execute("LOCK TABLE params, runs IN ACCESS SHARE MODE")
        assert compare_by_bytes(address)
        assert _left(address) == {"params", "runs"}
    assert "table params" in caplog.text and "table runs" in caplog.text and "lock timeout" in caplog.text
    assert compare_by_bytes(address) and _left(address) == set()


def test_indexes_are_made_on_columns_that_stay_as_they_are(databases: Databases, engine: Engine) -> None:
    made = []

    def executing(*given: object) -> None:
        if "CREATE INDEX" in str(given[2]):
            made.append(_left(databases.mlflow))

    event.listen(engine, "before_cursor_execute", executing)
    launch.prepare_tables(databases, engine)
    assert made == [set(), set()]
    with engine.connect() as connection:
        ours = "indexname LIKE 'registry_tui_%%' AND indexname NOT LIKE '%%_pkey'"
        found = connection.exec_driver_sql(f"SELECT count(*) FROM pg_indexes WHERE {ours}")
        assert found.scalar() == len(made)
