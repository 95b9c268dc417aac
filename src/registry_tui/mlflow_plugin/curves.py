"""A metric's history reduced inside MLflow's server to what a chart can show.

MLflow's REST API only pages through the history. Its sampling for charts keeps the first row of each of `max_results`
equal parts, and the last (`SqlAlchemyStore._sample_rows_with_window_functions`): a spike between them would be lost.
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, request

from registry_tui.mlflow_plugin.identity import is_administrator

#: The service knows it by this path, below MLflow's own.
PATH = "/api/2.0/mlflow/registry-tui/metric-curve"
MAX_BUCKETS = 5000

#: MLflow keeps infinities as the largest floats (`SqlAlchemyStore._sanitize_metric_value`).
_FINITE = f"is_nan = 0 AND value > -{sys.float_info.max!r} AND value < {sys.float_info.max!r}"
_COLUMNS = {"step": "step", "time": "timestamp"}


def install(app: Flask, database: Path) -> None:
    """Adds the route, for the service's account only: it looks first whether who asks may see the run."""
    app.add_url_rule(PATH, "registry_tui_metric_curve", partial(_answer, database), methods=["GET"])


def _answer(database: Path) -> Response | tuple[Response, int]:
    if not is_administrator():
        return jsonify({"error_code": "PERMISSION_DENIED", "message": "Ask the service."}), HTTPStatus.FORBIDDEN
    asked = request.args
    try:
        buckets = min(MAX_BUCKETS, max(1, int(asked["buckets"])))
        low, high = (float(asked[name]) if name in asked else None for name in ("low", "high"))
        x, run, key = _COLUMNS[asked["x"]], asked["run_id"], asked["metric_key"]
    except (KeyError, ValueError):
        message = "run_id, metric_key, x and buckets are needed"
        return jsonify({"error_code": "INVALID_PARAMETER_VALUE", "message": message}), HTTPStatus.BAD_REQUEST
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20)) as connection:
        return jsonify(curve(connection, run, key, x=x, buckets=buckets, low=low, high=high))


def curve(
    database: sqlite3.Connection,
    run: str,
    key: str,
    *,
    x: str = "step",
    buckets: int,
    low: float | None = None,
    high: float | None = None,
) -> dict[str, Any]:
    """Smallest and largest value of each bucket of `x` (`step`, or `timestamp` in ms), with the ends, in order.

    Counts all points from `low` to `high`, those that are NaN or infinite, and those not above 0. Raises sqlite3.Error.
    """
    where, given = "run_uuid = ? AND key = ?", [run, key]
    bounds: list[float] = []
    for bound, sign in ((low, ">="), (high, "<=")):
        if bound is not None:
            where += f" AND {x} {sign} ?"
            bounds.append(bound)
    values = (*given, *bounds)
    count, finite, low_values, first, last, one_step, began = database.execute(
        f"SELECT count(*), coalesce(sum({_FINITE}), 0), coalesce(sum({_FINITE} AND value <= 0), 0), "
        f"min({x}), max({x}), min(step) = max(step), min(timestamp) "
        f"FROM metrics WHERE {where}",
        values,
    ).fetchone()
    where += f" AND {_FINITE}"
    columns = "step, timestamp, value"
    rows: set[tuple[int, int, float]] = set()
    if 0 < finite <= 2 * buckets:
        rows.update(database.execute(f"SELECT {columns} FROM metrics WHERE {where}", values))
    elif finite:
        # SQLite takes the other columns from the row that has the smallest or largest value.
        # https://sqlite.org/lang_select.html, "bare columns in an aggregate query"
        bucket = f"CAST(({x} - ?) * 1.0 * ? / ? AS INTEGER)"
        for extreme in ("min", "max"):
            rows.update(
                database.execute(
                    f"SELECT step, timestamp, {extreme}(value) FROM metrics WHERE {where} GROUP BY {bucket}",
                    (*values, first, buckets, last - first + 1),
                )
            )
        for order in ("ASC", "DESC"):
            rows.update(
                database.execute(f"SELECT {columns} FROM metrics WHERE {where} ORDER BY {x} {order} LIMIT 1", values)
            )
    place = 0 if x == "step" else 1
    points = sorted(rows, key=lambda row: (row[place], row[1 - place], row[2]))
    return {
        "count": count,
        "not_finite": count - finite,
        "not_positive": low_values,
        "one_step": bool(one_step),
        "began": began,
        "points": [list(row) for row in points],
    }
