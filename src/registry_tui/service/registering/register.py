"""Registering: a logged model of a project becomes a version in the registry of its workspace."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from registry_tui.contracts.permissions import Action
from registry_tui.mlflow_plugin import spellings
from registry_tui.schemas import mlflow_tags, names
from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.models import ModelVersion, Origin, RegisteredModel, RegisterModel, Visibility
from registry_tui.schemas.operations import Accepted
from registry_tui.schemas.promotion import StageChange
from registry_tui.service.core import events, idempotency
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.ml_model import MODEL_FILE
from registry_tui.service.errors import AlreadyThere, InvalidInput, Missing, PartUnavailable, ServiceError, WrongState
from registry_tui.service.models import changes as model_changes
from registry_tui.service.models import promoting, versions
from registry_tui.service.models import registered as models
from registry_tui.service.registering import archiving, attached
from registry_tui.service.registries.place import RegistryPlace, enter_registry
from registry_tui.service.stores import content
from registry_tui.service.tracking import artifacts, runs
from registry_tui.service.tracking.project import ProjectPlace, enter_project, registry_id_of

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Source:
    """The source of a registration, as sent to MLflow."""

    uri: str
    run_id: str | None
    model_id: str | None
    #: Of a model of an attached server; MLflow's server here finds that of all others by itself.
    origin: Origin | None = None


def register_model(
    service: Service, principal: Principal, project: str, request: RegisterModel
) -> Accepted[ModelVersion]:
    """Makes a version from a logged model, and begins to store its archive.

    Everything is checked before anything is made; a new model whose first version MLflow refuses is deleted again.
    Raises InvalidInput, Missing, NotPermitted, WrongState for a project that is not synchronized, PartUnavailable.
    """

    shown = request.name[:80]
    with events.recording(service, principal, "version.register", Resource("model", shown, shown)) as event:
        models.check_tags(request.tags)
        place = enter_project(service, principal, project, Action.MODEL_REGISTER)
        registry = _registry_of(service, principal, place)
        event.resource = Resource("model", request.name, request.name, registry.id)
        known = models.fetch_model(service, registry, request.name, seen_by=principal.sight)
        if known is not None and known.name != request.name:
            known = None  # found by its ID, which as a name is another model
        if known is None:
            check_name(request.name)
        else:
            _check_known(principal, known, request)
        owner = principal.name if known is None else known.owner
        if request.stage is not None:
            promoting.check_first_stage(service, principal, registry, owner, request.stage)
        source = _source(service, place, request)
        if place.attached is not None:
            attached.prepare(service, place)

        with archiving.being_registered(service, registry.id, request.name):
            created = _create_model(service, principal, place, registry, request) if known is None else None
            if not created:
                _update_known(service, principal, registry, request)
            try:
                made = _create_version(service, principal, place, request, source)
            except PartUnavailable:
                raise  # the version may have been made
            except ServiceError:
                if created:
                    withdraw(service, registry, created)
                raise
            model = models.fetch_model(service, registry, request.name, seen_by=principal.sight)
            if model is None:
                raise WrongState(f"Model {request.name} was deleted just now", action="Register it again")
            version = versions.to_version(model, made)
            event.resource = versions.resource_of(registry, version)
            event.detail = f"from project {place.name}"
            workflow = archiving.start(service, principal, registry, version)
            if request.stage not in (None, version.stage):
                change = StageChange(stage=request.stage, comment="when it was registered")
                version = promoting.set_stage(service, principal, registry.id, model.name, version.version, change)
            model_changes.changed(service, registry.id)
    return Accepted(resource=version.model_copy(update={"workflow_id": workflow.id}), workflow=workflow)


def check_name(name: str) -> None:
    """Raises InvalidInput if the name of a new registered model is not valid."""
    if problem := names.model_name_problem(name):
        raise InvalidInput(f"The model's name {problem}", errors=[FieldProblem(field="name", message=problem)])


def _registry_of(service: Service, principal: Principal, place: ProjectPlace) -> RegistryPlace:
    registry_id = registry_id_of(service, place)
    if registry_id is None:
        raise WrongState(
            f"Project {place.name} cannot register models: its workspace is not synchronized with a Model Registry",
            action="`registry-tui registries list` shows them; then `registry-tui registries synchronize NAME`",
        )
    return enter_registry(service, registry_id, reader=principal)


def _source(service: Service, place: ProjectPlace, request: RegisterModel) -> _Source:
    if request.source is not None:
        request = _from_uri(request)
    if request.logged_model_id is not None and request.artifact_path is not None:
        raise _wrong("artifact_path", "goes with run_id, not with logged_model_id")
    if place.attached is not None:
        return _attached_source(service, place, request)
    if request.logged_model_id is not None:
        model, found = artifacts.get_logged_model(service, place, request.logged_model_id)
        run_id = found["info"].get("source_run_id") or None
        if request.run_id is not None and request.run_id != run_id:
            raise _wrong("run_id", f"did not log the model {model.id}")
        if run_id:
            _active_run(service, place, run_id)
        _require_model(artifacts.locate(service, place, model.location), model.id)
        return _Source(f"models:/{model.id}", run_id, model.id)
    if request.run_id is None or request.artifact_path is None:
        raise _wrong("artifact_path", "give run_id with artifact_path, or logged_model_id")
    content.clean_path(request.artifact_path.removeprefix("./"), "artifact_path")
    run = _active_run(service, place, request.run_id)
    run_id = str(run["info"]["run_id"])
    paths = spellings.candidates(spellings.folder(request.artifact_path))
    for path in paths:
        if artifacts.has_model(artifacts.run_folder(service, place, run, content.clean_path(path))):
            return _Source(f"runs:/{run_id}/{path}", run_id, None)
    logged = artifacts.logged_models(service, place, run)
    for path in paths:
        if path in logged:
            _require_model(artifacts.locate(service, place, logged[path].location), path)
            return _Source(f"models:/{logged[path].id}", run_id, logged[path].id)
    raise _no_model(f"{paths[0]!r} of run {run_id}" if paths[0] else f"the root of the artifacts of run {run_id}")


def _attached_source(service: Service, place: ProjectPlace, request: RegisterModel) -> _Source:
    if request.logged_model_id is None and (request.run_id is None or request.artifact_path is None):
        raise _wrong("artifact_path", "give run_id with artifact_path, or logged_model_id")
    if request.run_id is not None:
        _active_run(service, place, request.run_id)
    found = attached.find_source(service, place, request)
    if found is None:
        raise _no_model(repr(request.logged_model_id or request.artifact_path))
    source, run_id = found
    origin = attached.origin_of(service, place, source, run_id)
    return _Source(source.uri, run_id or None, None, origin)


def _from_uri(request: RegisterModel) -> RegisterModel:
    """The request with the fields that its `source` means. Raises InvalidInput."""
    source = request.source or ""
    if (request.run_id, request.artifact_path, request.logged_model_id) != (None, None, None):
        raise _wrong("source", "goes without run_id, artifact_path and logged_model_id")
    if source.startswith("runs:"):
        run_id, path = spellings.parse_runs_source(source)
        return request.model_copy(update={"run_id": run_id, "artifact_path": path, "source": None})
    if source.startswith("models:"):
        model_id = source.removeprefix("models:").strip("/")
        return request.model_copy(update={"logged_model_id": model_id, "source": None})
    raise _wrong("source", "must be runs:/RUN/PATH or models:/MODEL_ID")


def _active_run(service: Service, place: ProjectPlace, run_id: str) -> Mapping[str, Any]:
    run = runs.fetch_run(service, place, run_id)
    if run["info"].get("lifecycle_stage") != "active":
        raise WrongState(f"Run {run_id} was deleted, so its model cannot be registered", action="Restore the run first")
    return run


def _require_model(folder: Any, shown: str) -> None:
    if not artifacts.has_model(folder):
        raise _no_model(repr(shown))


def _no_model(shown: str) -> InvalidInput:
    return InvalidInput(
        f"There is no MLflow model at {shown}: the folder holds no {MODEL_FILE} file",
        action="Name the folder that `log_model` wrote",
        errors=[FieldProblem(field="artifact_path", message=f"must be a folder with a {MODEL_FILE} file")],
    )


def _wrong(field: str, message: str) -> InvalidInput:
    return InvalidInput(f"{field}: {message}", errors=[FieldProblem(field=field, message=message)])


def _check_known(principal: Principal, model: RegisteredModel, request: RegisterModel) -> None:
    """Contributors of a project may add versions, as with the SDK; only the owner may change the model's own facts."""
    if request.description not in ("", model.description):
        models.require_owner(principal, model, "change its description")
    if request.visibility not in (None, model.visibility):
        models.require_owner(principal, model, "change its visibility")


def _create_model(
    service: Service,
    principal: Principal,
    place: ProjectPlace,
    registry: RegistryPlace,
    request: RegisterModel,
) -> RegisteredModel | None:
    """The new model, or None when somebody else made it just now."""
    tags = {
        mlflow_tags.OWNER: principal.name,
        mlflow_tags.VISIBILITY: (request.visibility or Visibility.PRIVATE).value,
    }
    body = {"name": request.name, "description": request.description, "tags": _mlflow_tags(tags)}
    try:
        answer = service.mlflow.call(
            "POST", "registered-models/create", workspace=place.workspace, json=body, seen_by=principal.sight
        )
    except AlreadyThere as error:
        # The name is a prompt's, or a private model's of somebody else.
        if models.fetch_model(service, registry, request.name, seen_by=principal.sight) is None:
            raise AlreadyThere(error.detail, action="Choose another name") from error
        return None
    return models.to_model(registry.id, answer["registered_model"])


def withdraw(service: Service, registry: RegistryPlace, model: RegisteredModel) -> None:
    """Deletes a model that this request made, unless somebody registered a version of it meanwhile."""
    body = {"name": model.name, "key": mlflow_tags.WITHDRAW, "value": model.id}
    try:
        # MLflow's handler looks the model up after the store call: Missing means that it was deleted.
        with suppress(Missing):
            service.mlflow.call("POST", "registered-models/set-tag", workspace=registry.workspace, json=body)
    except ServiceError as error:
        # The caller needs the refusal itself.
        _logger.warning("The model %r stays without a version: %s", model.name, error)


def _update_known(service: Service, principal: Principal, registry: RegistryPlace, request: RegisterModel) -> None:
    found = models.fetch_model(service, registry, request.name, seen_by=principal.sight)
    if found is None:
        raise AlreadyThere(
            f"The name {request.name!r} belongs to a private model of somebody else", action="Choose another name"
        )
    _check_known(principal, found, request)
    named = {"name": found.name}
    if request.description not in ("", found.description):
        body = {**named, "description": request.description}
        service.mlflow.call("PATCH", "registered-models/update", workspace=registry.workspace, json=body)
    if request.visibility not in (None, found.visibility):
        body = {**named, "key": mlflow_tags.VISIBILITY, "value": str(request.visibility)}
        service.mlflow.call("POST", "registered-models/set-tag", workspace=registry.workspace, json=body)


def _create_version(
    service: Service, principal: Principal, place: ProjectPlace, request: RegisterModel, source: _Source
) -> Mapping[str, Any]:
    tags = {**{tag.key: tag.value for tag in request.tags}, mlflow_tags.CREATOR: principal.name}
    if keyed := idempotency.current.get():
        tags[mlflow_tags.REQUEST] = keyed
    if request.content is not None:
        tags[mlflow_tags.CONTENT] = request.content
    if source.origin is not None:
        tags[mlflow_tags.ORIGIN] = source.origin.model_dump_json()
    body = {
        "name": request.name,
        "source": source.uri,
        "run_id": source.run_id,
        "model_id": source.model_id,
        "description": request.notes,
        "tags": _mlflow_tags(tags),
    }
    present = {key: value for key, value in body.items() if value is not None}
    answer = service.mlflow.call(
        "POST", "model-versions/create", workspace=place.workspace, json=present, seen_by=principal.sight
    )
    return dict(answer["model_version"])


def _mlflow_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]
