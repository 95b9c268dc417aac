"""Tracking: experiments, runs, metric histories, from MLflow's server in the project's workspace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, Page
from registry_tui.schemas.tracking import Experiment
from registry_tui.service.adapters.mlflow_words import mlflow_order, moment_or_none, pairs, quoted
from registry_tui.service.core import paging
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.errors import Missing
from registry_tui.service.tracking.project import enter_project, page_token_of
from registry_tui.service.tracking.server import server_of

_EXPERIMENT_ORDER = {
    "name": "name",
    "created_at": "creation_time",
    "updated_at": "last_update_time",
    "id": "experiment_id",
}


def list_experiments(
    service: Service,
    principal: Principal,
    project: str,
    *,
    name: str | None = None,
    order_by: str | None = None,
    deleted: bool = False,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[Experiment]:
    """Experiments of a project, newest first; `name` is a part of the name, `order_by` is `field` or `-field`.

    `deleted` lists the deleted ones instead.

    Raises Missing, NotPermitted, InvalidInput, PartUnavailable.
    """
    place = enter_project(service, principal, project)
    body: dict[str, Any] = {"max_results": paging.check_page_size(page_size), "page_token": page_token or ""}
    body["view_type"] = "DELETED_ONLY" if deleted else "ACTIVE_ONLY"
    if name:
        body["filter"] = f"name ILIKE {quoted(f'%{name}%')}"
    body["order_by"] = [mlflow_order(order_by or "-created_at", _EXPERIMENT_ORDER)]
    with page_token_of(page_token):
        answer = server_of(service, place).call("POST", "experiments/search", json=body)
    return Page(
        items=[to_experiment(found) for found in answer.get("experiments", ())],
        next_page_token=answer.get("next_page_token") or None,
    )


def get_experiment(service: Service, principal: Principal, project: str, experiment: str) -> Experiment:
    """One experiment by ID or name. Raises Missing, NotPermitted, PartUnavailable."""
    place = enter_project(service, principal, project)
    asked = [("experiments/get-by-name", {"experiment_name": experiment})]
    if experiment.isascii() and experiment.isdigit() and len(experiment) < 20:
        asked.insert(0, ("experiments/get", {"experiment_id": experiment}))
    for path, params in asked:
        try:
            found = server_of(service, place).call("GET", path, params=params)
        except Missing:
            continue
        return to_experiment(found["experiment"])
    raise Missing(
        f"Project {place.name} has no experiment {experiment!r}",
        action=f"See `registry-tui experiments list --project {place.name}`",
    )


def to_experiment(found: Mapping[str, Any]) -> Experiment:
    """MLflow's `Experiment` as ours."""
    return Experiment(
        id=found["experiment_id"],
        name=found.get("name", ""),
        lifecycle_stage=found.get("lifecycle_stage", ""),
        artifact_location=found.get("artifact_location", ""),
        created_at=moment_or_none(found.get("creation_time")),
        updated_at=moment_or_none(found.get("last_update_time")),
        tags=pairs(found.get("tags", ())),
    )
