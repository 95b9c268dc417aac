"""Deleting a version, or a model with all versions: first from MLflow, then its files from the object store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry_tui.contracts.counts import counted
from registry_tui.schemas.models import RegisteredModel
from registry_tui.schemas.operations import Progress, WorkflowKind
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.deployments import shared_files
from registry_tui.service.engine.steps import Definition, Step, StepContext, Work
from registry_tui.service.errors import Missing
from registry_tui.service.models import changes as model_changes
from registry_tui.service.models import registered as models
from registry_tui.service.models.deleting import forget
from registry_tui.service.models.versions import find_version
from registry_tui.service.registries import lifecycle as registries
from registry_tui.service.registries.place import RegistryPlace, enter_registry
from registry_tui.service.stores import archives
from registry_tui.service.workflows.shared import LATER


def _permit(service: Service, principal: Principal, work: Work) -> None:
    """Permits people who may delete the model or the version; anybody once only files are left. Raises NotPermitted."""
    arguments = work.arguments
    registry = enter_registry(service, arguments["registry_id"], reader=principal)
    found = _model(service, registry, arguments)
    if found is None:
        return
    creator = None
    if arguments["version"] is not None:
        try:
            creator = find_version(service, registry, found, arguments["version"]).creator
        except Missing:
            return
    models.require_owner(principal, found, "delete it and its versions", also=creator)


def _model(service: Service, registry: RegistryPlace, arguments: Mapping[str, Any]) -> RegisteredModel | None:
    """The model, or None if it is deleted: by now there may be another model of its name."""
    found = models.fetch_model(service, registry, arguments["model_id"])
    return None if found is None or found.id != arguments["model_id"] else found


def _forget(context: StepContext) -> None:
    service, arguments = context.service, context.arguments
    registry = enter_registry(service, arguments["registry_id"])
    if _model(service, registry, arguments) is None:
        return
    registry.require_store(service)  # rows forgotten first could not be found later
    forget(service, registry.workspace, arguments["model"], arguments["version"])
    model_changes.changed(service, registry.id)


def _delete_files(context: StepContext) -> None:
    service, arguments = context.service, context.arguments
    registry = enter_registry(service, arguments["registry_id"])
    archive = registry.archive(service, arguments["model_id"], arguments["version_id"])
    done = Progress()

    def advance(bytes_: int, files: int) -> None:
        nonlocal done
        done = Progress(bytes_done=done.bytes_done + bytes_, files_done=done.files_done + files)
        context.progress(done)

    archives.delete_archive(archive, advance)
    removed = f"{counted(done.files_done, 'file')}, {counted(done.bytes_done, 'byte')}"
    context.log(f"{removed} removed from {archive.uri}; {LATER}")
    unpacked = [arguments["model_id"], *([arguments["version_id"]] if arguments["version_id"] else [])]
    shared_files.remove(service, registries.load(service, arguments["registry_id"]), unpacked, context.log)


DELETE_ARCHIVE = Definition(
    kind=WorkflowKind.DELETE_ARCHIVE,
    permit=_permit,
    steps=(Step("remove from the registry", _forget), Step("delete files", _delete_files)),
)
