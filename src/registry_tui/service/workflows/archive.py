"""Storing a version's archive: list the files, copy them, read them back, sign and scan them, publish.

A promoted version takes them from another registry, with the other files of its archive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from registry_tui.contracts import attached_sources, file_paths, promoted_sources
from registry_tui.contracts.counts import counted
from registry_tui.contracts.mlflow_routes import RouteError, RoutesFile, artifact_path
from registry_tui.contracts.permissions import Action
from registry_tui.schemas import mlflow_tags
from registry_tui.schemas.models import Manifest, VersionStatus
from registry_tui.schemas.operations import WorkflowKind
from registry_tui.service.core import ml_model, permissions, room
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.core.ml_model import MODEL_FILE
from registry_tui.service.database.tables import ProjectRow
from registry_tui.service.engine.steps import Definition, Step, StepContext, Work
from registry_tui.service.errors import (
    InvalidInput,
    Missing,
    NotPermitted,
    PartUnavailable,
    ServiceError,
    WrongState,
)
from registry_tui.service.models import boms, cards, scans, versions
from registry_tui.service.models import changes as model_changes
from registry_tui.service.models import registered as models
from registry_tui.service.registering import copies, sources
from registry_tui.service.registries.place import enter_registry
from registry_tui.service.signing import archives as signing
from registry_tui.service.stores import archives, bucket_files, copying
from registry_tui.service.stores.archives import FILES
from registry_tui.service.stores.bucket_files import StoredFile
from registry_tui.service.workflows.advancing import Advancing


def _permit(service: Service, principal: Principal, work: Work) -> None:
    """Permits people who may register in the project that the model comes from, and read the registry's models.

    Raises Missing, NotPermitted.
    """
    enter_registry(service, work.arguments["registry_id"], any_status=True, reader=principal)
    if (elsewhere := attached_sources.parse(work.arguments["source"])) is not None:
        with service.database.reading() as session:
            row = session.get(ProjectRow, elsewhere.project_id)
            if row is not None:
                permissions.check_project(session, principal, row, Action.MODEL_REGISTER)
        return
    with suppress(RouteError, OSError, ValueError):  # the work itself reports why the model cannot be reached
        source = RoutesFile(service.home.routes_file).load().locate(artifact_path(work.arguments["source"]))
        with service.database.reading() as session:
            query = select(ProjectRow).where(ProjectRow.mlflow_workspace == source.workspace)
            project = session.scalars(query).first()
            if project is not None:
                permissions.check_project(session, principal, project, Action.MODEL_REGISTER)


# -- steps -----------------------------------------------------------------------------------------------


def _begin(context: StepContext) -> None:
    """Marks the version as waiting, also when the workflow is tried again. Raises WrongState when it is stored."""
    if _is_stored(context):
        raise WrongState("The version is READY: another workflow has stored its archive")
    _set_status(context, VersionStatus.PENDING_REGISTRATION, "Its archive is being stored")
    _set_tags(context, {mlflow_tags.WORKFLOW_ID: context.workflow_id})


def _list(context: StepContext) -> Mapping[str, Any]:
    source, archive = _source(context), _archive(context)
    files = source.files(context.check_cancelled)
    _require_possible(files, archive.below(FILES))
    described = next((file for file in files if file.path == MODEL_FILE), None)
    if described is None:
        raise InvalidInput(
            f"There is no MLflow model at {context.arguments['source']}: the folder holds no {MODEL_FILE} file",
            action="Log the model again and register a new version",
        )
    total = sum(file.size for file in files)
    context.log(f"{counted(len(files), 'file')}, {counted(total, 'byte')} in {source.where}")
    room.require_room(context.service, total, archive)
    not_servable = _check_model(source, described, files)
    if not_servable:
        context.log(not_servable, "warning")
    return {"files": [[file.path, file.size, file.etag] for file in files], "not_servable": not_servable}


def _check_model(source: sources.Source, described: StoredFile, files: Sequence[StoredFile]) -> str:
    """Why the model cannot be served; empty when it can. Raises InvalidInput when MLflow cannot load it."""
    if described.size > ml_model.MAX_BYTES:
        raise ml_model.too_large(described.size)
    content = b"".join(source.read(described)) if described.size else b""
    return ml_model.check(content, [file.path for file in files])


def _require_possible(files: Sequence[StoredFile], target: bucket_files.Folder) -> None:
    """Raises InvalidInput for files that no file system can hold: the version could never be loaded."""
    action = "Log the model again with other file names and register a new version"
    for file in files:
        if problem := file_paths.problem(file.path):
            raise InvalidInput(
                f"The model's file {file.path[:200]!r} cannot be stored: its path {problem}", action=action
            )
        if len(target.key(file.path).encode()) > file_paths.MAX_KEY_BYTES:
            raise InvalidInput(f"The path of the model's file {file.path[:200]!r} is too long", action=action)
    if found := file_paths.conflict(file.path for file in files):
        raise InvalidInput(
            f"The model cannot be stored: {found[0]!r} is a file, and {found[1]!r} needs a folder of that name",
            action=action,
        )


def _copy(context: StepContext) -> Mapping[str, Any]:
    source, archive = _source(context), _archive(context)
    files = _files(context)
    with room.storing(context.service, archive):
        how, sums = source.copy(
            files, archive.below(FILES), advance=Advancing(context, files), check=context.check_cancelled
        )
    context.log(f"{how} to {archive.uri}")
    return {"sums": sums}


def _remove_copies(context: StepContext) -> None:
    try:
        archives.delete_archive(_archive(context), stored=_files(context) if "files" in context.state else ())
    except (NotPermitted, WrongState, Missing) as error:
        context.log(f"The copied files could not be removed: {error.detail}", "warning")


def _verify(context: StepContext) -> None:
    archive = _archive(context)
    files = _files(context)
    stored = bucket_files.files_there(
        archive.below(FILES), [file.path for file in files], check=context.check_cancelled
    )
    if {file.path: file.size for file in stored} != {file.path: file.size for file in files}:
        raise WrongState("The stored files differ from the listed ones", action="Retry the workflow")
    _require_listed(archive.below(FILES), files)
    entries = archives.hash_files(
        stored, archive.below(FILES), advance=Advancing(context, files), check=context.check_cancelled
    )
    sizes, sums = {file.path: file.size for file in files}, context.state.get("sums", {})
    for entry in entries:
        if entry.size != sizes[entry.path] or sums.get(entry.path, entry.sha256) != entry.sha256:
            # A damaged original is the reason to report.
            sources.require_sums(_source(context), {each.path: each.sha256 for each in entries})
            raise WrongState(f"{entry.path} was not stored as it was sent", action="Retry the workflow")
    arguments = context.arguments
    manifest = Manifest(
        model_id=arguments["model_id"],
        model_name=arguments["model"],
        version_id=arguments["version_id"],
        version=arguments["version"],
        source=arguments["source"],
        created_at=datetime.now(UTC),
        files=entries,
    )
    wanted = {tag["key"]: tag["value"] for tag in _version(context).get("tags", ())}.get(mlflow_tags.CONTENT)
    if wanted not in (None, manifest.content):
        raise WrongState("The stored files differ from the announced ones", action="Send them again: `models import`")
    with room.storing(context.service, archive):
        archives.write_manifest(archive, manifest)
    context.log(f"{counted(len(entries), 'file')} read back, SHA-256 in {archive.uri}{archives.MANIFEST}")


def _require_listed(place: bucket_files.Folder, files: Sequence[StoredFile]) -> None:
    """Loading a version lists its files. Raises PartUnavailable while a list does not show all of them."""
    if not isinstance(place, bucket_files.StoreFolder):
        return
    if not {file.path for file in bucket_files.list_files(place)}.issuperset(file.path for file in files):
        raise PartUnavailable(f"The list of {place.uri} does not show all that was stored", action="Wait for the store")


def _sign(context: StepContext) -> None:
    """Signs the hashes of the manifest; no file is read again."""
    with room.storing(context.service, _archive(context)):
        made = signing.sign(context.service, _signed(context), context.principal.name)
    context.log(f"signed with the key {made.key_name} ({made.fingerprint[:16]})")


def _unsign(context: StepContext) -> None:
    with context.service.database.session() as session:
        signing.forget(session, context.arguments["model_id"], context.arguments["version_id"])


def _signed(context: StepContext) -> signing.Version:
    registry = enter_registry(context.service, context.arguments["registry_id"])
    return signing.version_at(context.service, registry, context.arguments["model_id"], context.arguments["version_id"])


def _scan(context: StepContext) -> None:
    """A version is registered with any result; rules decide on its use."""
    arguments = context.arguments
    registry = enter_registry(context.service, arguments["registry_id"])
    made = scans.scan_archive(
        context.service, registry, arguments["model_id"], arguments["version_id"], context.check_cancelled
    )
    context.log(f"Scan: {made.verdict}{': ' if made.reason else ''}{made.reason}")


def _describe(context: StepContext) -> None:
    """A version is registered also where its components cannot be determined."""
    service, arguments = context.service, context.arguments
    registry = enter_registry(service, arguments["registry_id"])
    model = models.fetch_model(service, registry, arguments["model_id"])
    if model is None:
        raise Missing(f"There is no model {arguments['model']} any more")
    try:
        made = boms.describe(service, registry, versions.find_version(service, registry, model, arguments["version"]))
    except PartUnavailable:
        raise
    except ServiceError as error:
        context.log(f"It has no bill of materials: {error.detail}", "warning")
    else:
        context.log(f"Bill of materials: {counted(len(made.document['components']), 'component')}")


def _publish(context: StepContext) -> None:
    archive = _archive(context)
    manifest = archives.read_manifest(archive)
    stored = versions.StoredArchive(
        uri=archive.uri,
        bytes=manifest.total_bytes,
        files=len(manifest.files),
        verified_at=manifest.created_at,
        not_servable=context.state.get("not_servable", ""),
    )
    _set_tags(context, {mlflow_tags.ARCHIVE: versions.archive_tag(stored), mlflow_tags.CONTENT: manifest.content})
    _set_status(context, VersionStatus.READY, "")


def _fail(context: StepContext) -> None:
    reason = context.error or "Its archive could not be stored"
    _give_up(context, f"{reason.rstrip('.')}. {context.action}" if context.action else reason)


def _cancel(context: StepContext) -> None:
    _give_up(context, "Storing its archive was cancelled; retry the workflow, or register it again")


def _give_up(context: StepContext, reason: str) -> None:
    with suppress(Missing):  # the version was deleted
        if not _is_stored(context):
            _set_status(context, VersionStatus.FAILED_REGISTRATION, reason)


def _is_stored(context: StepContext) -> bool:
    """Whether the version is READY now: a workflow may have been started from an older state. Raises Missing."""
    return bool(_version(context).get("status") == VersionStatus.READY)


def _version(context: StepContext) -> Mapping[str, Any]:
    """MLflow's `ModelVersion`. Raises Missing."""
    service, arguments = context.service, context.arguments
    registry = enter_registry(service, arguments["registry_id"], any_status=True)
    answer = service.mlflow.call(
        "GET",
        "model-versions/get",
        workspace=registry.workspace,
        params={"name": arguments["model"], "version": arguments["version"]},
    )
    found: Mapping[str, Any] = answer["model_version"]
    return found


def _files(context: StepContext) -> list[StoredFile]:
    return [StoredFile(path, size, etag) for path, size, etag in context.state["files"]]


def _archive(context: StepContext) -> bucket_files.Folder:
    """The place of the archive: in the environment's own store, or one that the registry's own key reaches."""
    registry = enter_registry(context.service, context.arguments["registry_id"])
    return registry.archive(context.service, context.arguments["model_id"], context.arguments["version_id"])


def _source(context: StepContext) -> sources.Source:
    registry = enter_registry(context.service, context.arguments["registry_id"])
    return sources.find(context.service, registry, context.arguments["source"])


def _set_status(context: StepContext, status: VersionStatus, message: str) -> None:
    service, arguments = context.service, context.arguments
    registry = enter_registry(service, arguments["registry_id"], any_status=True)
    service.mlflow.set_version_status(
        registry.workspace, arguments["model"], arguments["version"], status.value, message
    )
    model_changes.changed(service, registry.id)


def _set_tags(context: StepContext, tags: Mapping[str, str]) -> None:
    service, arguments = context.service, context.arguments
    registry = enter_registry(service, arguments["registry_id"], any_status=True)
    service.mlflow.set_version_tags(registry.workspace, arguments["model"], arguments["version"], tags)


# -- promoting -------------------------------------------------------------------------------------------


def _permit_promotion(service: Service, principal: Principal, work: Work) -> None:
    """Permits people who may promote into the registry now, and read the version. Raises Missing, NotPermitted."""
    enter_registry(service, work.arguments["registry_id"], reader=principal, action=Action.MODEL_PROMOTE)
    source = promoted_sources.parse(work.arguments["source"])
    if source is not None:
        origin = enter_registry(service, source.registry_id, reader=principal)
        models.find_model(service, principal, origin, source.model_id)


def _carry(context: StepContext) -> None:
    """Copies signatures, card and other files next to the manifest of the original. Idempotent."""
    source, archive = _source(context), _archive(context)
    if not isinstance(source, sources.Promoted):
        return
    beside = archives.beside(source.archive)
    with room.storing(context.service, archive):
        sums = copying.pass_files(beside, source.archive, archive, check=context.check_cancelled)
    kept = 0
    for mark in signing.all_of(context.service, source.version):
        content = signing.read(context.service, source.version, mark.fingerprint)
        signing.keep(context.service, _signed(context), content, mark.key_name, mark.creator)
        kept += 1
    arguments = context.arguments
    copy = (arguments["registry_id"], arguments["model_id"], arguments["version_id"])
    with context.service.database.session() as session:
        carded = cards.carry(session, source.version.version_id, *copy)
    if carded:
        context.log("its model card comes too")
    context.log(f"{counted(kept, 'signature')} kept, {counted(len(sums), 'other file')} copied")


def _tell(context: StepContext) -> None:
    """Records the copy with events in both registries, once."""
    service, arguments = context.service, context.arguments
    place = enter_registry(service, arguments["registry_id"])
    model = models.fetch_model(service, place, arguments["model"])
    if model is None:
        return  # deleted just now
    with suppress(Missing):
        made = versions.find_version(service, place, model, arguments["version"])
        if made.origin.promoted_from is not None:
            copies.note(service, context.principal, place, made, made.origin.promoted_from)


ARCHIVE = Definition(
    kind=WorkflowKind.ARCHIVE,
    permit=_permit,
    steps=(
        Step("list files", _list),
        Step("copy", _copy, undo=_remove_copies),
        Step("verify", _verify),
        Step("sign", _sign, undo=_unsign),
        Step("scan", _scan),
        Step("describe", _describe),
        Step("publish", _publish),
    ),
    on_start=_begin,
    on_failure=_fail,
    on_cancel=_cancel,
)

PROMOTE = replace(
    ARCHIVE,
    kind=WorkflowKind.PROMOTE,
    # The events of every other registered version; *version.promote* reports the copy in both registries.
    action="version.archive",
    permit=_permit_promotion,
    steps=(
        Step("list files", _list),
        Step("copy", _copy, undo=_remove_copies),
        Step("verify", _verify),
        Step("sign", _sign, undo=_unsign),
        Step("carry", _carry),
        Step("scan", _scan),
        Step("describe", _describe),
        Step("publish", _publish, cancellable=False),
        Step("tell", _tell, cancellable=False),
    ),
)
