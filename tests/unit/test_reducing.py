"""Histories that are reduced in the service are reduced as MLflow's server here does it with its database."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine

from registry_tui.mlflow_plugin.curves import curve
from registry_tui.service.tracking.reducing import History, reduce_history

STEPS = st.integers(-50, 400)
POINTS = st.lists(
    st.tuples(STEPS, st.integers(0, 5000), st.one_of(st.floats(-1e6, 1e6), st.just(float("nan")))),
    max_size=120,
    # Of several smallest values in a bucket, either side may take another.
    unique_by=(lambda row: row[0], lambda row: row[1], lambda row: str(row[2])),
)
BOUND = st.none() | st.integers(-20, 420)


_ENGINE = create_engine("sqlite://")


def by_database(rows: list[tuple[int, int, float]], **asked: Any) -> dict[str, Any]:
    with _ENGINE.connect() as connection:
        connection.exec_driver_sql("CREATE TEMP TABLE metrics (run_uuid, key, value, timestamp, step, is_nan)")
        if rows:
            connection.exec_driver_sql(
                "INSERT INTO metrics VALUES ('r', 'k', ?, ?, ?, ?)",
                [
                    (0.0 if value != value else value, timestamp, step, value != value)
                    for step, timestamp, value in rows
                ],
            )
        found = curve(connection, "r", "k", **asked)
        connection.rollback()
        connection.exec_driver_sql("DROP TABLE IF EXISTS metrics")
        return found


@given(POINTS, st.integers(1, 12), st.sampled_from(["step", "timestamp"]), BOUND, BOUND)
def test_a_history_is_reduced_by_the_same_rule_as_in_the_database(
    rows: list[tuple[int, int, float]], buckets: int, x: str, low: int | None, high: int | None
) -> None:
    expected = by_database(rows, buckets=buckets, x=x, low=low, high=high)
    history = History()
    history.add(rows)
    found = reduce_history(history, buckets=buckets, x="step" if x == "step" else "time", low=low, high=high)
    assert [list(row) for row in found.points] == expected["points"]
    assert {
        "count": found.count,
        "not_finite": found.not_finite,
        "not_positive": found.not_positive,
        "one_step": found.one_step,
        "began": found.began,
    } == {name: expected[name] for name in ("count", "not_finite", "not_positive", "one_step", "began")}
