"""Unpacked model files in a registry's existing NFS: replicas of all hosts read them, so that one host fetches each.

Where the NFS cannot be used, a version is fetched to this machine (`model_files.py`), and the reason is kept with its
deployment. A file in the home names each version that replicas here read from an NFS, and each removal that is still to
be done there.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

from registry_tui.contracts import archive_check as local
from registry_tui.contracts.counts import counted
from registry_tui.platform.secrets import write_private
from registry_tui.schemas.models import Manifest, ManifestEntry
from registry_tui.schemas.registries import NfsStatus
from registry_tui.service.adapters.nfs_folder import STALL_SECONDS, NfsFault, NfsFolder
from registry_tui.service.core import nfs
from registry_tui.service.core.context import Service
from registry_tui.service.core.deadlines import TooLate, within
from registry_tui.service.database.tables import RegistryRow
from registry_tui.service.deployments import model_files
from registry_tui.service.errors import PartUnavailable
from registry_tui.service.stores import archives, bucket_files
from registry_tui.service.stores.bucket_files import Folder, StoredFile

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_EXAMPLE = "serving_input_example.json"


@dataclass(frozen=True)
class Placed:
    """Where the files of a version are read from. `said`: for people; empty without an NFS."""

    folder: Path
    said: str = ""
    shared: bool = False
    #: The SHA-256 of its manifest there, when it is shared.
    manifest_sha256: str = ""


@dataclass(frozen=True)
class Watching:
    """Callbacks for the progress and cancellation of placing files."""

    log: Callable[[str], None]
    progress: Callable[[Manifest], None]
    advance: bucket_files.Advance
    check: bucket_files.Check


def has_example(service: Service, model_id: str, version_id: str) -> bool:
    """Whether a version that is served has an input example; contacts no NFS."""
    with suppress(OSError, ValueError, KeyError):
        return bool(json.loads(_note_file(service, version_id).read_text(encoding="utf-8"))["example"])
    return (model_files.folder_of(service, model_id, version_id) / local.FILES / _EXAMPLE).is_file()


class NfsSilent(PartUnavailable):
    """The server of an NFS does not respond while a model is read from it."""


def why_away(service: Service, registry: RegistryRow | None) -> str:
    """Why a registry's NFS cannot be used now; empty if it can."""
    if registry is None or not registry.existing_nfs:
        return ""
    found = nfs.usable_folder(service, registry)
    return nfs.why_not(found) if isinstance(found, NfsStatus) else ""


def noted(service: Service) -> set[str]:
    """The versions that replicas of this machine may read from an NFS."""
    return {file.stem for file in _notes(service).glob("*.json")}


def place(
    service: Service,
    registry: RegistryRow,
    archive: Folder,
    model_id: str,
    version_id: str,
    watching: Watching,
    without: str = "",
) -> Placed:
    """Puts a version's files where replicas read them: into the registry's NFS, else onto this machine.

    `without`: why the NFS is left out. Every file has the sum of its manifest then. Raises ServiceError.
    """
    if not registry.existing_nfs:
        return Placed(_fetch(service, archive, model_id, version_id, watching))
    manifest = archives.read_manifest(archive)
    model_files.require_possible(manifest)
    why = without
    found = None if without else nfs.usable_folder(service, registry)
    if isinstance(found, NfsStatus):
        why = nfs.why_not(found)
    elif found is not None:
        try:
            folder, sum_ = _share(found, registry.id, archive, manifest, model_id, version_id, watching)
        except NfsFault as fault:
            why = _explained(registry, found, fault)
        else:
            _note(service, version_id, manifest)
            return Placed(folder, f"read from {registry.existing_nfs}, mounted at {found.path}", True, sum_)
    watching.log(f"fetching to this machine instead: {why}")
    fetched = _fetch(service, archive, model_id, version_id, watching)
    return Placed(fetched, f"fetched to this machine: {why}")


def drop_unused(service: Service) -> None:
    """Drops local files and notes of versions that are not served here any more.

    Their files in the NFS stay for other hosts.
    """
    # Listed before the used versions are read: notes made meanwhile by a rollout stay.
    files = list(_notes(service).glob("*.json"))
    used = model_files.drop_unused(service)
    for file in files:
        if file.stem not in used:
            file.unlink(missing_ok=True)


def reading(work: Callable[[], Answer], *, shared: bool) -> Answer:
    """Reads small files of a model; from an NFS in a separate thread, with a timeout.

    Raises NfsSilent, and the work's errors.
    """
    if not shared:
        return work()
    try:
        return within(STALL_SECONDS, work, "nfs-reading")
    except TooLate as error:
        raise NfsSilent("The NFS with the model files does not answer", action="Mend it, or unmount it") from error


# -- removing ------------------------------------------------------------------------------------------


def remove(
    service: Service,
    registry: RegistryRow | None,
    below: Sequence[str] = (),
    log: Callable[[str], None] = logger.info,
) -> None:
    """Removes a registry's unpacked files from its NFS, or those of a model, or of a version.

    Files that cannot be removed now are removed later by `remove_pending`, and logged.
    """
    if registry is None or not registry.existing_nfs:
        return
    folder = nfs.pending_removals(service)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = {
        "id": registry.id,
        "name": registry.name,
        "existing_nfs": registry.existing_nfs,
        "nfs_protocol_version": registry.nfs_protocol_version,
        "path": [nfs.registry_folder(registry.id), *below],
    }
    # Noted first: after a kill the rest is still done. A retried step notes it once.
    content = json.dumps(wanted, sort_keys=True)
    file = folder / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.json"
    write_private(file, content)
    kept = _removed(service, wanted)
    if kept is None:
        file.unlink(missing_ok=True)
        log(f"unpacked files removed from {registry.existing_nfs}")
    else:
        log(f"unpacked files stay in {registry.existing_nfs} until they can be removed: {kept.why}")


def remove_pending(service: Service) -> None:
    """Removes files that could not be removed earlier; tries an unusable server only once.

    The reason for a remaining file is logged when it changes.
    """
    away: set[tuple[str, str]] = set()
    reported = service.kept.of(_Reported).texts
    for file in sorted(nfs.pending_removals(service).glob("*.json")):
        wanted = _wanted(file)
        if wanted is None or (source := (wanted["existing_nfs"], wanted["nfs_protocol_version"])) in away:
            continue
        kept = _removed(service, wanted)
        if kept is None:
            file.unlink(missing_ok=True)
            reported.pop(file.name, None)
            continue
        if kept.away:
            away.add(source)
        if reported.get(file.name) != kept.why:
            reported[file.name] = kept.why
            logger.warning("unpacked files of %s stay in %s: %s", wanted["name"], wanted["existing_nfs"], kept.why)


class _Reported:
    """Why removals are still to be done, as last logged."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}


@dataclass(frozen=True)
class _Kept:
    """Why files stay for now. `away`: their NFS cannot be used, so that nothing else can be removed there either."""

    why: str
    away: bool


def _wanted(file: Path) -> dict[str, Any] | None:
    """A removal that is noted; None when it is done meanwhile, or damaged."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {
            **{name: found[name] for name in ("id", "name", "existing_nfs", "nfs_protocol_version")},
            "path": [str(part) for part in found["path"]],
        }
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("%s is damaged and is left out: %s", file, error)
        file.unlink(missing_ok=True)
        return None


def _removed(service: Service, wanted: Mapping[str, Any]) -> _Kept | None:
    """Does a removal; returns why not, if it fails."""
    found = nfs.usable_folder(service, SimpleNamespace(**wanted))
    if isinstance(found, NfsStatus):
        return _Kept(nfs.why_not(found), away=True)
    try:
        found.remove(wanted["path"])
    except NfsFault as fault:
        return _Kept(str(fault), away=fault.kind == "silent")
    return None


# -- underneath ------------------------------------------------------------------------------------------


def _fetch(service: Service, archive: Folder, model_id: str, version_id: str, watching: Watching) -> Path:
    return model_files.fetch(
        service,
        archive,
        model_files.folder_of(service, model_id, version_id),
        progress=watching.progress,
        advance=watching.advance,
        check=watching.check,
    )


def _share(
    found: NfsFolder,
    registry_id: str,
    archive: Folder,
    manifest: Manifest,
    model_id: str,
    version_id: str,
    watching: Watching,
) -> tuple[Path, str]:
    """Makes sure that the NFS holds a version; returns its folder there, and the SHA-256 of its manifest.

    Raises NfsFault, ServiceError.
    """
    entries = sorted(manifest.files, key=lambda entry: entry.path)
    files = [{"path": each.path, "size": each.size, "sha256": each.sha256} for each in entries]
    # The same bytes on every host, independent of the manifest's other fields.
    content_of_manifest = json.dumps({"files": files})
    sum_ = hashlib.sha256(content_of_manifest.encode()).hexdigest()
    path = [nfs.registry_folder(registry_id), model_id, f"{version_id}-{sum_[:32]}"]
    folder = Path(found.path, *path)
    try:
        if found.holds(path, files, sum_, check=watching.check):
            watching.log(f"{folder} holds its files already, every file with the sum of its manifest")
            return folder, sum_
    except NfsFault as fault:
        if fault.kind != "damaged":
            raise
        watching.log(f"{folder} is unpacked again: {fault}")
    watching.progress(manifest)
    needed = manifest.total_bytes + model_files.SPARE_BYTES
    content = _content(archive.below(archives.FILES), entries, watching)
    first = found.unpack(path, files, content_of_manifest, content, needed=needed, check=watching.check)
    watching.log(f"unpacked to {folder}" if first else f"another host unpacked it to {folder} meanwhile")
    return folder, sum_


def _content(files: Folder, entries: Sequence[ManifestEntry], watching: Watching) -> Iterator[bytes]:
    """All bytes of an archive in the order of these entries of its manifest."""
    for entry in entries:
        for piece in bucket_files.read_pieces(StoredFile(entry.path, entry.size, ""), files):
            yield piece
            watching.advance(len(piece), 0)
        watching.advance(0, 1)


def _explained(registry: RegistryRow, found: NfsFolder, fault: NfsFault) -> str:
    where = f"{registry.existing_nfs}, mounted at {found.path}"
    match fault.kind:
        case "silent":
            return f"the server of {where}, does not answer"
        case "full":
            return f"{where}, has no room; free {counted(model_files.SPARE_BYTES, 'byte')} more than the model has"
        case "damaged":
            return f"the files that were unpacked to {where}, are damaged: {fault}"
        case _:
            return f"files cannot be unpacked to {where}: {fault}"


def _notes(service: Service) -> Path:
    return service.home.serving / "nfs-versions"


def _note_file(service: Service, version_id: str) -> Path:
    return _notes(service) / f"{version_id}.json"


def _note(service: Service, version_id: str, manifest: Manifest) -> None:
    _notes(service).mkdir(mode=0o700, parents=True, exist_ok=True)
    example = any(entry.path == _EXAMPLE for entry in manifest.files)
    write_private(_note_file(service, version_id), json.dumps({"example": example}))
