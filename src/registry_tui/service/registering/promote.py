"""Promoting: a version of one registry becomes a version of another, with the same files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from registry_tui.contracts.permissions import Action
from registry_tui.contracts.promoted_sources import PromotedSource
from registry_tui.schemas import mlflow_tags
from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.models import (
    ModelVersion,
    PromotedFrom,
    RegisteredModel,
    VersionStatus,
    Visibility,
)
from registry_tui.schemas.operations import Accepted
from registry_tui.schemas.promotion import VersionPromotion
from registry_tui.service.adapters.mlflow_words import quoted, unquotable
from registry_tui.service.admission import rules
from registry_tui.service.core import events
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.errors import AlreadyThere, InvalidInput, PartUnavailable, ServiceError, WrongState
from registry_tui.service.models import changes as model_changes
from registry_tui.service.models import registered as models
from registry_tui.service.models import versions
from registry_tui.service.registering import archiving, copies
from registry_tui.service.registering.register import check_name, withdraw
from registry_tui.service.registries.place import RegistryPlace, enter_registry
from registry_tui.service.stores import archives


def promote_version(
    service: Service, principal: Principal, registry: str, model: str, version: int, request: VersionPromotion
) -> Accepted[ModelVersion]:
    """Makes a version of another registry from one of this, and begins to copy its archive.

    The same content is one version there: repeated or concurrent requests return that one. Everything is checked before
    anything is made. Raises Missing, NotPermitted, InvalidInput, NotAdmitted, WrongState for a version that is not
    READY, PartUnavailable.
    """
    place = enter_registry(service, registry, reader=principal)
    named = Resource("version", f"{model}/{version}", f"{model} v{version}", place.id)
    with events.recording(service, principal, "version.begin-promotion", named) as event:
        target = enter_registry(service, request.to, reader=principal, action=Action.MODEL_PROMOTE)
        found = models.find_model(service, principal, place, model)
        known = versions.find_version(service, place, found, version)
        event.resource = versions.resource_of(place, known)
        name = found.name if request.name is None else request.name
        if (target.id, name) == (place.id, found.name):
            message = "is the model itself: give another registry or another name"
            raise InvalidInput(
                f"{event.resource.name} is in {place.name} already",
                action="Name another registry, or with `--as` another model",
                errors=[FieldProblem(field="to", message=message)],
            )
        _require_ready(known)
        there = _model_there(service, principal, target, name)
        rules.require_promotion(service, principal, place, found, known, target, there)
        event.detail = f"to {target.name} as {name}"
        content = archives.read_manifest(place.archive(service, known.model_id, known.id)).content
        original = PromotedFrom(
            registry_id=place.id,
            registry_name=place.name,
            model_id=found.id,
            model_name=found.name,
            version_id=known.id,
            version=known.version,
        )
        if there is not None and (same := _same_content(service, target, there, content)) is not None:
            workflow = archiving.newest_of(service, same)
            if workflow is not None:
                copies.note(service, principal, target, same, original)
                event.detail += f": it is there as version {same.version}"
                return Accepted(resource=same.model_copy(update={"workflow_id": workflow.id}), workflow=workflow)
        with archiving.being_registered(service, target.id, name):
            made = _make(service, principal, target, (found, known), (name, there), request, original, content)
            workflow = archiving.start(service, principal, target, made, again=True)
            model_changes.changed(service, target.id)
        event.detail = f"to {target.name} as {versions.resource_of(target, made).name}"
    return Accepted(resource=made.model_copy(update={"workflow_id": workflow.id}), workflow=workflow)


def _require_ready(version: ModelVersion) -> None:
    name = f"{version.model_name} v{version.version}"
    if version.status is not VersionStatus.READY:
        raise WrongState(
            f"{name} cannot be promoted: it is {version.status.value}",
            action="Wait until it is READY"
            if version.status is VersionStatus.PENDING_REGISTRATION
            else "Register the model again, and promote that version",
        )
    if version.archive_damage:
        raise WrongState(
            f"{name} cannot be promoted: its archive is damaged ({version.archive_damage})",
            action="Promote a version that is sound; `registry-tui models verify` reads this one again",
        )


def _model_there(service: Service, principal: Principal, target: RegistryPlace, name: str) -> RegisteredModel | None:
    found = models.fetch_model(service, target, name, seen_by=principal.sight)
    if found is not None and found.name == name:
        return found
    check_name(name)
    return None


def _same_content(service: Service, target: RegistryPlace, model: RegisteredModel, content: str) -> ModelVersion | None:
    """The oldest stored version of a model with these files."""
    filters = (
        f"name {'LIKE' if unquotable(model.name) else '='} {quoted(model.name)}",
        f"tags.`{mlflow_tags.CONTENT}` = '{content}'",
    )
    params = {"filter": " AND ".join(filters), "order_by": ["version_number ASC"], "max_results": 10}
    answer = service.mlflow.call("GET", "model-versions/search", workspace=target.workspace, params=params)
    found = (
        versions.to_version(model, each) for each in answer.get("model_versions", ()) if each["name"] == model.name
    )
    return next((each for each in found if each.status is VersionStatus.READY and not each.archive_damage), None)


def _make(
    service: Service,
    principal: Principal,
    target: RegistryPlace,
    source: tuple[RegisteredModel, ModelVersion],
    named: tuple[str, RegisteredModel | None],
    request: VersionPromotion,
    original: PromotedFrom,
    content: str,
) -> ModelVersion:
    """The new version; the one that the same content made before, where it is being stored or could not be."""
    (model, version), (name, there) = source, named
    created = _create_model(service, principal, target, model, name, version, request) if there is None else None
    uri = PromotedSource(original.registry_id, original.model_id, original.version_id).uri
    origin = version.origin.model_copy(update={"source": uri, "promoted_from": original})
    tags = {
        **version.tags,
        mlflow_tags.CREATOR: principal.name,
        mlflow_tags.CONTENT: content,
        mlflow_tags.ORIGIN: origin.model_dump_json(),
        mlflow_tags.REQUEST: f"promote-{hashlib.sha256(content.encode()).hexdigest()[:40]}",
        **({mlflow_tags.PROJECT: origin.project_id} if origin.project_id else {}),
    }
    body = {
        "name": name,
        "source": uri,
        "run_id": origin.run_id,
        "description": version.notes,
        "tags": _mlflow_tags(tags),
    }
    try:
        answer = service.mlflow.call(
            "POST",
            "model-versions/create",
            workspace=target.workspace,
            json={key: value for key, value in body.items() if value is not None},
            seen_by=principal.sight,
        )
    except PartUnavailable:
        raise  # the version may have been made
    except ServiceError:
        if created is not None:
            withdraw(service, target, created)
        raise
    found = models.fetch_model(service, target, name)
    if found is None:
        raise WrongState(f"Model {name} was deleted just now", action="Promote the version again")
    return versions.to_version(found, answer["model_version"])


def _create_model(
    service: Service,
    principal: Principal,
    target: RegistryPlace,
    model: RegisteredModel,
    name: str,
    version: ModelVersion,
    request: VersionPromotion,
) -> RegisteredModel | None:
    """The new model; None when somebody else made it just now."""
    tags = {
        mlflow_tags.OWNER: principal.name,
        mlflow_tags.VISIBILITY: (request.visibility or Visibility.PRIVATE).value,
        mlflow_tags.LOCATION: version.origin.workspace_name or model.location,
    }
    body = {"name": name, "description": model.description, "tags": _mlflow_tags({**model.tags, **tags})}
    try:
        answer = service.mlflow.call(
            "POST", "registered-models/create", workspace=target.workspace, json=body, seen_by=principal.sight
        )
    except AlreadyThere as error:
        # The name is a prompt's, or a private model's of somebody else.
        if models.fetch_model(service, target, name, seen_by=principal.sight) is None:
            raise AlreadyThere(error.detail, action="Choose another name with `--as`") from error
        return None
    return models.to_model(target.id, answer["registered_model"])


def _mlflow_tags(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value} for key, value in tags.items()]
