"""What a registration names as its source, and whether the asking project may register it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST
from mlflow.store.artifact.utils.models import _parse_model_uri

from registry_tui.mlflow_plugin.routes import ProjectRoute, RouteError, artifact_path

MODEL_FILE = "MLmodel"


@dataclass(frozen=True)
class Source:
    """A model to register."""

    #: `mlflow-artifacts:/…`, the folder that holds the `MLmodel` file.
    location: str
    #: MLflow's Run; None for a model that was logged outside any run.
    run: Any | None
    #: Path below the run's artifacts, or the logged model's ID.
    artifact_path: str | None
    experiment_id: str | None


def resolve_source(tracking: Any, source: str, run_id: str | None, model_id: str | None) -> Source:
    """Finds a `runs:/`, `models:/m-…` or `mlflow-artifacts:/` source in the project that asks.

    `tracking` is MLflow's tracking store, which sees the asking project only. Raises MlflowException when the run or
    model is missing or deleted, or when the source lies anywhere else.
    """
    scheme = urlsplit(source).scheme
    if scheme == "models":
        logged_id = _parse_model_uri(source).model_id
        return _logged_model(tracking, str(logged_id), "")
    if scheme == "runs":
        source_run, _, path = source.removeprefix("runs:").lstrip("/").partition("/")
        run = _active_run(tracking, source_run)
        return _below(run.info.artifact_uri, f"{run.info.artifact_uri}/{path}", run)
    if scheme == "mlflow-artifacts":
        if model_id:
            model = _logged_model(tracking, model_id, source)
            if _is_below(source, model.location):
                return model
        if run_id:
            run = _active_run(tracking, run_id)
            return _below(run.info.artifact_uri, source, run)
        raise _refused(f"'{source}' belongs to no run. Register `runs:/RUN_ID/PATH` or `models:/MODEL_ID` instead.")
    raise _refused(
        f"'{source}' cannot be registered: only models that a run of this project logged can. "
        "Use `runs:/RUN_ID/PATH` or `models:/MODEL_ID`."
    )


def origin_of(project: ProjectRoute, found: Source, experiment_name: str | None) -> dict[str, str | None]:
    """The fields of `schemas.models.Origin`."""
    run = found.run.info if found.run else None
    return {
        "environment_name": project.environment_name,
        "workspace_name": project.workspace_name,
        "project_id": project.project_id,
        "project_name": project.project_name,
        "experiment_id": found.experiment_id,
        "experiment_name": experiment_name,
        "run_id": run.run_id if run else None,
        "run_name": run.run_name if run else None,
        "artifact_path": found.artifact_path,
        "source": found.location,
    }


def _logged_model(tracking: Any, model_id: str, source: str) -> Source:
    model = tracking.get_logged_model(model_id)
    run = _active_run(tracking, model.source_run_id) if model.source_run_id else None
    location = model.artifact_location.rstrip("/")
    if source and not _is_below(source, location):
        raise _refused(f"'{source}' does not lie in the logged model {model_id}.")
    return Source(source.rstrip("/") or location, run, model_id, model.experiment_id)


def _active_run(tracking: Any, run_id: str) -> Any:
    run = tracking.get_run(run_id)
    if run.info.lifecycle_stage != LifecycleStage.ACTIVE:
        raise MlflowException(
            f"Run {run_id} was deleted, so its model cannot be registered. Restore the run first.",
            error_code=RESOURCE_DOES_NOT_EXIST,
        )
    return run


def _below(root: str, location: str, run: Any) -> Source:
    if not _is_below(location, root):
        raise _refused(f"'{location}' does not lie in the artifacts of run {run.info.run_id}.")
    path = artifact_path(location).rstrip("/").removeprefix(artifact_path(root).rstrip("/")).lstrip("/")
    return Source(location.rstrip("/"), run, path, run.info.experiment_id)


def _is_below(location: str, root: str) -> bool:
    try:
        inner, outer = artifact_path(location).split("/"), artifact_path(root).rstrip("/").split("/")
    except RouteError as error:
        raise _refused(str(error)) from error
    return inner[: len(outer)] == outer and not {".", ".."} & set(inner)


def _refused(message: str) -> MlflowException:
    return MlflowException(message, error_code=INVALID_PARAMETER_VALUE)
