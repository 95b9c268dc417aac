"""The source that a registration names, and whether the asking project may register it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST

from registry_tui.contracts.mlflow_routes import ProjectRoute, artifact_path
from registry_tui.mlflow_plugin import spellings
from registry_tui.mlflow_plugin.model_uris import parse_model_uri

MODEL_FILE = "MLmodel"
#: An artifact of a named server, which is another one.
_OTHER_SERVER = re.compile("mlflow-artifacts://[^/]")


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


def resolve_source(
    tracking: Any, has_file: Callable[[str], bool], source: str, run_id: str | None, model_id: str | None
) -> Source:
    """Finds the model of a `runs:/`, `models:/m-…` or `mlflow-artifacts:/` source in the requesting project.

    `tracking` is MLflow's tracking store, which sees the requesting project only; `has_file` returns whether a file
    exists at a path of MLflow's proxy. Raises MlflowException when the run or model is missing or deleted, when there
    is no `MLmodel` file, and when the source lies anywhere else.
    """
    scheme = source.partition(":")[0]
    if scheme == "models":
        found = _logged_model(tracking, str(parse_model_uri(source).model_id))
        return _require_model(has_file, source, [found])
    if scheme == "runs":
        source_run, path = spellings.parse_runs_source(source)
        return _of_run(tracking, has_file, source, _active_run(tracking, source_run), path)
    if scheme == "mlflow-artifacts" and not _OTHER_SERVER.match(source):
        paths = spellings.artifact_candidates(source)
        if model_id:
            model = _logged_model(tracking, model_id)
            return _require_model(has_file, source, _below(model, model.location, paths, f"logged model {model_id}"))
        if run_id:
            run = _active_run(tracking, run_id)
            whole = Source(run.info.artifact_uri, run, "", run.info.experiment_id)
            found_there = _below(whole, run.info.artifact_uri, paths, f"artifacts of run {run_id}")
            return _require_model(has_file, source, found_there)
        raise _refused(f"'{source}' belongs to no run. Register `runs:/RUN_ID/PATH` or `models:/MODEL_ID` instead.")
    raise _refused(
        f"'{source}' cannot be registered: only models that a run of this project logged can. "
        "Use `runs:/RUN_ID/PATH` or `models:/MODEL_ID`."
    )


def _of_run(tracking: Any, has_file: Callable[[str], bool], source: str, run: Any, path: str) -> Source:
    """The model at a path of a run's artifacts, else the one that the run logged with that name, as MLflow's client."""
    root = artifact_path(run.info.artifact_uri).rstrip("/")
    whole = Source(run.info.artifact_uri, run, "", run.info.experiment_id)
    spelled = spellings.candidates(path)
    paths = [f"{root}/{each}".rstrip("/") for each in spelled]
    places = _below(whole, run.info.artifact_uri, paths, f"artifacts of run {run.info.run_id}")
    for place in places:
        if _has_model(has_file, place):
            return place
    if (model_id := _logged_as(tracking, run, spelled)) is not None:
        return _require_model(has_file, source, [_logged_model(tracking, model_id)])
    raise _no_model(source)


@dataclass(frozen=True)
class _Logged:
    id: str
    created: int


def _logged_as(tracking: Any, run: Any, names: Sequence[str]) -> str | None:
    """The ID of the model that a run logged with one of these names, the first that there is."""
    logged: list[Any] = []
    token = None
    while True:
        page = tracking.search_logged_models(
            experiment_ids=[run.info.experiment_id],
            filter_string=f"source_run_id = '{run.info.run_id}'",
            page_token=token,
        )
        logged += page
        token = page.token
        if not token:
            break
    outputs = run.outputs.model_outputs if run.outputs else ()
    steps = {output.model_id: output.step for output in outputs}
    for name in names:
        models = [_Logged(each.model_id, each.creation_timestamp) for each in logged if each.name == name]
        if (found := spellings.registered_of(models, steps)) is not None:
            return found.id
    return None


def _require_model(has_file: Callable[[str], bool], source: str, places: Sequence[Source]) -> Source:
    for place in places:
        if _has_model(has_file, place):
            return place
    raise _no_model(source)


def _has_model(has_file: Callable[[str], bool], place: Source) -> bool:
    return has_file(f"{artifact_path(place.location).rstrip('/')}/{MODEL_FILE}")


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


def _logged_model(tracking: Any, model_id: str) -> Source:
    model = tracking.get_logged_model(model_id)
    run = _active_run(tracking, model.source_run_id) if model.source_run_id else None
    return Source(model.artifact_location.rstrip("/"), run, model_id, model.experiment_id)


def _active_run(tracking: Any, run_id: str) -> Any:
    run = tracking.get_run(run_id)
    if run.info.lifecycle_stage != LifecycleStage.ACTIVE:
        raise MlflowException(
            f"Run {run_id} was deleted, so its model cannot be registered. Restore the run first.",
            error_code=RESOURCE_DOES_NOT_EXIST,
        )
    return run


def _below(whole: Source, root: str, paths: Sequence[str], what: str) -> list[Source]:
    """The places at these paths of the proxy. Raises MlflowException for one that is not below the root."""
    outer = artifact_path(root).rstrip("/").split("/")
    places = []
    for path in paths:
        parts = path.rstrip("/").split("/")
        if parts[: len(outer)] != outer or {".", ".."} & set(parts):
            raise _refused(f"'{path}' does not lie in the {what}.")
        below = "/".join(parts[len(outer) :])
        artifact = below if whole.run is not None and whole.artifact_path == "" else whole.artifact_path
        places.append(replace(whole, location=spellings.artifact_source("/".join(parts)), artifact_path=artifact))
    return places


def _no_model(source: str) -> MlflowException:
    return _refused(
        f"There is no MLflow model at '{source}': the folder holds no {MODEL_FILE} file, and the run logged no model "
        "of that name. Name the folder or the model that `log_model` wrote."
    )


def _refused(message: str) -> MlflowException:
    return MlflowException(message, error_code=INVALID_PARAMETER_VALUE)
