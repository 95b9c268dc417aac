"""Sizes of a Model Registry's archives in the object store, and cleaning up those without a version."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from registry_tui.schemas.base import RequestSchema, Schema

#: Archives, and versions, that one clean-up takes.
MAX_CLEAN_UP = 1000


class ArchiveState(StrEnum):
    """How an archive and its version belong together."""

    STORED = "stored"
    #: Its version waits for it, or was published while it was measured.
    STORING = "storing"
    #: The version is READY, but its archive has no manifest.
    INCOMPLETE = "incomplete"
    #: The version is READY, but its archive is missing.
    MISSING = "missing"
    #: The version could not be stored.
    FAILED = "failed"
    #: The version is gone, but a workflow or a deployment still uses the archive.
    IN_USE = "in use"
    #: The version is gone, e.g. deleted by the SDK.
    ORPHANED = "orphaned"


class StorageUsage(Schema):
    """Totals as they were measured at `measured_at`; None when they never were."""

    registry_id: str
    measured_at: datetime | None = None
    #: How long measuring took, in seconds.
    took: float | None = None
    #: Whether it is being measured again just now, and how many objects have been seen.
    measuring: bool = False
    seen: int = 0
    #: Why measuring failed the last time, when it did.
    error: str | None = None
    models: int = 0
    archives: int = 0
    objects: int = 0
    bytes: int = 0
    orphaned: int = 0
    orphaned_bytes: int = 0
    #: Versions whose archive is missing, or was never stored.
    without_archive: int = 0
    #: Objects below the registry's prefix that are part of no archive; nothing touches them.
    other_objects: int = 0
    other_bytes: int = 0


class ArchiveUsage(Schema):
    """One version's archive. For an orphaned one, model and version come from its manifest, where that was read."""

    model_id: str
    version_id: str
    model_name: str | None
    version: int | None
    state: ArchiveState
    objects: int
    bytes: int
    modified_at: datetime | None

    @property
    def id(self) -> str:
        """How a clean-up names it."""
        return f"{self.model_id}/{self.version_id}"


class ModelUsage(Schema):
    """All archives of one model."""

    model_id: str
    model_name: str | None
    versions: int
    objects: int
    bytes: int
    orphaned: int


class StorageCleanUp(RequestSchema):
    """The archives to remove, by `<model ID>/<version ID>`. Each is checked again before, and kept when it is used."""

    #: Archives without a version.
    archives: list[str] = Field(default=[], max_length=MAX_CLEAN_UP)
    #: Versions without an archive, which go from their model.
    versions: list[str] = Field(default=[], max_length=MAX_CLEAN_UP)
