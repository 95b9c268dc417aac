"""A run's artifacts: folders, and the bytes of a file.

They are read straight from the object store, as MLflow's own proxy reads whole files before it responds and supports no
ranges; those of an attached server by its REST API. MLflow 3 keeps the models of a run apart from its artifacts
(`<experiment>/models/<model ID>/artifacts`); here, as in MLflow's pages, they are folders of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from registry_tui.contracts.attached_sources import AttachedSource
from registry_tui.contracts.mlflow_routes import RouteError, RoutesFile, artifact_path
from registry_tui.mlflow_plugin import spellings
from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.tracking import Artifact, ArtifactFolder, ArtifactTotals
from registry_tui.service.adapters.mlflow_answers import as_mlflow_does, pages
from registry_tui.service.adapters.mlflow_rest import segment
from registry_tui.service.adapters.mlflow_words import quoted
from registry_tui.service.core.artifact_places import folder_at
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.core.ml_model import MODEL_FILE
from registry_tui.service.errors import InvalidInput, Missing, PartUnavailable, WrongState
from registry_tui.service.stores.bucket_files import Place, clear_errors
from registry_tui.service.stores.bucket_files import StoreFolder as OwnFolder
from registry_tui.service.stores.content import Content, clean_path
from registry_tui.service.tracking.folders import Folder, StoreFolder, model_artifacts, run_artifacts
from registry_tui.service.tracking.project import ProjectPlace, attached_place, enter_project
from registry_tui.service.tracking.runs import fetch_run
from registry_tui.service.tracking.server import client_of, server_of

#: Files whose sizes are added up for a folder: 20 requests to the object store.
MAX_MEASURED = 20_000
#: Files outside of a model that are named.
MAX_NAMED = 20


@dataclass(frozen=True)
class LoggedModel:
    """A model that `log_model` wrote: a folder of its run, by its name."""

    id: str
    name: str
    location: str
    created: int


@dataclass(frozen=True)
class _Sides:
    """The parts of a folder of a run: the run's own files below it, and a logged model's."""

    own: Folder
    #: The models in the folder, by their path in it: "" where the folder is a model's or inside one.
    models: Mapping[str, tuple[LoggedModel, Folder]]


def list_artifacts(service: Service, principal: Principal, project: str, run: str, path: str = "") -> ArtifactFolder:
    """The entries directly below a folder of a run's artifacts, folders first.

    A folder may hold files of the run and of a logged model; of two files with one path it is the model's, as in
    MLflow's own downloads. Raises Missing, NotPermitted, InvalidInput for a path that leaves the run, PartUnavailable.
    """
    clean = clean_path(path)
    place = enter_project(service, principal, project)
    sides = _sides(service, place, fetch_run(service, place, run), clean)
    entries = {entry.path: entry for entry in sides.own.entries(clean)}
    hidden, logged_id = [], None
    for name, (model, folder) in sides.models.items():
        if name:
            theirs = [Artifact(path=name, is_folder=True)]
        else:
            theirs = [entry.model_copy(update={"logged_model_id": model.id}) for entry in folder.entries(clean)]
            logged_id = model.id if theirs else None
        for entry in theirs:
            before = entries.get(entry.path)
            if before is not None and not (before.is_folder and entry.is_folder):
                hidden.append(entry.path)
            entries[entry.path] = entry
    if not entries and clean:
        raise Missing(f"Run {run} has no artifact folder {clean!r}", action="See `registry-tui artifacts list`")
    return ArtifactFolder(
        path=clean,
        entries=sorted(entries.values(), key=lambda entry: (not entry.is_folder, entry.path)),
        is_model=any(entry.name == MODEL_FILE for entry in entries.values()),
        logged_model_id=logged_id,
        hidden=sorted(hidden),
    )


def measure_artifacts(service: Service, principal: Principal, project: str, run: str, path: str = "") -> ArtifactTotals:
    """Files and bytes in a folder of a run's artifacts and below, of the first `MAX_MEASURED` files.

    Of a model's folder also the files that are not stored with the model when it is registered.
    Raises Missing, NotPermitted, InvalidInput for a path that leaves the run, PartUnavailable.
    """
    clean = clean_path(path)
    place = enter_project(service, principal, project)
    sides = _sides(service, place, fetch_run(service, place, run), clean)
    measured = sides.own.sizes(MAX_MEASURED + 1)
    own, complete = measured.files, measured.complete
    theirs: dict[str, int] = {}
    for name, (_, folder) in sides.models.items():
        base = f"{name}/" if name else ""
        measured = folder.sizes(MAX_MEASURED + 1 - len(theirs))
        theirs.update((f"{base}{below}", size) for below, size in measured.files.items())
        complete = complete and measured.complete
    sizes = {**own, **theirs}
    if not sizes and clean:
        raise Missing(f"Run {run} has no artifact folder {clean!r}", action="See `registry-tui artifacts list`")
    counted = list(sizes.values())[:MAX_MEASURED]
    # Registering takes the run's own folder where it holds a model, else the logged model.
    outside = dict[str, int]()
    if "" in sides.models or (not clean and MODEL_FILE in own):
        outside = theirs if MODEL_FILE in own else own
    return ArtifactTotals(
        path=clean,
        files=len(counted),
        bytes=sum(counted),
        complete=complete and len(sizes) <= MAX_MEASURED,
        outside_model=sorted(outside)[:MAX_NAMED],
        outside_model_files=len(outside),
        model_files=len(own if MODEL_FILE in own else theirs or own),
        model_bytes=sum((own if MODEL_FILE in own else theirs or own).values()),
    )


def _sides(service: Service, place: ProjectPlace, run: Mapping[str, Any], path: str) -> _Sides:
    models = logged_models(service, place, run)
    own = _run_artifacts(service, place, run)
    if not path:
        return _Sides(own, {name: (model, _files_of(service, place, model)) for name, model in models.items()})
    name, _, rest = path.partition("/")
    model = models.get(name)
    there = {} if model is None else {"": (model, _files_of(service, place, model).below(rest))}
    return _Sides(own.below(path), there)


def open_artifact(
    service: Service, principal: Principal, project: str, run: str, path: str, range_header: str | None = None
) -> Content:
    """One artifact, or the bytes of it that an HTTP `Range` header names; a logged model's rather than the run's.

    Raises Missing, NotPermitted, InvalidInput for a folder or a path that leaves the run, RangeNotSatisfiable.
    """
    clean = clean_path(path)
    if not clean:
        raise InvalidInput("A file's path is missing", errors=[FieldProblem(field="path", message="must not be empty")])
    place = enter_project(service, principal, project)
    found = fetch_run(service, place, run)
    name, _, rest = clean.partition("/")
    model = logged_models(service, place, found).get(name) if rest else None
    if model is not None:
        with suppress(Missing):
            return _files_of(service, place, model).open(rest, range_header)
    return _run_artifacts(service, place, found).open(clean, range_header)


def _run_artifacts(service: Service, place: ProjectPlace, run: Mapping[str, Any]) -> Folder:
    client = client_of(service, place)
    if client is not None:
        return run_artifacts(client, run["info"]["run_id"])
    return StoreFolder(run_folder(service, place, run, ""))


def _files_of(service: Service, place: ProjectPlace, model: LoggedModel) -> Folder:
    client = client_of(service, place)
    return StoreFolder(locate(service, place, model.location)) if client is None else model_artifacts(client, model.id)


def attached_folder(service: Service, source: AttachedSource) -> Folder:
    """The folder of a model behind an attached server. Raises WrongState when the server was detached."""
    place = attached_place(service, source.project_id)
    client = client_of(service, place)
    if client is None:
        raise WrongState("The MLflow server that the model comes from is not attached any more")
    if source.model_id is not None:
        return model_artifacts(client, source.model_id)
    return run_artifacts(client, source.run_id or "").below(source.path)


def run_folder(service: Service, place: ProjectPlace, run: Mapping[str, Any], path: str) -> Place | OwnFolder:
    """The folder of a run's own artifacts. Raises InvalidInput."""
    return _below(locate(service, place, run["info"].get("artifact_uri", "")), path)


def logged_models(service: Service, place: ProjectPlace, run: Mapping[str, Any]) -> dict[str, LoggedModel]:
    """The models that a run logged, by name: of one name the one that `runs:/RUN/NAME` registers."""
    server = server_of(service, place)
    if not server.abilities.logged_models:
        return {}
    info = run["info"]
    body = {
        "experiment_ids": [info["experiment_id"]],
        "filter": f"source_run_id = {quoted(info['run_id'])}",
        "max_results": 1000,
    }
    models: dict[str, list[LoggedModel]] = {}

    def ask(token: str) -> Mapping[str, Any]:
        return server.call("POST", "logged-models/search", json={**body, "page_token": token} if token else body)

    for answer in pages(_where(place), ask):
        for found in answer.get("models", ()):
            with as_mlflow_does(_where(place)):
                model = _logged_model(found)
            models.setdefault(model.name, []).append(model)
    outputs = run.get("outputs", {}).get("model_outputs", ())
    steps = {output["model_id"]: int(output.get("step", 0)) for output in outputs}
    chosen = {name: spellings.registered_of(several, steps) for name, several in models.items()}
    return {name: model for name, model in chosen.items() if model is not None}


def get_logged_model(service: Service, place: ProjectPlace, model_id: str) -> tuple[LoggedModel, Mapping[str, Any]]:
    """A logged model of a project, and MLflow's object. Raises Missing, PartUnavailable."""
    if not re.fullmatch(r"m-[0-9A-Za-z-]{1,64}", model_id):
        raise Missing(f"Project {place.name} has no logged model {model_id!r}")
    try:
        answer = server_of(service, place).call("GET", f"logged-models/{segment(model_id)}")
    except (Missing, InvalidInput) as error:
        raise Missing(f"Project {place.name} has no logged model {model_id!r}") from error
    with as_mlflow_does(_where(place)):
        return _logged_model(answer["model"]), answer["model"]


def _where(place: ProjectPlace) -> str:
    return "this installation" if place.attached is None else place.attached.address.url


def locate(service: Service, project: ProjectPlace, uri: str) -> Place | OwnFolder:
    """The place of an `mlflow-artifacts:/…` folder of a project, read with the key of MLflow's server, or in the
    environment's own store.

    The key reads every project's artifacts, so that, as in MLflow's proxy, only those of this project are followed.
    Raises InvalidInput, PartUnavailable.
    """
    try:
        location = RoutesFile(service.home.routes_file).load().locate(artifact_path(uri))
    except RouteError as error:
        raise InvalidInput(f"The artifacts are not in the object store of this installation: {error}") from error
    except (OSError, ValueError) as error:
        raise PartUnavailable("The list of projects cannot be read", action="`registry-tui restart service`") from error
    if location.workspace != project.workspace:
        raise InvalidInput(f"The artifacts at {uri[:200]} are not those of project {project.name}")
    return folder_at(service, location)


def has_model(folder: Place | OwnFolder) -> bool:
    """Whether a folder holds an `MLmodel` file. Raises ServiceError."""
    if isinstance(folder, OwnFolder):
        try:
            folder.store.head(folder.key(MODEL_FILE))
        except Missing:
            return False
        return True
    with clear_errors(folder):
        answer = folder.client.list_objects_v2(Bucket=folder.bucket, Prefix=folder.key(MODEL_FILE), MaxKeys=1)
    return any(entry["Key"] == folder.key(MODEL_FILE) for entry in answer.get("Contents", ()))


def _logged_model(found: Mapping[str, Any]) -> LoggedModel:
    info = found["info"]
    return LoggedModel(
        id=info["model_id"],
        name=info.get("name", ""),
        location=info.get("artifact_uri", ""),
        created=int(info.get("creation_timestamp_ms", 0)),
    )


def _below(folder: Place | OwnFolder, path: str) -> Place | OwnFolder:
    return folder.below(path) if path else folder
