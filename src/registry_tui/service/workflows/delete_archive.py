"""Deleting a version, or a model with all versions: first from MLflow, then its files from the object store."""

from __future__ import annotations

from registry_tui.contracts.counts import counted
from registry_tui.schemas.operations import Progress, WorkflowKind
from registry_tui.service.engine.steps import Definition, Step, StepContext
from registry_tui.service.models import changes as model_changes
from registry_tui.service.models import registered as models
from registry_tui.service.models.deleting import forget
from registry_tui.service.registries.place import enter_registry
from registry_tui.service.stores import archives
from registry_tui.service.workflows.shared import LATER


def _forget(context: StepContext) -> None:
    service, arguments = context.service, context.arguments
    registry = enter_registry(service, arguments["registry_id"])
    if arguments["version"] is None:
        # By now somebody may have made another model of this name.
        found = models.fetch_model(service, registry, arguments["model_id"])
        if found is None or found.id != arguments["model_id"]:
            return
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


DELETE_ARCHIVE = Definition(
    kind=WorkflowKind.DELETE_ARCHIVE,
    steps=(Step("remove from the registry", _forget), Step("delete files", _delete_files)),
)
