"""The step of a rollout that puts the model's files where its replicas read them."""

from __future__ import annotations

from registry_tui.contracts.counts import counted
from registry_tui.schemas.models import Manifest
from registry_tui.schemas.operations import EventOutcome, Progress
from registry_tui.service.core import events
from registry_tui.service.database.tables import DeploymentRow, RevisionRow
from registry_tui.service.deployments import model_files, shared_files, signed_files
from registry_tui.service.deployments.shared_files import Placed, Watching
from registry_tui.service.deployments.signed_files import Checked
from registry_tui.service.engine.steps import StepContext
from registry_tui.service.errors import Missing
from registry_tui.service.registries import lifecycle as registries
from registry_tui.service.registries.place import enter_registry
from registry_tui.service.signing import archives as signing


def fetch(context: StepContext, row: DeploymentRow, revision: RevisionRow, without: str = "") -> tuple[Placed, Checked]:
    """Puts the files of a revision's version into its registry's NFS, else onto this machine; returns which, and why.

    `without`: why the NFS is left out. Raises ServiceError, also when replicas could not load the model.
    """
    service = context.service
    registry = registries.load(service, row.registry_id)
    if registry is None:
        raise Missing("The Model Registry of the deployment is gone")
    place = enter_registry(service, row.registry_id)
    signed = signing.version_at(service, place, row.model_id, revision.version_id)
    archive, checked = signed.archive, signed_files.place(service, signed)
    if checked.signature:
        context.log("its signature is valid, of a trusted key")
    else:
        context.log(
            f"{row.model_name} v{revision.version} is not signed: it was registered before versions were. Sign it: "
            f"`registry-tui models sign {row.model_name} {revision.version}`",
            "warning",
        )
    done = [0, 0]
    total: list[int] = [0, 0]

    def progress(manifest: Manifest) -> None:
        done[:] = [0, 0]
        total[:] = [manifest.total_bytes, len(manifest.files)]
        sizes = f"{counted(total[1], 'file')}, {counted(total[0], 'byte')}"
        context.log(f"fetching {sizes}, of {row.model_name} v{revision.version}")

    def advance(bytes_: int, files: int) -> None:
        done[0] += bytes_
        done[1] += files
        context.progress(Progress(bytes_done=done[0], bytes_total=total[0], files_done=done[1], files_total=total[1]))

    watching = Watching(context.log, progress, advance, context.check_cancelled)
    placed = shared_files.place(service, registry, archive, row.model_id, revision.version_id, watching, without)
    context.log("every file has the sum of its manifest")
    if registry.existing_nfs:
        context.log(f"model files are {placed.said}", "info" if placed.shared else "warning")
        if not placed.shared:
            _record(context, row, placed)
    try:
        shared_files.reading(lambda: model_files.require_servable(placed.folder), shared=placed.shared)
    except shared_files.NfsSilent as silent:
        return fetch(context, row, revision, silent.detail)
    return placed, checked


def _record(context: StepContext, row: DeploymentRow, placed: Placed) -> None:
    """Records an event with the reason why the registry's NFS is not used."""
    events.record(
        context.service,
        context.principal,
        action="deployment.fetch-files",
        resource=context.resource,
        outcome=EventOutcome.FAILED,
        detail=f"The model files of {row.name} are {placed.said}",
    )
