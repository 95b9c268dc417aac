"""Results of scanning a version's archive."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from registry_tui.schemas.base import Schema


class Verdict(StrEnum):
    """How much is proven about loading a model, from the most to nothing. None of them proves that it is harmless."""

    SAFE_FORMAT = "safe format"
    KNOWN_IMPORTS = "known imports"
    RUNS_CODE = "runs code"
    UNKNOWN = "unknown"
    NOT_SCANNED = "not scanned"


class ScannedFile(Schema):
    """A file, or a file packed into one (`model.zip!a/b`)."""

    path: str
    format: str
    verdict: Verdict
    reason: str = ""
    #: The imports of loading it, as `module.name`.
    imports: list[str] = []


class ScanVerdict(Schema):
    """The verdict about a version; the worst of its files."""

    verdict: Verdict
    reason: str = ""
    scanner_version: int | None = None
    scanned_at: datetime | None = None


class VersionScan(ScanVerdict):
    """A scan with its findings, for the first thousand files, the worst first."""

    version_id: str
    files: list[ScannedFile] = []
    #: Files, and files packed into them.
    total_files: int = 0
