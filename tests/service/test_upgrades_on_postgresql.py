"""A platform in PostgreSQL is upgraded to this version, or stays as it was if anything fails or is killed in
between.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import psycopg
import pytest
from psycopg import sql

from registry_tui.platform import database_owner, lifecycle
from registry_tui.platform.database_choice import Choice
from registry_tui.platform.database_urls import databases_of, for_psycopg, schema_of
from registry_tui.platform.errors import Damaged, HomeUnusable
from registry_tui.platform.paths import Home
from registry_tui.service import moving
from registry_tui.service.backup import schemas_aside, upgrading
from registry_tui.service.backup.snapshots import CannotBackUp
from registry_tui.service.backup.upgrading import UpgradeFailed
from registry_tui.service.database.database import LATEST_REVISION
from support.platforms import clean_environment
from support.postgres import PostgresServer
from support.rows import ask
from support.whole_homes import filled_home, on_postgresql

#: Upgrades without a start, and ends as by `kill -9`: when a step begins, or a function of the copies has been called.
KILLED = """
import os, signal, sys
from pathlib import Path
from registry_tui.platform.paths import Home
from registry_tui.service.backup import schemas_aside, upgrading
def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)
name = sys.argv[2]
if hasattr(schemas_aside, name):
    before = getattr(schemas_aside, name)
    setattr(schemas_aside, name, lambda *given: kill(before(*given)))
for each in upgrading.upgrade(Home(Path(sys.argv[1])), start=False):
    if each.what.startswith(name):
        kill()
"""
_DEFINITIONS = (
    # Columns that were dropped keep their numbers.
    "SELECT table_name, column_name, row_number() OVER (PARTITION BY table_name ORDER BY ordinal_position), "
    "column_default, is_nullable, data_type, is_identity, collation_name, generation_expression "
    "FROM information_schema.columns WHERE table_schema = current_schema()",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE connamespace = current_schema()::regnamespace AND contype <> 'n'",
    "SELECT c.relname, pg_get_indexdef(i.indexrelid, 0, true) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
    "WHERE c.relnamespace = current_schema()::regnamespace",
    "SELECT sequencename, start_value, increment_by, last_value FROM pg_sequences WHERE schemaname = current_schema()",
    "SELECT proname, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = current_schema()::regnamespace",
    "SELECT tgname, pg_get_triggerdef(g.oid, true) FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid "
    "WHERE t.relnamespace = current_schema()::regnamespace AND NOT g.tgisinternal",
    "SELECT c.relname, g.grantee::text, g.privilege_type FROM pg_class c, aclexplode(c.relacl) g "
    "WHERE c.relnamespace = current_schema()::regnamespace",
)


@pytest.fixture(scope="module")
def filled() -> Iterator[Home]:
    with filled_home() as home:
        yield home


@pytest.fixture(params=[1, 3], ids=["one-database", "three-databases"])
def home(request: pytest.FixtureRequest, filled: Home, postgres: PostgresServer) -> Iterator[Home]:
    """A home whose rows are in PostgreSQL, a table of which others may read."""
    with on_postgresql(filled, Choice(*(postgres.new_database() for _ in range(request.param)))) as moved:
        database_owner.claim(moved, databases_of(moved).service)
        execute(databases_of(moved).service, "GRANT SELECT ON events TO pg_monitor")
        yield moved


@pytest.fixture
def migrations(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The migrations, which a test may change."""
    found: dict[str, Any] = dict(upgrading.MIGRATIONS)
    monkeypatch.setattr(upgrading, "MIGRATIONS", found)
    return found


def execute(url: str, statement: str) -> None:
    with psycopg.connect(for_psycopg(url)) as connection:
        connection.execute(statement.encode())


def contents(home: Home) -> dict[tuple[str, str], Any]:
    """Every definition and every row of each schema."""
    found: dict[tuple[str, str], Any] = {}
    for part, url in asdict(databases_of(home)).items():
        with psycopg.connect(for_psycopg(url)) as connection:
            for query in _DEFINITIONS:
                found[part, query] = sorted(map(repr, connection.execute(query.encode()).fetchall()))
            for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"):
                rows = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(name)))
                found[part, name] = sorted(map(repr, rows.fetchall()))
    return found


def killed(home: Home, at: str) -> None:
    command = [sys.executable, "-c", KILLED, str(home.root), at]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_a_migration_that_fails_leaves_every_schema_as_it_was(home: Home, migrations: dict[str, Any]) -> None:
    before, databases = contents(home), databases_of(home)

    def fail(home: Home) -> None:
        execute(databases.service, "ALTER TABLE events DROP COLUMN duration_ms; CREATE TABLE more (x int)")
        execute(databases.mlflow, "DROP TABLE metrics CASCADE")
        raise UpgradeFailed("half of it is done")

    migrations["another one"] = fail
    for _ in range(2):  # the copies of before are replaced
        with pytest.raises(UpgradeFailed, match=r"as it was before: half of it is done") as failed:
            list(upgrading.upgrade(home))
        assert contents(home) == before and not home.upgrading_file.exists()
        assert "registry_tui_service__after_" in str(failed.value.action)
    moving.MAKERS["service"](databases.service)
    assert contents(home) == before


def test_a_migration_that_loses_rows_is_gone_back_from(home: Home, migrations: dict[str, Any]) -> None:
    before = contents(home)
    migrations.clear()
    migrations["one"] = lambda home: execute(databases_of(home).mlflow, "DELETE FROM metrics")
    with pytest.raises(UpgradeFailed, match="The table metrics of mlflow had 900 rows, and now has 0"):
        list(upgrading.upgrade(home))
    assert contents(home) == before


def test_an_upgrade_is_done_whatever_kills_came_between(home: Home) -> None:
    before = contents(home)
    killed(home, "copy")
    assert contents(home) == before and not home.upgrading_file.exists()
    for at in ("migrating MLflow's database", "comparing the rows", "go_back"):
        killed(home, at)
        assert home.upgrading_file.exists()
        with pytest.raises(HomeUnusable, match="upgrade"):
            list(lifecycle.up(home))
    work = upgrading.upgrade(home, start=False)
    steps = []
    with pytest.raises(StopIteration) as ended:
        while True:
            steps.append(next(work).what)
    assert "going back from an upgrade that was cut off" in steps
    assert ended.value.value.rows["mlflow"] > 1200 and "registry_tui_mlflow__before" in ended.value.value.before
    assert schemas_aside.revision(databases_of(home)) == LATEST_REVISION
    after = contents(home)
    differing = {key for key in before if after[key] != before[key]}
    # DBOS writes a row for each process that makes its tables.
    assert not {key for key in differing if key[1] != "application_versions"}
    assert not home.upgrading_file.exists()


def test_an_upgrade_that_is_left_goes_back_at_once(home: Home) -> None:
    before = contents(home)
    work = upgrading.upgrade(home)
    while next(work).what != "comparing the rows of all tables":
        pass
    work.close()
    assert contents(home) == before and not home.upgrading_file.exists()


def test_copies_that_were_changed_are_not_gone_back_to(
    filled: Home, postgres: PostgresServer, migrations: dict[str, Any]
) -> None:
    migrations.clear()
    with on_postgresql(filled, Choice(postgres.new_database())) as home:
        url = databases_of(home).mlflow
        work = upgrading.upgrade(home)
        while next(work).what != "comparing the rows of all tables":
            pass
        execute(url, f"DELETE FROM {schema_of(url)}__before.metrics")
        with pytest.raises(Damaged, match=r"registry_tui_mlflow__before.*was changed"):
            work.close()
        assert home.upgrading_file.exists()


def test_what_no_copy_would_have_is_refused_before_the_platform_is_stopped(
    filled: Home, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[Home] = []
    monkeypatch.setattr(lifecycle, "down", stopped.append)
    with on_postgresql(filled, Choice(postgres.new_database())) as home:
        url = databases_of(home).service
        execute(url, "CREATE VIEW public.shown AS SELECT id FROM events")
        with pytest.raises(CannotBackUp, match=r"cannot copy the view public\.shown"):
            list(upgrading.upgrade(home))
        execute(url, "DROP VIEW public.shown; UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(UpgradeFailed, match="newer version"):
            list(upgrading.upgrade(home))
        assert not stopped and ask(url, "SELECT count(*) FROM deployments") == [(1,)]
