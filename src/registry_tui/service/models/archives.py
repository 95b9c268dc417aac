"""A version's archive: its manifest, its files, and their verification."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from registry_tui.schemas import mlflow_tags
from registry_tui.schemas.models import ArchiveCheck, Manifest, ModelVersion, VersionStatus
from registry_tui.schemas.operations import Accepted, WorkflowKind
from registry_tui.schemas.tracking import Artifact
from registry_tui.service.core import events
from registry_tui.service.core.artifact_places import embedded_bucket
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.store_keys import claimed_with_key
from registry_tui.service.errors import NotPermitted, WrongState
from registry_tui.service.models import registered as models
from registry_tui.service.models import versions
from registry_tui.service.registries.place import RegistryPlace, enter_registry
from registry_tui.service.signing import archives as signing
from registry_tui.service.stores import archives, bucket_files, content
from registry_tui.service.stores.bucket_files import Folder, StoredFile, StoreFolder
from registry_tui.service.tracking import artifact_uploads

#: Characters kept of the description of a damaged archive.
_MAX_DAMAGE = 1000


def manifest(service: Service, principal: Principal, registry: str, model: str, version: int) -> Manifest:
    """A version's manifest. Raises Missing, NotPermitted, WrongState until it is stored, PartUnavailable."""
    return archives.read_manifest(_stored_archive(service, principal, registry, model, version))


def verify_archive(service: Service, principal: Principal, registry: str, model: str, version: int) -> ArchiveCheck:
    """Reads a version's archive again and compares it with its manifest; records the result as an event.

    Raises Missing, NotPermitted, WrongState until it is stored, PartUnavailable.
    """
    place = enter_registry(service, registry, reader=principal)
    with events.recording(
        service, principal, "version.verify", Resource("version", f"{model}/{version}", f"{model} v{version}", place.id)
    ) as event:
        found = models.find_model(service, principal, place, model)
        known = versions.find_version(service, place, found, version)
        event.resource = versions.resource_of(place, known)
        _archive_of(service, place, known)
        check = check_stored(service, signing.version_at(service, place, known.model_id, known.id))
        event.detail = check.damage or "sound"
        note_check(service, place, found.name, version, check)
    return check


def check_stored(
    service: Service,
    version: signing.Version,
    *,
    progress: Callable[[Sequence[StoredFile]], bucket_files.Advance] = lambda _files: lambda _bytes, _count: None,
    check: bucket_files.Check = lambda: None,
) -> ArchiveCheck:
    """Reads a whole archive, and compares it with its manifest and that with its signatures. Raises ServiceError."""
    found = archives.check_archive(version.archive, progress=progress, check=check)
    return found.model_copy(update={"signature_problem": signing.damage(service, version)})


def begin_verification(
    service: Service, principal: Principal, registry: str, model: str, version: int
) -> Accepted[ModelVersion]:
    """As `verify_archive`, as a workflow that reports progress and fails when the archive differs from its manifest.

    Raises Missing, WrongState until it is stored and while something else works on the version, PartUnavailable.
    """
    place = enter_registry(service, registry, reader=principal)
    found = models.find_model(service, principal, place, model)
    known = versions.find_version(service, place, found, version)
    _archive_of(service, place, known)
    workflow = service.workflows.start(
        principal,
        WorkflowKind.VERIFY,
        resource=versions.resource_of(place, known),
        arguments={
            "registry_id": place.id,
            "model": known.model_name,
            "model_id": known.model_id,
            "version": known.version,
            "version_id": known.id,
        },
    )
    return Accepted(resource=known, workflow=workflow)


def note_check(service: Service, place: RegistryPlace, model: str, version: int, check: ArchiveCheck) -> None:
    """Stores the time and result of a verification in the version's tags. Raises Missing, PartUnavailable."""
    answer = service.mlflow.call(
        "GET", "model-versions/get", workspace=place.workspace, params={"name": model, "version": str(version)}
    )
    tags = {tag["key"]: tag.get("value", "") for tag in answer["model_version"].get("tags", ())}
    known = versions.archive_facts(tags.get(mlflow_tags.ARCHIVE))
    if known is not None:
        noted = known.model_copy(update={"verified_at": check.checked_at, "damage": check.damage[:_MAX_DAMAGE]})
        service.mlflow.set_version_tags(
            place.workspace, model, version, {mlflow_tags.ARCHIVE: versions.archive_tag(noted)}
        )


def open_archive_file(
    service: Service,
    principal: Principal,
    registry: str,
    model: str,
    version: int,
    path: str,
    range_header: str | None = None,
) -> content.Content:
    """A file of a version's archive, or the bytes that an HTTP `Range` header names.

    Raises Missing, NotPermitted, InvalidInput, WrongState until it is stored, RangeNotSatisfiable, PartUnavailable.
    """
    clean = content.clean_path(path)
    archive = _stored_archive(service, principal, registry, model, version)
    return content.open_file(archive.below(archives.FILES), clean, range_header)


def entries_for_mlflow(service: Service, principal: Principal, registry: str, path: str) -> list[Artifact]:
    """The entries of a folder of archives that MLflow's server cannot reach. Raises Missing, NotPermitted."""
    return content.entries_of(_for_mlflow(service, principal, registry, content.clean_path(path)), "")


def file_for_mlflow(service: Service, principal: Principal, registry: str, path: str) -> content.Content:
    """A file of archives that MLflow's server cannot reach. Raises Missing, NotPermitted, InvalidInput."""
    folder, _, name = content.clean_path(path).rpartition("/")
    return content.open_file(_for_mlflow(service, principal, registry, folder), name)


def address_for_mlflow(
    service: Service, principal: Principal, registry: str, path: str, seconds: int, *, elsewhere: bool
) -> tuple[str, int] | None:
    """A signed address of an archive's file and its size; None if the store cannot sign one. Raises Missing."""
    if not principal.administrator:
        raise NotPermitted("Only MLflow's server asks for archives by their ID")
    place = enter_registry(service, registry)
    store = claimed_with_key(service, place.environment_id) or embedded_bucket(service, place.bucket)
    return artifact_uploads.address_of(StoreFolder(store, f"{place.prefix}/"), path, seconds, elsewhere=elsewhere)


def _for_mlflow(service: Service, principal: Principal, registry: str, path: str) -> Folder:
    """A folder below a model's or a version's archive, named by their IDs.

    MLflow's server has asked before whether the person may see the model; it acts as the installation's owner.
    """
    if not principal.administrator:
        raise NotPermitted("Only MLflow's server asks for archives by their ID")
    model_id, _, below = path.partition("/")
    archive = enter_registry(service, registry).archive(service, model_id, looked=True)
    return archive.below(below) if below else archive


def _stored_archive(service: Service, principal: Principal, registry: str, model: str, version: int) -> Folder:
    place = enter_registry(service, registry, reader=principal)
    found = models.find_model(service, principal, place, model)
    return _archive_of(service, place, versions.find_version(service, place, found, version))


def _archive_of(service: Service, place: RegistryPlace, version: ModelVersion) -> Folder:
    if version.status is not VersionStatus.READY:
        raise WrongState(
            f"{version.model_name} v{version.version} has no archive: {version.status_message or version.status}",
            action="Wait until it is READY" if version.status is VersionStatus.PENDING_REGISTRATION else None,
        )
    return place.archive(service, version.model_id, version.id)
