"""A metric's history, reduced for a chart inside MLflow's server.

MLflow's REST API only pages through the history. Its sampling for charts keeps the first row of each of `max_results`
equal parts, and the last (`SqlAlchemyStore._sample_rows_with_window_functions`): a spike between them would be lost.
"""

from __future__ import annotations

import sys
from functools import partial
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, jsonify, request
from sqlalchemy import Connection, Engine, text

from registry_tui.mlflow_plugin.identity import is_administrator

#: The service calls this path, below MLflow's own.
PATH = "/api/2.0/mlflow/registry-tui/metric-curve"
MAX_BUCKETS = 5000

#: MLflow keeps infinities as the largest floats (`SqlAlchemyStore._sanitize_metric_value`).
_FINITE = "NOT is_nan AND value > :lowest AND value < :highest"
_COLUMNS = {"step": "step", "time": "timestamp"}


def install(app: Flask, engine: Engine) -> None:
    """Adds the route, for the service's account only: the service first checks whether the caller may see the run.

    `engine` is that of MLflow's tracking store.
    """
    app.add_url_rule(PATH, "registry_tui_metric_curve", partial(_answer, engine), methods=["GET"])


def _answer(engine: Engine) -> Response | tuple[Response, int]:
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
    with engine.connect() as connection:
        return jsonify(curve(connection, run, key, x=x, buckets=buckets, low=low, high=high))


def curve(
    database: Connection,
    run: str,
    key: str,
    *,
    x: str = "step",
    buckets: int,
    low: float | None = None,
    high: float | None = None,
) -> dict[str, Any]:
    """Smallest and largest value of each bucket of `x` (`step`, or `timestamp` in ms), with the ends, in order.

    Counts all points from `low` to `high`, those that are NaN or infinite, and those not above 0. Raises
    SQLAlchemyError.
    """
    where = "run_uuid = :run AND key = :key"
    given: dict[str, Any] = {"run": run, "key": key, "lowest": -sys.float_info.max, "highest": sys.float_info.max}
    for name, bound, sign in (("low", low, ">="), ("high", high, "<=")):
        if bound is not None:
            where += f" AND {x} {sign} :{name}"
            given[name] = bound
    count, finite, low_values, first, last, one_step, began = database.execute(
        text(
            f"SELECT count(*), count(*) FILTER (WHERE {_FINITE}), count(*) FILTER (WHERE {_FINITE} AND value <= 0), "
            f"min({x}), max({x}), min(step) = max(step), min(timestamp) FROM metrics WHERE {where}"
        ),
        given,
    ).one()
    where += f" AND {_FINITE}"
    columns = "step, timestamp, value"
    queries: list[str] = []
    if 0 < finite <= 2 * buckets:
        queries.append(f"SELECT {columns} FROM metrics WHERE {where}")
    elif finite:
        given |= {"first": first, "buckets": buckets, "span": last - first + 1}
        queries += [_extremes(database.dialect.name, x, where, extreme) for extreme in ("min", "max")]
        queries += [f"SELECT {columns} FROM metrics WHERE {where} ORDER BY {x} {to} LIMIT 1" for to in ("ASC", "DESC")]
    rows = {tuple(row) for query in queries for row in database.execute(text(query), given)}
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


def _extremes(dialect: str, x: str, where: str, extreme: str) -> str:
    """The query for the rows with the smallest or the largest value of each bucket."""
    bucket = f"({x} - :first) * 1.0 * :buckets / :span"
    if dialect == "sqlite":
        # SQLite takes the other columns from the row that has the smallest or largest value.
        # https://sqlite.org/lang_select.html, "bare columns in an aggregate query"
        group = f"CAST({bucket} AS INTEGER)"
        return f"SELECT step, timestamp, {extreme}(value) FROM metrics WHERE {where} GROUP BY {group}"
    numbered = f"SELECT step, timestamp, value, floor({bucket}) AS bucket FROM metrics WHERE {where}"
    order = "ASC" if extreme == "min" else "DESC"
    return f"SELECT DISTINCT ON (bucket) step, timestamp, value FROM ({numbered}) AS x ORDER BY bucket, value {order}"
