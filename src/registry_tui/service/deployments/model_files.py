"""A version's files on this machine's disk for a replica: a checked copy of its archive, and parts that are read."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select

from registry_tui.contracts import archive_check as local
from registry_tui.contracts import file_paths
from registry_tui.contracts.counts import counted
from registry_tui.schemas.deployments import RevisionState
from registry_tui.schemas.models import Manifest
from registry_tui.service.core import ml_model
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import RevisionRow
from registry_tui.service.errors import InvalidInput, PartUnavailable, WrongState
from registry_tui.service.stores import archives, bucket_files
from registry_tui.service.stores.bucket_files import Folder, StoredFile

#: Bytes that stay free on the disk when an archive is fetched.
SPARE_BYTES = 256 * 1024 * 1024


def folder_of(service: Service, model_id: str, version_id: str) -> Path:
    """The folder of a version's copy, whether it exists or not."""
    return service.home.serving / "models" / model_id / version_id


def signature_file(service: Service, version_id: str) -> Path:
    """Where replicas read the signature of a version, whether its files are here or in an NFS."""
    return service.home.serving / "signatures" / f"{version_id}.sig"


def fetch(
    service: Service,
    place: Folder,
    target: Path,
    *,
    progress: Callable[[Manifest], None] = lambda _manifest: None,
    advance: bucket_files.Advance = lambda _bytes, _files: None,
    check: bucket_files.Check = lambda: None,
) -> Path:
    """A version's archive on disk, every file with the hash of its manifest; fetched unless an intact copy is there.

    Raises ServiceError: WrongState when the stored archive differs from its manifest.
    """
    if target.exists():
        try:
            local.check(target)
            return target
        except (local.ArchiveDamaged, OSError):
            shutil.rmtree(target, ignore_errors=True)
    manifest = archives.read_manifest(place)
    require_possible(manifest)
    progress(manifest)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A folder of its own: another deployment may fetch the same version at the same time.
    partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        free = shutil.disk_usage(partial).free
        if manifest.total_bytes + SPARE_BYTES > free:
            raise WrongState(
                f"The archive has {counted(manifest.total_bytes, 'byte')}, and {free:,} are free on the disk",
                action="Make room there",
            )
        files = place.below(archives.FILES)
        for entry in manifest.files:
            check()
            _fetch_file(files, entry.path, entry.size, entry.sha256, partial / local.FILES, advance, check)
        (partial / local.MANIFEST).write_text(manifest.model_dump_json(), encoding="utf-8")
        try:
            partial.replace(target)
        except OSError:
            if not target.exists():
                raise
            local.check(target)  # another process was first
    except local.ArchiveDamaged as error:
        raise PartUnavailable(f"The archive at {target} is damaged: {error}", action="It is fetched again") from error
    except OSError as error:
        raise PartUnavailable(
            f"The archive cannot be written to {target}: {error.strerror or error}", action="Free space on the disk"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def require_servable(target: Path) -> None:
    """Raises WrongState when replicas could not load the model of a local copy, before any is started."""
    files = target / local.FILES
    paths = [path.relative_to(files).as_posix() for path in files.rglob("*") if path.is_file()]
    try:
        not_servable = ml_model.check((files / ml_model.MODEL_FILE).read_bytes(), paths)
    except (InvalidInput, OSError) as error:
        raise WrongState(
            error.detail if isinstance(error, InvalidInput) else f"The model's MLmodel file cannot be read: {error}",
            action="Log the model again, and register that as a new version",
        ) from error
    if not_servable:
        raise WrongState(not_servable, action="Deploy a version whose model has a python_function flavor")


def require_possible(manifest: Manifest) -> None:
    """Raises WrongState for a manifest that names files which cannot exist on a disk."""
    action = "Register the model again, as a new version"
    for entry in manifest.files:
        if problem := file_paths.problem(entry.path):
            raise WrongState(f"The archive's manifest names {entry.path[:200]!r}, whose path {problem}", action=action)
    if found := file_paths.conflict(entry.path for entry in manifest.files):
        raise WrongState(f"The archive holds both {found[0]!r} and {found[1]!r}, which no disk can", action=action)


def _fetch_file(
    files: Folder,
    path: str,
    size: int,
    sha256: str,
    folder: Path,
    advance: bucket_files.Advance,
    check: bucket_files.Check,
) -> None:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, written = hashlib.sha256(), 0
    with target.open("wb") as file:
        for piece in bucket_files.read_pieces(StoredFile(path, size, ""), files):
            file.write(piece)
            digest.update(piece)
            written += len(piece)
            advance(len(piece), 0)
            check()
    if written != size or digest.hexdigest() != sha256:
        raise WrongState(
            f"The stored archive is damaged: {path} has other bytes than its manifest says",
            action="Verify it with `registry-tui models verify`, and register the model again, as a new version",
        )
    advance(0, 1)


def drop_unused(service: Service) -> set[str]:
    """Removes local copies of archives that no revision serves or is about to serve; returns the versions that are."""
    # Listed first: folders fetched meanwhile by a rollout stay, since its revision is in the database before.
    folders = list((service.home.serving / "models").glob("*/*"))
    signed = list((service.home.serving / "signatures").glob("*.sig"))
    live = (RevisionState.ACTIVE.value, RevisionState.PENDING.value)
    with service.database.reading() as session:
        used = set(session.scalars(select(RevisionRow.version_id).where(RevisionRow.state.in_(live))))
    for folder in folders:
        if not folder.name.startswith(".") and folder.name not in used:
            shutil.rmtree(folder, ignore_errors=True)
    for file in signed:
        if file.stem not in used:
            file.unlink(missing_ok=True)
    return used
