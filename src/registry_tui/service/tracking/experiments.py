"""Tracking: experiments, runs, metric histories, as MLflow's server answers in the project's workspace."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, FieldProblem, Page
from registry_tui.schemas.places import Role
from registry_tui.schemas.tracking import DatasetInput, Experiment, MetricPoint, Run, RunDetails, RunSearch
from registry_tui.service.core import paging, permissions
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.core.resolve import resolve_project
from registry_tui.service.errors import InvalidInput, Missing
from registry_tui.service.publishing import mlflow as routing

#: MLflow keeps infinities as the largest floats (`SqlAlchemyStore._sanitize_metric_value`).
_LARGEST = sys.float_info.max

_EXPERIMENT_ORDER = {
    "name": "name",
    "created_at": "creation_time",
    "updated_at": "last_update_time",
    "id": "experiment_id",
}
_FILTER_EXAMPLE = "metrics.rmse < 0.8 and params.alpha = '0.5' and tags.team = 'wine'"


@dataclass(frozen=True)
class ProjectPlace:
    """A project that the principal may enter: `workspace` is its MLflow workspace."""

    id: str
    name: str
    workspace: str


def enter(service: Service, principal: Principal, project: str, role: Role = Role.VIEWER) -> ProjectPlace:
    """The project, when the principal has `role` or more in it. Raises Missing, InvalidInput, NotPermitted."""
    with service.database.reading() as session:
        row = resolve_project(session, project)
        permissions.check_project(session, principal, row, role)
        return ProjectPlace(row.id, row.name, row.mlflow_workspace)


def registry_id_of(service: Service, place: ProjectPlace) -> str | None:
    """The ID of the Model Registry that a project registers into, if there is one. Raises Missing."""
    with service.database.reading() as session:
        registry = routing.registry_of(resolve_project(session, place.id))
        return None if registry is None else registry.id


def list_experiments(
    service: Service,
    principal: Principal,
    project: str,
    *,
    name: str | None = None,
    order_by: str | None = None,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[Experiment]:
    """Experiments of a project, newest first; `name` is a part of the name, `order_by` is `field` or `-field`.

    Raises Missing, NotPermitted, InvalidInput, PartUnavailable.
    """
    place = enter(service, principal, project)
    body: dict[str, Any] = {"max_results": paging.check_page_size(page_size), "page_token": page_token or ""}
    if name:
        body["filter"] = f"name ILIKE {quoted(f'%{name}%')}"
    body["order_by"] = [mlflow_order(order_by or "-created_at", _EXPERIMENT_ORDER)]
    with _page_token_of(page_token):
        answer = service.mlflow.call("POST", "experiments/search", workspace=place.workspace, json=body)
    return Page(
        items=[_experiment(found) for found in answer.get("experiments", ())],
        next_page_token=answer.get("next_page_token") or None,
    )


def get_experiment(service: Service, principal: Principal, project: str, experiment: str) -> Experiment:
    """One experiment by ID or name. Raises Missing, NotPermitted, PartUnavailable."""
    place = enter(service, principal, project)
    asked = [("experiments/get-by-name", {"experiment_name": experiment})]
    if experiment.isascii() and experiment.isdigit() and len(experiment) < 20:
        asked.insert(0, ("experiments/get", {"experiment_id": experiment}))
    for path, params in asked:
        try:
            found = service.mlflow.call("GET", path, workspace=place.workspace, params=params)
        except Missing:
            continue
        return _experiment(found["experiment"])
    raise Missing(
        f"Project {place.name} has no experiment {experiment!r}",
        action=f"See `registry-tui experiments list --project {place.name}`",
    )


def search_runs(service: Service, principal: Principal, project: str, request: RunSearch) -> Page[Run]:
    """One page of runs. Raises InvalidInput with MLflow's hint for a wrong filter or order, Missing, NotPermitted."""
    if request.top_level:
        from registry_tui.service.tracking.top_level_runs import top_level_runs

        return top_level_runs(service, principal, project, request)
    place = enter(service, principal, project)
    body = {
        "experiment_ids": request.experiment_ids,
        "filter": request.filter,
        "order_by": request.order_by,
        "max_results": request.page_size,
        "run_view_type": "DELETED_ONLY" if request.deleted else "ACTIVE_ONLY",
        "page_token": request.page_token or "",
    }
    try:
        with _page_token_of(request.page_token):
            answer = service.mlflow.call("POST", "runs/search", workspace=place.workspace, json=body)
    except InvalidInput as error:
        if any(problem.field == "page_token" for problem in error.errors):
            raise
        field = _blamed(request, error.detail)
        raise InvalidInput(
            f"MLflow does not understand this {field.replace('_', ' ')}: {error.detail}",
            action=f"For example: {_FILTER_EXAMPLE}" if field == "filter" else "For example: metrics.rmse ASC",
            errors=[FieldProblem(field=field, message=error.detail)],
        ) from error
    return Page(
        items=[Run.model_construct(**_run(found)) for found in answer.get("runs", ())],
        next_page_token=answer.get("next_page_token") or None,
    )


def get_run(service: Service, principal: Principal, project: str, run: str) -> RunDetails:
    """One run with its datasets and the versions registered from it. Raises Missing, NotPermitted, PartUnavailable."""
    from registry_tui.service.lineage import run_versions

    place = enter(service, principal, project)
    found = fetch_run(service, place, run)
    run_id = found["info"]["run_id"]
    return RunDetails(
        **_run(found),
        artifact_uri=found["info"].get("artifact_uri", ""),
        datasets=[_dataset(entry) for entry in found.get("inputs", {}).get("dataset_inputs", ())],
        registered_as=run_versions.registered_in(service, principal, place, [run_id]).get(run_id, []),
    )


def fetch_run(service: Service, place: ProjectPlace, run: str) -> dict[str, Any]:
    """MLflow's `Run` object. Raises Missing, PartUnavailable."""
    try:
        answer = service.mlflow.call("GET", "runs/get", workspace=place.workspace, params={"run_id": run})
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
    place = enter(service, principal, project)
    params = {
        "run_id": run,
        "metric_key": metric,
        "max_results": paging.check_page_size(page_size),
        "page_token": page_token,
    }
    try:
        with _page_token_of(page_token):
            answer = service.mlflow.call("GET", "metrics/get-history", workspace=place.workspace, params=params)
    except Missing as error:
        raise _no_run(place, run) from error
    points = answer.get("metrics", ())
    if not points and page_token is None:
        fetch_run(service, place, run)  # tells a run that is not there from a metric that it did not log
    return Page(
        items=[
            MetricPoint(
                value=metric_value(point.get("value", 0.0)),
                step=int(point.get("step", 0)),
                timestamp=_moment(point.get("timestamp")) or datetime.fromtimestamp(0, UTC),
            )
            for point in points
        ],
        next_page_token=answer.get("next_page_token") or None,
    )


def mlflow_order(order_by: str, fields: Mapping[str, str]) -> str:
    """`-field` as MLflow's `column DESC`. Raises InvalidInput for a field that `fields` does not have."""
    name = order_by.removeprefix("-")
    if name not in fields:
        message = f"{name!r} is none of: {', '.join(fields)} (with - in front: descending)"
        raise InvalidInput(
            f"It cannot be sorted so: {message}", errors=[FieldProblem(field="order_by", message=message)]
        )
    return f"{fields[name]} {'DESC' if order_by.startswith('-') else 'ASC'}"


def quoted(text: str) -> str:
    """A string in MLflow's filter language, which knows no escapes: what it cannot hold matches any character."""
    if "'" not in text:
        return f"'{text}'"
    if '"' not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "_") + "'"


def unquotable(text: str) -> bool:
    """Whether `quoted` finds more than this text, so that it must be asked for with LIKE and looked at again."""
    return "'" in text and '"' in text


def metric_value(value: Any) -> float:
    """A metric's value from JSON: a number, "NaN", "Infinity", "-Infinity"; MLflow's largest floats are infinities."""
    number = float(value)
    if number >= _LARGEST:
        return float("inf")
    return float("-inf") if number <= -_LARGEST else number


@contextmanager
def _page_token_of(page_token: str | None) -> Iterator[None]:
    try:
        yield
    except InvalidInput as error:
        if page_token and "token" in error.detail.lower():
            raise paging.wrong_token() from error
        raise


def _blamed(request: RunSearch, message: str) -> str:
    """Which field of the request MLflow's message is about."""
    lowered = message.lower()
    if "order_by" in lowered or "order by" in lowered or not request.filter:
        return "order_by"
    return "filter"


def _moment(milliseconds: Any) -> datetime | None:
    """MLflow's time: milliseconds since 1970; 0 and values out of range are None."""
    try:
        return datetime.fromtimestamp(int(milliseconds) / 1000, UTC) if milliseconds else None
    except (OverflowError, ValueError, OSError):
        return None


def _pairs(entries: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {entry["key"]: entry.get("value", "") for entry in entries}


def _experiment(found: Mapping[str, Any]) -> Experiment:
    return Experiment(
        id=found["experiment_id"],
        name=found.get("name", ""),
        lifecycle_stage=found.get("lifecycle_stage", ""),
        artifact_location=found.get("artifact_location", ""),
        created_at=_moment(found.get("creation_time")),
        updated_at=_moment(found.get("last_update_time")),
        tags=_pairs(found.get("tags", ())),
    )


def _run(found: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `Run`: as a dict, because checking what MLflow just checked would double the time of a page."""
    info, data = found["info"], found.get("data", {})
    return {
        "id": info["run_id"],
        "name": info.get("run_name", ""),
        "experiment_id": info.get("experiment_id", ""),
        "user": info.get("user_id", ""),
        "status": info.get("status", ""),
        "lifecycle_stage": info.get("lifecycle_stage", ""),
        "started_at": _moment(info.get("start_time")),
        "ended_at": _moment(info.get("end_time")),
        "metrics": {entry["key"]: metric_value(entry.get("value", 0.0)) for entry in data.get("metrics", ())},
        "params": _pairs(data.get("params", ())),
        "tags": _pairs(data.get("tags", ())),
    }


def _dataset(entry: Mapping[str, Any]) -> DatasetInput:
    dataset = entry.get("dataset", {})
    return DatasetInput(
        name=dataset.get("name", ""),
        digest=dataset.get("digest", ""),
        source_type=dataset.get("source_type", ""),
        source=dataset.get("source", ""),
        dataset_schema=dataset.get("schema"),
        profile=dataset.get("profile"),
        tags=_pairs(entry.get("tags", ())),
    )
