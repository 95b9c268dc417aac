"""Cleaning up a registry's storage: archives without a version, and versions without an archive, as somebody chose.

Each is checked again right before its deletion, one by one: IDs are never reused, and a version exists before its
archive, so an archive whose version is deleted, and which nothing uses, stays without a version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry_tui.contracts.counts import counted
from registry_tui.contracts.permissions import Action
from registry_tui.schemas import mlflow_tags
from registry_tui.schemas.models import VersionStatus
from registry_tui.schemas.operations import Progress, WorkflowKind
from registry_tui.schemas.storage import StorageCleanUp
from registry_tui.service.core.context import Service
from registry_tui.service.deployments import shared_files
from registry_tui.service.engine import permits
from registry_tui.service.engine.steps import Definition, Step, StepContext
from registry_tui.service.models import changes as model_changes
from registry_tui.service.models.deleting import forget
from registry_tui.service.registries import lifecycle as registries
from registry_tui.service.registries.place import RegistryPlace, enter_registry
from registry_tui.service.storage import measuring as storage_measuring
from registry_tui.service.stores.archives import MANIFEST
from registry_tui.service.workflows.shared import give_back


def _begin(context: StepContext) -> None:
    """Checks again, because an old workflow may be retried. Raises Missing, WrongState."""
    enter_registry(context.service, context.resource.id)


def _remove_archives(context: StepContext) -> Mapping[str, Any]:
    service, place = context.service, enter_registry(context.service, context.resource.id)
    chosen = StorageCleanUp.model_validate(context.arguments).archives
    bytes_ = removed = 0
    for number, archive in enumerate(chosen, 1):
        context.check_cancelled()
        model_id, version_id = archive.split("/")
        uri = f"{place.uri(service)}{archive}/"
        if why := _why_archive_stays(service, place, model_id, version_id):
            context.log(f"kept {uri}: {why}", "warning")
        else:
            gone = place.delete_below(service, f"{archive}/")
            shared_files.remove(service, registries.load(service, place.id), [model_id, version_id])
            bytes_, removed = bytes_ + gone.bytes, removed + 1
            context.log(f"removed {uri}: {counted(gone.objects, 'object')}, {counted(gone.bytes, 'byte')}")
        context.progress(Progress(bytes_done=bytes_, files_done=number, files_total=len(chosen)))
    if chosen:
        context.log(f"{removed} of {counted(len(chosen), 'archive')} removed, {counted(bytes_, 'byte')}")
    return {"bytes": bytes_}


def _remove_versions(context: StepContext) -> None:
    service, place = context.service, enter_registry(context.service, context.resource.id)
    chosen = StorageCleanUp.model_validate(context.arguments).versions
    for number, chosen_one in enumerate(chosen, 1):
        context.check_cancelled()
        version_id = chosen_one.split("/")[1]
        found = _version(service, place, version_id)
        if found is None:
            context.log(f"version {version_id} is gone already")
        else:
            shown = f"{found['name']} v{found['version']}"
            if why := _why_version_stays(service, place, chosen_one, found):
                context.log(f"kept {shown}: {why}", "warning")
            else:
                forget(service, place.workspace, found["name"], int(found["version"]))
                context.log(f"removed {shown}, which had no archive")
        context.progress(Progress(files_done=number, files_total=len(chosen)))
    if chosen:
        model_changes.changed(service, place.id)


def _give_back(context: StepContext) -> None:
    give_back(context, int(context.state.get("bytes", 0)))


def _why_archive_stays(service: Service, place: RegistryPlace, model_id: str, version_id: str) -> str | None:
    """Checks twice, so that a use that begins between two checks is seen by one of them."""
    for _ in range(2):
        pending = service.mlflow.search_pending_versions(place.workspace)
        if any(storage_measuring.copied_from(found) == version_id for found in pending):
            return "a version is being copied from it"
        used = storage_measuring.users(service, place.id)
        if version_id in used.versions or model_id in used.models:
            return "a workflow or a deployment uses it"
        if found := _version(service, place, version_id):
            return f"it belongs to {found['name']} v{found['version']}"
    return None


def _why_version_stays(service: Service, place: RegistryPlace, archive: str, found: Mapping[str, Any]) -> str | None:
    model_id, version_id = archive.split("/")
    if found.get("status") == VersionStatus.PENDING_REGISTRATION:
        return "its archive is being stored"
    used = storage_measuring.users(service, place.id)
    if version_id in used.versions or model_id in used.models:
        return "a workflow or a deployment uses it"
    if place.holds(service, f"{archive}/{MANIFEST}"):
        return "it has an archive"
    return None


def _version(service: Service, place: RegistryPlace, version_id: str) -> dict[str, Any] | None:
    filter_ = f"tags.`{mlflow_tags.VERSION_ID}` = '{version_id}'"
    return next(service.mlflow.search_versions(place.workspace, filter=filter_), None)


def _measure_again(context: StepContext) -> None:
    row = registries.load(context.service, context.resource.id)
    if row is not None:
        storage_measuring.begin(context.service, enter_registry(context.service, row.id, any_status=True))


CLEAN_UP = Definition(
    kind=WorkflowKind.CLEAN_UP,
    action="registry.clean-up",
    permit=permits.in_environment(Action.STORAGE_CLEAN_UP),
    steps=(
        Step("remove archives", _remove_archives),
        Step("remove versions", _remove_versions),
        Step("give back space", _give_back, cancellable=False),
    ),
    on_start=_begin,
    on_success=_measure_again,
)
