"""Deleting a version, or a model with all versions."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import select

from registry_tui.schemas.models import ModelVersion, RegisteredModel
from registry_tui.schemas.operations import WorkflowKind
from registry_tui.service.core import events, idempotency
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import DeploymentRow, WorkflowRow
from registry_tui.service.engine.rows import ACTIVE
from registry_tui.service.errors import InUse, Missing, PartUnavailable, WrongState
from registry_tui.service.models import boms, cards, profiles, scans
from registry_tui.service.models import changes as model_changes
from registry_tui.service.models import registered as models
from registry_tui.service.models.versions import find_version, resource_of
from registry_tui.service.promotion import admission, stages
from registry_tui.service.promotion.protected_aliases import protection_of
from registry_tui.service.registries.place import RegistryPlace, enter_registry
from registry_tui.service.signing import archives as signing

#: States of a deployment in which its version may be deleted.
NOT_DEPLOYED = ("stopped", "failed")


def forget(service: Service, registry_workspace: str, model: str, version: int | None) -> None:
    """Deletes a version, or a whole model, in MLflow; does nothing if it does not exist. Raises PartUnavailable."""
    body = {"name": model}
    with suppress(Missing):
        if version is None:
            service.mlflow.call("DELETE", "registered-models/delete", workspace=registry_workspace, json=body)
        else:
            service.mlflow.call(
                "DELETE",
                "model-versions/delete",
                workspace=registry_workspace,
                json={**body, "version": str(version)},
            )


def delete_version(
    service: Service, principal: Principal, registry: str, model: str, version: int, *, keep_archive: bool = False
) -> None:
    """Deletes a version, whose number is never issued again, and its archive.

    Raises Missing, NotPermitted, WrongState while its archive is being stored, PartUnavailable.
    """
    place = enter_registry(service, registry, reader=principal)
    with events.recording(
        service, principal, "version.delete", Resource("version", f"{model}/{version}", f"{model} v{version}", place.id)
    ) as event:
        found = models.find_model(service, principal, place, model)
        known = find_version(service, place, found, version)
        event.resource = resource_of(place, known)
        models.require_owner(principal, found, "delete its versions", also=known.creator)
        _delete(service, principal, place, event.resource, found, known, keep_archive)


def delete_model(
    service: Service, principal: Principal, registry: str, model: str, *, keep_archives: bool = False
) -> None:
    """Deletes a model with all versions, and their archives.

    Raises Missing, NotPermitted, WrongState while an archive of it is being stored, PartUnavailable.
    """
    place = enter_registry(service, registry, reader=principal)
    with models.changing(service, principal, place, model, "model.delete", "delete it") as found:
        resource = Resource("model", found.id, found.name, place.id)
        _delete(service, principal, place, resource, found, None, keep_archives)


def _delete(
    service: Service,
    principal: Principal,
    place: RegistryPlace,
    resource: Resource,
    model: RegisteredModel,
    version: ModelVersion | None,
    keep_archive: bool,
) -> None:
    _require_idle(service, place, model, version)
    _require_not_deployed(service, model, version)
    named = [alias for alias, number in model.aliases.items() if version is None or number == version.version]
    with service.database.reading() as session:
        for alias in named:
            if protection_of(session, place.id, alias) is not None:
                admission.check_alias(session, principal, place.id, model.owner, alias)
    number = None if version is None else version.version
    scans.forget(service, model.id, None if version is None else version.id)
    if keep_archive:
        idempotency.takes_elsewhere(service, model.id if version is None else version.id)
        forget(service, place.workspace, model.name, number)
        _forget_rows(service, model, version)
        model_changes.changed(service, place.id)
        return
    # The workflow comes first, so that the rest is done even when the service is killed in between.
    service.workflows.start(
        principal,
        WorkflowKind.DELETE_ARCHIVE,
        resource=resource,
        arguments={
            "registry_id": place.id,
            "model": model.name,
            "model_id": model.id,
            "version": number,
            "version_id": None if version is None else version.id,
        },
    )
    with suppress(PartUnavailable):  # the workflow tries again
        forget(service, place.workspace, model.name, number)
    _forget_rows(service, model, version)
    model_changes.changed(service, place.id)


def _forget_rows(service: Service, model: RegisteredModel, version: ModelVersion | None) -> None:
    with service.database.session() as session:
        stages.forget(session, model.id, None if version is None else version.id)
        signing.forget(session, model.id, None if version is None else version.id)
        boms.forget(session, model.id, None if version is None else version.id)
        cards.forget(session, model.id, None if version is None else version.id)
        profiles.forget(session, model.id, None if version is None else version.id)


def _require_idle(service: Service, place: RegistryPlace, model: RegisteredModel, version: ModelVersion | None) -> None:
    query = select(WorkflowRow).where(
        WorkflowRow.status.in_(ACTIVE),
        WorkflowRow.kind.in_((WorkflowKind.ARCHIVE.value, WorkflowKind.PROMOTE.value)),
        WorkflowRow.registry_id == place.id,
    )
    with service.database.reading() as session:
        for row in session.scalars(query):
            of_model = row.arguments.get("model_id") == model.id
            if of_model and (version is None or row.resource_id == version.id):
                raise WrongState(
                    f"The archive of {row.resource_name} is being stored",
                    action=f"Wait for it, or cancel it: `registry-tui workflows cancel {row.id}`",
                )


def _require_not_deployed(service: Service, model: RegisteredModel, version: ModelVersion | None) -> None:
    query = select(DeploymentRow).where(
        DeploymentRow.registry_id == model.registry_id,
        DeploymentRow.model_id == model.id,
        DeploymentRow.state.not_in(NOT_DEPLOYED),
    )
    if version is not None:
        query = query.where(DeploymentRow.version == version.version)
    with service.database.reading() as session:
        deployed = [(row.name, row.version) for row in session.scalars(query)]
    if deployed:
        named = ", ".join(f"{name} (version {number})" for name, number in deployed)
        command = f"registry-tui deployments stop {deployed[0][0]}"
        raise InUse(f"It is deployed: {named}", action=f"Stop it first: `{command}`")
