"""Removing deleted runs for good: their bytes first, then their rows, then the space on the disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry_tui.contracts.counts import counted
from registry_tui.contracts.mlflow_routes import RouteError, Routes, RoutesFile, artifact_path
from registry_tui.contracts.permissions import Action
from registry_tui.schemas.operations import Progress, WorkflowKind
from registry_tui.service.core import artifact_places
from registry_tui.service.engine import permits
from registry_tui.service.engine.steps import Definition, Step, StepContext
from registry_tui.service.errors import PartUnavailable
from registry_tui.service.registries.place import enter_registry
from registry_tui.service.workflows.shared import give_back

#: Runs of one request to MLflow.
_BATCH = 50


def _remove(context: StepContext) -> Mapping[str, Any]:
    """Each run's bytes are deleted before its row, so that a run whose purge was interrupted is found again."""
    run_ids = list(context.arguments["run_ids"])
    routes = _routes(context)
    bytes_, removed = int(context.state.get("bytes", 0)), 0
    for start in range(0, len(run_ids), _BATCH):
        batch = run_ids[start : start + _BATCH]
        asked = _ask(context, batch, execute=False)
        for run_id, reason in asked["kept"].items():
            context.log(f"kept run {run_id}: {reason}", "warning")
        pending = _pending_sources(context)
        gone = []
        for run in asked["runs"]:
            context.check_cancelled()
            if any(source.startswith(f"{uri}/") or source == uri for uri in _uris(run) for source in pending):
                context.log(f"kept run {run['run_id']}: a version's archive is being stored from it", "warning")
                continue
            bytes_ += sum(_remove_bytes(context, routes, uri) for uri in _uris(run))
            gone.append(run["run_id"])
            context.progress(Progress(bytes_done=bytes_, files_done=start + len(gone), files_total=len(run_ids)))
        if gone:
            removed += len(_ask(context, gone, execute=True)["runs"])
    freed = f"{counted(bytes_, 'byte')} of artifacts and logged models"
    context.log(f"{removed} of {counted(len(run_ids), 'run')} removed, with {freed}")
    return {"bytes": bytes_}


def _remove_bytes(context: StepContext, routes: Routes, uri: str) -> int:
    """Removes the files at an artifact address of the project; returns their bytes."""
    try:
        location = routes.locate(artifact_path(uri))
    except RouteError as error:
        context.log(f"left {uri}, which is not in this project's storage: {error}", "warning")
        return 0
    if location.workspace != context.arguments["workspace"] or not location.writable:
        context.log(f"left {uri}, which is not in this project's storage", "warning")
        return 0
    found = artifact_places.delete_at(context.service, location)
    if found.objects:
        context.log(f"removed {uri}: {counted(found.objects, 'object')}, {counted(found.bytes, 'byte')}")
    return found.bytes


def _give_back(context: StepContext) -> None:
    give_back(context, int(context.state.get("bytes", 0)))


def _ask(context: StepContext, run_ids: list[str], *, execute: bool) -> dict[str, Any]:
    return context.service.mlflow.call(
        "POST",
        "registry-tui/purge-runs",
        workspace=context.arguments["workspace"],
        json={"run_ids": run_ids, "execute": execute},
    )


def _uris(run: Mapping[str, Any]) -> list[str]:
    return [run["artifact_uri"], *(model["artifact_uri"] for model in run["models"])]


def _pending_sources(context: StepContext) -> list[str]:
    """The sources of versions that wait for their archive."""
    if context.resource.registry_id is None:
        return []
    registry = enter_registry(context.service, context.resource.registry_id, any_status=True)
    return [
        str(found.get("source", "")) for found in context.service.mlflow.search_pending_versions(registry.workspace)
    ]


def _routes(context: StepContext) -> Routes:
    try:
        return RoutesFile(context.service.home.routes_file).load()
    except (OSError, ValueError) as error:
        raise PartUnavailable("The list of projects cannot be read", action="`registry-tui restart service`") from error


PURGE_RUNS = Definition(
    kind=WorkflowKind.PURGE_RUNS,
    action="run.purge",
    permit=permits.in_project(Action.RUNS_PURGE),
    steps=(
        Step("remove runs", _remove),
        Step("give back space", _give_back, cancellable=False),
    ),
)
