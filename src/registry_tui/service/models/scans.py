"""Scanning a version's archive: the formats in it, and the imports that loading them would do."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from sqlalchemy import delete
from sqlalchemy.orm import Session

from registry_tui.platform.databases import without_nul
from registry_tui.scanning import files as scanner
from registry_tui.scanning.findings import Finding, Grade
from registry_tui.schemas.scans import ScannedFile, ScanVerdict, Verdict, VersionScan
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import VersionScanRow, now
from registry_tui.service.errors import ServiceError
from registry_tui.service.models import registered as models
from registry_tui.service.models import versions
from registry_tui.service.models.examining import examined
from registry_tui.service.registries.place import RegistryPlace, enter_registry
from registry_tui.service.stores import archives, bucket_files
from registry_tui.service.stores.bucket_files import Folder, StoredFile

_logger = logging.getLogger(__name__)

#: Files that are kept of a scan, the worst first; imports that are kept of each.
_MAX_FILES = 1000
_MAX_IMPORTS = 100
#: Bytes of the head that is read of a file that is too large.
_HEAD = 1 << 20
#: Seconds for all files of an archive; files that are left then are *unknown*.
MAX_SECONDS = 600.0
_VERDICTS = {
    Grade.SAFE_FORMAT: Verdict.SAFE_FORMAT,
    Grade.KNOWN_IMPORTS: Verdict.KNOWN_IMPORTS,
    Grade.RUNS_CODE: Verdict.RUNS_CODE,
    Grade.UNKNOWN: Verdict.UNKNOWN,
}


def verdict(session: Session, version_id: str) -> ScanVerdict:
    """The verdict of a version's newest scan; *not scanned* without one."""
    row = session.get(VersionScanRow, version_id)
    return _never(version_id) if row is None else _to_schema(row)


def get_scan(service: Service, principal: Principal, registry: str, model: str, version: int) -> VersionScan:
    """The newest scan of a version; *not scanned* without one. Raises Missing, NotPermitted."""
    place = enter_registry(service, registry, reader=principal)
    found = models.find_model(service, principal, place, model)
    known = versions.find_version(service, place, found, version)
    with service.database.reading() as session:
        row = session.get(VersionScanRow, known.id)
        return _never(known.id) if row is None else _to_schema(row)


def scan_version(service: Service, principal: Principal, registry: str, model: str, version: int) -> VersionScan:
    """Scans a version's archive now, for its owner. Raises Missing, NotPermitted, WrongState until it is stored."""
    work = {"action": "version.scan", "doing": "scan its versions"}
    with examined(service, principal, registry, model, version, **work) as (place, known, event):
        made = scan_archive(service, place, known.model_id, known.id)
        event.detail = f"{made.verdict}{': ' if made.reason else ''}{made.reason}"[:500]
    return made


def scan_archive(
    service: Service, place: RegistryPlace, model_id: str, version_id: str, check: Callable[[], None] = lambda: None
) -> VersionScan:
    """Scans a stored archive and keeps the result; one that could not be read, for any reason, is *not scanned*.

    Raises the errors of `check`, called between files.
    """
    stopped = False

    def checked() -> None:
        nonlocal stopped
        stopped = True
        check()
        stopped = False

    try:
        archive = place.archive(service, model_id, version_id)
        found = _scan(archive, checked)
        worst = max(found, key=lambda each: each.grade, default=Finding("", "empty", Grade.SAFE_FORMAT))
        outcome, reason = _VERDICTS[worst.grade], f"{worst.path}: {worst.reason}" if worst.reason else ""
    except Exception as error:
        if stopped:
            raise
        # Surprises in an archive must not keep a version from being registered.
        unexpected = not isinstance(error, ServiceError)
        _logger.warning("Version %s was not scanned: %s", version_id, error, exc_info=unexpected)
        found, outcome = [], Verdict.NOT_SCANNED
        reason = error.detail if isinstance(error, ServiceError) else f"the scan failed ({type(error).__name__})"
    found.sort(key=lambda each: (-each.grade, each.path))
    kept = [
        ScannedFile(
            path=without_nul(each.path[:1000]),
            format=each.format,
            verdict=_VERDICTS[each.grade],
            reason=without_nul(each.reason[:1000]),
            imports=[without_nul(name) for name in each.imports[:_MAX_IMPORTS]],
        )
        for each in found[:_MAX_FILES]
    ]
    row = VersionScanRow(
        version_id=version_id,
        registry_id=place.id,
        model_id=model_id,
        verdict=outcome.value,
        reason=without_nul(reason[:500]),
        scanner_version=scanner.VERSION,
        files=[each.model_dump(mode="json") for each in kept],
        total_files=len(found),
        scanned_at=now(),
    )
    with service.database.session() as session:
        row = session.merge(row)
        return _to_schema(row)


def forget(service: Service, model_id: str, version_id: str | None) -> None:
    """Deletes the scans of a version, or of a whole model, that was deleted."""
    chosen = VersionScanRow.model_id == model_id if version_id is None else VersionScanRow.version_id == version_id
    with service.database.session() as session:
        session.execute(delete(VersionScanRow).where(chosen))


def _scan(archive: Folder, check: Callable[[], None]) -> list[Finding]:
    place = archive.below(archives.FILES)
    listed = archives.read_manifest(archive).files
    found: list[Finding] = []
    until = time.monotonic() + MAX_SECONDS
    for file in bucket_files.files_there(place, [entry.path for entry in listed], check=check):
        check()
        if time.monotonic() > until:
            reason = f"the scan of the files before took more than {MAX_SECONDS:.0f} seconds"
            found.append(Finding(file.path, "not read", Grade.UNKNOWN, reason))
            continue
        whole = file.size <= scanner.MAX_FILE
        content = _read(place, file, file.size if whole else _HEAD)
        found += scanner.scan(file.path, content, whole=whole)
        del content
    return found


def _read(place: Folder, file: StoredFile, size: int) -> bytes:
    return b"".join(bucket_files.read_pieces(file, place, part=(0, size))) if size else b""


def _never(version_id: str) -> VersionScan:
    return VersionScan(version_id=version_id, verdict=Verdict.NOT_SCANNED, reason="nobody has asked for a scan yet")


def _to_schema(row: VersionScanRow) -> VersionScan:
    return VersionScan(
        version_id=row.version_id,
        verdict=Verdict(row.verdict),
        reason=row.reason,
        scanner_version=row.scanner_version,
        scanned_at=row.scanned_at,
        files=[ScannedFile.model_validate(each) for each in row.files],
        total_files=row.total_files,
    )
