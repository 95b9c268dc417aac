"""A run with its datasets and the versions registered from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry_tui.schemas.tracking import DatasetInput, RunDetails
from registry_tui.service.adapters.mlflow_words import fields_of_run, pairs
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.lineage import run_versions
from registry_tui.service.tracking.project import enter_project
from registry_tui.service.tracking.runs import fetch_run


def get_run(service: Service, principal: Principal, project: str, run: str) -> RunDetails:
    """One run with its datasets and the versions registered from it. Raises Missing, NotPermitted, PartUnavailable."""
    place = enter_project(service, principal, project)
    found = fetch_run(service, place, run)
    run_id = found["info"]["run_id"]
    return RunDetails(
        **fields_of_run(found),
        artifact_uri=found["info"].get("artifact_uri", ""),
        datasets=[_dataset(entry) for entry in found.get("inputs", {}).get("dataset_inputs", ())],
        registered_as=run_versions.registered_in(service, principal, place, [run_id]).get(run_id, []),
    )


def _dataset(entry: Mapping[str, Any]) -> DatasetInput:
    dataset = entry.get("dataset", {})
    return DatasetInput(
        name=dataset.get("name", ""),
        digest=dataset.get("digest", ""),
        source_type=dataset.get("source_type", ""),
        source=dataset.get("source", ""),
        dataset_schema=dataset.get("schema"),
        profile=dataset.get("profile"),
        tags=pairs(entry.get("tags", ())),
    )
