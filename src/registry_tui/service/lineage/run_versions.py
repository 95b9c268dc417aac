"""The versions registered from runs: one request to MLflow for a whole page of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from registry_tui.schemas import mlflow_tags
from registry_tui.schemas.models import Origin
from registry_tui.schemas.tracking import RegisteredAs, RunVersions
from registry_tui.service.adapters import mlflow_words
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.registries.place import enter_registry
from registry_tui.service.tracking.project import ProjectPlace, enter_project, registry_id_of

#: Most versions that are read for a page of runs, the newest ones.
MOST = 1000


def registered_from(service: Service, principal: Principal, project: str, run_ids: Sequence[str]) -> RunVersions:
    """The versions that the principal may see, the newest first. Raises Missing, NotPermitted, PartUnavailable."""
    place = enter_project(service, principal, project)
    return RunVersions(runs=registered_in(service, principal, place, run_ids))


def registered_in(
    service: Service, principal: Principal, place: ProjectPlace, run_ids: Sequence[str]
) -> dict[str, list[RegisteredAs]]:
    """The same by run ID, without those that have none. Raises Missing, PartUnavailable."""
    by_run: dict[str, list[RegisteredAs]] = {}
    for run_id, found, _ in with_artifacts(service, principal, place, run_ids):
        by_run.setdefault(run_id, []).append(found)
    return by_run


def with_artifacts(
    service: Service, principal: Principal, place: ProjectPlace, run_ids: Sequence[str]
) -> list[tuple[str, RegisteredAs, str]]:
    """Run IDs, versions, and the part of the run that each was registered from: a logged model's ID, or a path."""
    registry_id = registry_id_of(service, place)
    if registry_id is None or not run_ids:
        return []
    registry = enter_registry(service, registry_id)
    asked = ", ".join(mlflow_words.quoted(each) for each in run_ids)
    params = {"filter": f"run_id IN ({asked})", "order_by": ["creation_timestamp DESC"], "max_results": MOST}
    answer = service.mlflow.call(
        "GET", "model-versions/search", workspace=registry.workspace, params=params, seen_by=principal.sight
    )
    return [
        (
            each["run_id"],
            RegisteredAs(
                registry_id=registry.id,
                model_name=each["name"],
                version=int(each["version"]),
                status=each.get("status", ""),
            ),
            _artifact(each),
        )
        for each in answer.get("model_versions", [])
    ]


def _artifact(version: Mapping[str, Any]) -> str:
    tags = {tag["key"]: tag.get("value", "") for tag in version.get("tags", ())}
    with suppress(ValidationError):  # a tag that an administrator changed by hand
        if tag := tags.get(mlflow_tags.ORIGIN):
            return Origin.model_validate_json(tag).artifact_path or ""
    return ""
