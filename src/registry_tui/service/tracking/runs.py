"""Runs and their metrics, from MLflow's server in the project's workspace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, FieldProblem, Page
from registry_tui.schemas.tracking import MetricPoint, Run, RunSearch
from registry_tui.service.adapters.mlflow_words import metric_value, moment_or_none
from registry_tui.service.core import paging
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.errors import InvalidInput, Missing
from registry_tui.service.tracking.project import ProjectPlace, enter_project, page_token_of
from registry_tui.service.tracking.server import TrackingServer, server_of

Answer = TypeVar("Answer")

#: Prefix of the token of a page that was cut here; MLflow's are Base64, which has no colon.
_OFFSET = "from:"
_FILTER_EXAMPLE = "metrics.rmse < 0.8 and params.alpha = '0.5' and tags.team = 'wine'"


def search_runs(service: Service, principal: Principal, project: str, request: RunSearch) -> Page[Run]:
    """One page of runs, nested ones too.

    Raises InvalidInput with MLflow's hint for a wrong filter or order, Missing, NotPermitted.
    """
    return _searched(service, principal, project, request, lambda server, asked: server.search_runs(asked).page())


def page_of_runs(service: Service, principal: Principal, project: str, request: RunSearch) -> bytes:
    """As `search_runs`: the page's JSON, which MLflow's server made."""
    return _searched(service, principal, project, request, lambda server, asked: server.page_of_runs(asked))


def _searched(
    service: Service,
    principal: Principal,
    project: str,
    request: RunSearch,
    search: Callable[[TrackingServer, Mapping[str, Any]], Answer],
) -> Answer:
    place = enter_project(service, principal, project)
    body = {
        "experiment_ids": request.experiment_ids,
        "filter": request.filter,
        "order_by": request.order_by,
        "max_results": request.page_size,
        "run_view_type": "DELETED_ONLY" if request.deleted else "ACTIVE_ONLY",
        "page_token": request.page_token or "",
    }
    try:
        with page_token_of(request.page_token):
            return search(server_of(service, place), body)
    except InvalidInput as error:
        if any(problem.field == "page_token" for problem in error.errors):
            raise
        field = _blamed(request, error.detail)
        raise InvalidInput(
            f"MLflow does not understand this {field.replace('_', ' ')}: {error.detail}",
            action=f"For example: {_FILTER_EXAMPLE}" if field == "filter" else "For example: metrics.rmse ASC",
            errors=[FieldProblem(field=field, message=error.detail)],
        ) from error


def fetch_run(service: Service, place: ProjectPlace, run: str) -> dict[str, Any]:
    """MLflow's `Run` object. Raises Missing, PartUnavailable."""
    try:
        answer = server_of(service, place).call("GET", "runs/get", params={"run_id": run})
    except (Missing, InvalidInput) as error:
        raise _no_run(place, run) from error
    return dict(answer["run"])


def _no_run(place: ProjectPlace, run: str) -> Missing:
    return Missing(
        f"Project {place.name} has no run {run!r}", action=f"See `registry-tui runs list --project {place.name}`"
    )


def metric_history(
    service: Service,
    principal: Principal,
    project: str,
    run: str,
    metric: str,
    *,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[MetricPoint]:
    """Every value that a run logged of one metric, by time. Raises Missing, InvalidInput, PartUnavailable."""
    place = enter_project(service, principal, project)
    offset = _offset_of(page_token)
    params = {
        "run_id": run,
        "metric_key": metric,
        "max_results": paging.check_page_size(page_size),
        "page_token": page_token if offset is None else None,
    }
    try:
        with page_token_of(page_token):
            answer = server_of(service, place).call("GET", "metrics/get-history", params=params)
    except Missing as error:
        raise _no_run(place, run) from error
    points, following = answer.get("metrics", ()), answer.get("next_page_token") or None
    if not points and page_token is None:
        fetch_run(service, place, run)  # raises Missing for a run that does not exist
    if offset is not None or len(points) > page_size:
        # A server without pages of histories (before MLflow 3) returns all of it.
        first = offset or 0
        following = f"{_OFFSET}{first + page_size}" if len(points) > first + page_size else None
        points = points[first : first + page_size]
    return Page(
        items=[
            MetricPoint(
                value=metric_value(point.get("value", 0.0)),
                step=int(point.get("step", 0)),
                timestamp=moment_or_none(point.get("timestamp")) or datetime.fromtimestamp(0, UTC),
            )
            for point in points
        ],
        next_page_token=following,
    )


def _offset_of(page_token: str | None) -> int | None:
    """The place in a history that was cut into pages here. Raises InvalidInput."""
    if page_token is None or not page_token.startswith(_OFFSET):
        return None
    number = page_token.removeprefix(_OFFSET)
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise paging.wrong_token()
    return int(number)


def _blamed(request: RunSearch, message: str) -> str:
    """Which field of the request MLflow's message is about."""
    lowered = message.lower()
    if "order_by" in lowered or "order by" in lowered or not request.filter:
        return "order_by"
    return "filter"
