"""Curves of metrics, however long, reduced to what a chart can show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

from registry_tui.schemas.tracking import MetricCurve, MetricPoint
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.tracking.project import enter_project
from registry_tui.service.tracking.runs import fetch_run

#: Our route in MLflow's server (`mlflow_plugin/curves.py`).
_PATH = "registry-tui/metric-curve"
_EPOCH = datetime.fromtimestamp(0, UTC)
#: What a date can hold; MLflow stores any number of milliseconds.
_YEARS_MS = (-62_135_596_800_000, 253_402_300_799_000)

Axis = Literal["step", "time"]


def metric_curve(
    service: Service,
    principal: Principal,
    project: str,
    run: str,
    metric: str,
    *,
    buckets: int,
    x: Axis = "step",
    low: float | None = None,
    high: float | None = None,
) -> MetricCurve:
    """Smallest and largest value of each bucket of x, in order, from `low` to `high` (steps, or ms since 1970).

    Raises Missing, NotPermitted, PartUnavailable.
    """
    place = enter_project(service, principal, project)
    found = fetch_run(service, place, run)
    params = {
        "run_id": found["info"]["run_id"],
        "metric_key": metric,
        "x": x,
        "buckets": buckets,
        "low": low,
        "high": high,
    }
    answer = service.mlflow.call("GET", _PATH, workspace=place.workspace, params=params)
    return MetricCurve.model_construct(
        count=answer["count"],
        not_finite=answer["not_finite"],
        not_positive=answer["not_positive"],
        one_step=answer["one_step"],
        began_at=None if answer["began"] is None else _moment(answer["began"]),
        points=[
            MetricPoint.model_construct(step=step, timestamp=_moment(timestamp), value=value)
            for step, timestamp, value in answer["points"]
        ],
    )


def _moment(milliseconds: int) -> datetime:
    low, high = _YEARS_MS
    return _EPOCH + timedelta(milliseconds=min(high, max(low, milliseconds)))
