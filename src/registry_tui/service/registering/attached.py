"""Models of an attached server, as sources of versions in the Model Registry here."""

from __future__ import annotations

from registry_tui.contracts.attached_sources import AttachedSource
from registry_tui.mlflow_plugin import spellings
from registry_tui.schemas.models import Origin, RegisterModel
from registry_tui.service.core.context import Service
from registry_tui.service.core.ml_model import MODEL_FILE
from registry_tui.service.core.resolve import resolve_project
from registry_tui.service.database.tables import AttachedServerRow
from registry_tui.service.errors import Missing
from registry_tui.service.publishing import mlflow as routing
from registry_tui.service.stores.content import clean_path
from registry_tui.service.tracking import artifacts
from registry_tui.service.tracking.project import ProjectPlace
from registry_tui.service.tracking.runs import fetch_run
from registry_tui.service.tracking.server import server_of


def find_source(service: Service, place: ProjectPlace, request: RegisterModel) -> tuple[AttachedSource, str] | None:
    """The model that a request means, and its run's ID (empty without one); None without a model.

    Raises Missing, InvalidInput, NotPermitted, PartUnavailable.
    """
    if request.logged_model_id is not None:
        model, found = artifacts.get_logged_model(service, place, request.logged_model_id)
        source = AttachedSource(place.id, model_id=model.id)
        return (source, found["info"].get("source_run_id") or "") if _holds_model(service, source) else None
    run = fetch_run(service, place, request.run_id or "")
    run_id = str(run["info"]["run_id"])
    paths = [clean_path(path) for path in spellings.candidates(spellings.folder(request.artifact_path or ""))]
    for path in paths:
        source = AttachedSource(place.id, run_id=run_id, path=path)
        if _holds_model(service, source):
            return source, run_id
    logged = artifacts.logged_models(service, place, run)
    for path in paths:
        if path in logged:
            source = AttachedSource(place.id, model_id=logged[path].id)
            if _holds_model(service, source):
                return source, run_id
    return None


def origin_of(service: Service, place: ProjectPlace, source: AttachedSource, run_id: str) -> Origin:
    """Where a version came from, as it is kept with it."""
    with service.database.reading() as session:
        row = resolve_project(session, place.id)
        workspace, environment = row.workspace.name, row.workspace.environment.name
    info = fetch_run(service, place, run_id)["info"] if run_id else {}
    experiment_id = info.get("experiment_id")
    experiment = None
    if experiment_id:
        params = {"experiment_id": experiment_id}
        experiment = server_of(service, place).call("GET", "experiments/get", params=params)["experiment"]["name"]
    return Origin(
        environment_name=environment,
        workspace_name=workspace,
        project_id=place.id,
        project_name=place.name,
        experiment_id=experiment_id,
        experiment_name=experiment,
        run_id=run_id or None,
        run_name=info.get("run_name"),
        artifact_path=source.model_id if source.model_id is not None else source.path,
        source=source.uri,
    )


def prepare(service: Service, place: ProjectPlace) -> None:
    """Makes the project's workspace in MLflow's server here, for requests for its versions.

    Raises PartUnavailable, Missing when the server was detached meanwhile.
    """
    service.mlflow.create_workspace(place.workspace, f"Registered from {place.name}")
    with service.database.session() as session:
        if place.attached is not None:
            row = session.get(AttachedServerRow, place.attached.id)
            if row is None:
                # Only an empty workspace stays behind in MLflow, which nobody may enter.
                raise Missing(f"Project {place.name} is gone: its MLflow server was detached meanwhile")
            row.registers = True
    routing.publish(service)


def _holds_model(service: Service, source: AttachedSource) -> bool:
    entries = artifacts.attached_folder(service, source).entries("")
    return any(entry.path == MODEL_FILE and not entry.is_folder for entry in entries)
