"""Curves of metrics, of any length, reduced to the resolution of a chart."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from registry_tui.schemas.tracking import MetricCurve, MetricPoint
from registry_tui.service.adapters.mlflow_answers import as_mlflow_does, pages
from registry_tui.service.adapters.mlflow_words import metric_value
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.errors import WrongState
from registry_tui.service.tracking import reducing
from registry_tui.service.tracking.project import enter_project
from registry_tui.service.tracking.runs import fetch_run
from registry_tui.service.tracking.server import TrackingServer, server_of

#: Our route in MLflow's server (`mlflow_plugin/curves.py`).
_PATH = "registry-tui/metric-curve"
#: Points requested at once from a server without our plugin, and most points that are reduced here.
_PAGE, MOST_POINTS = 25_000, 2_000_000
_EPOCH = datetime.fromtimestamp(0, UTC)
#: The range of a datetime; MLflow stores any number of milliseconds.
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

    Raises Missing, NotPermitted, PartUnavailable, WrongState for a history that is too long to be reduced here.
    """
    place = enter_project(service, principal, project)
    server = server_of(service, place)
    found = fetch_run(service, place, run)
    run_id = found["info"]["run_id"]
    if not server.abilities.reduced_curves:
        where = place.name if place.attached is None else place.attached.address.url
        history = _whole_history(server, where, run_id, metric)
        reduced = reducing.reduce_history(history, buckets=buckets, x=x, low=low, high=high)
        return _curve(dataclasses.asdict(reduced))
    params = {
        "run_id": run_id,
        "metric_key": metric,
        "x": x,
        "buckets": buckets,
        "low": low,
        "high": high,
    }
    return _curve(server.call("GET", _PATH, params=params))


def _whole_history(server: TrackingServer, where: str, run_id: str, metric: str) -> reducing.History:
    """Every point that a run logged of a metric; old servers return all at once. Raises WrongState, Missing."""
    history = reducing.History()

    def ask(token: str) -> Mapping[str, Any]:
        params = {"run_id": run_id, "metric_key": metric, "max_results": _PAGE, "page_token": token}
        return server.call("GET", "metrics/get-history", params=params)

    for answer in pages(where, ask):
        with as_mlflow_does(where):
            history.add(
                (int(point.get("step", 0)), int(point.get("timestamp", 0)), metric_value(point.get("value", 0.0)))
                for point in answer.get("metrics", ())
            )
        if len(history) > MOST_POINTS:
            raise WrongState(
                f"The metric {metric} has more than {MOST_POINTS:,} points, which this server cannot reduce",
                action="See its curve there",
            )
    return history


def _curve(answer: Mapping[str, Any]) -> MetricCurve:
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
