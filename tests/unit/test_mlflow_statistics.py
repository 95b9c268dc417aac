"""SQLite's statistics of MLflow's own schema: connections that are open follow them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from registry_tui.mlflow_plugin import analysis
from support.many_runs import create_schema, fill

#: The SQL of MLflow's `_search_runs` for `order_by=["metrics.m0 DESC"]`.
SORT = """
SELECT DISTINCT runs.run_uuid, sorted.value FROM runs
LEFT OUTER JOIN (SELECT * FROM latest_metrics WHERE latest_metrics.key = 'm0') AS sorted
ON runs.run_uuid = sorted.run_uuid
WHERE runs.experiment_id IN (?) AND runs.lifecycle_stage IN ('active')
ORDER BY sorted.value DESC, runs.run_uuid LIMIT 101
"""


def thousands_of_steps(database: sqlite3.Connection, experiment: int) -> int:
    """How much SQLite works for a sort, in thousands of its virtual machine's instructions."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    database.set_progress_handler(count, 1000)
    rows = database.execute(SORT, (experiment,)).fetchall()
    database.set_progress_handler(None, 0)
    values = [value for _, value in rows]
    assert values == sorted(values, reverse=True)
    return steps


def test_open_connections_follow_the_growth(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    create_schema(path)
    analysis.analyse(path)
    with closing(sqlite3.connect(path)) as long_open:
        assert thousands_of_steps(long_open, 0) <= 1
        experiment = fill(path, 1000, metrics=3)
        before = thousands_of_steps(long_open, experiment)
        assert analysis.analyse(path) > 1000
        after = thousands_of_steps(long_open, experiment)
        assert after < before / 20


def test_a_transaction_under_way_is_not_disturbed(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    create_schema(path)
    experiment = fill(path, 300, metrics=3)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        before = reader.execute("SELECT count(*) FROM runs").fetchone()
        analysis.analyse(path)
        fill(path, 10, experiment="later")
        assert reader.execute("SELECT count(*) FROM runs").fetchone() == before
        reader.execute("COMMIT")
        renamed = reader.execute("UPDATE runs SET name = 'renamed' WHERE experiment_id = ?", (experiment,))
        assert renamed.rowcount == 300
