"""Registered models, their versions and archives."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from registry_tui.schemas.base import ChangeSchema, RequestSchema, Schema
from registry_tui.schemas.scans import Verdict as ScanVerdictName
from registry_tui.schemas.signatures import SignatureMark
from registry_tui.schemas.stages import Stage, StageStatus


class Visibility(StrEnum):
    PRIVATE = "private"
    PUBLIC = "public"


class VersionStatus(StrEnum):
    """MLflow's model version states."""

    PENDING_REGISTRATION = "PENDING_REGISTRATION"
    READY = "READY"
    FAILED_REGISTRATION = "FAILED_REGISTRATION"


class Tag(Schema):
    key: str = Field(min_length=1, max_length=250)
    value: str = Field(default="", max_length=100_000)


class PromotedFrom(Schema):
    """The version of which another one is a copy, as it was named then."""

    registry_id: str
    registry_name: str
    model_id: str
    model_name: str
    version_id: str
    version: int


class Origin(Schema):
    """The origin of a version. IDs stay after deletion."""

    environment_name: str | None = None
    workspace_name: str | None = None
    project_id: str | None = None
    project_name: str | None = None
    experiment_id: str | None = None
    experiment_name: str | None = None
    run_id: str | None = None
    run_name: str | None = None
    #: Path below the run's artifacts, or the logged model's ID for `models:/m-…` sources.
    artifact_path: str | None = None
    source: str = ""
    #: Only for a copy; the other fields are those of its original.
    promoted_from: PromotedFrom | None = None


class RegisteredModel(Schema):
    id: str
    name: str
    registry_id: str
    description: str
    owner: str
    visibility: Visibility
    #: Name of the workspace that first registered it.
    location: str
    created_at: datetime
    updated_at: datetime
    latest_version: int | None = None
    latest_status: VersionStatus | None = None
    #: Alias to version number.
    aliases: dict[str, int] = {}
    tags: dict[str, str] = {}
    #: People who registered versions of it.
    contributors: list[str] = []


class ModelVersion(Schema):
    id: str
    model_id: str
    model_name: str
    registry_id: str
    version: int
    status: VersionStatus
    #: Why it is not READY, or the archive's progress while pending.
    status_message: str
    notes: str
    creator: str
    created_at: datetime
    updated_at: datetime
    aliases: list[str] = []
    tags: dict[str, str] = {}
    origin: Origin
    #: The archive in the object store, `s3://bucket/modelregistry/<modelId>/<versionId>/`.
    archive_uri: str | None = None
    archive_bytes: int | None = None
    archive_files: int | None = None
    #: When the archive was last read and compared with its manifest, and the damage found then.
    verified_at: datetime | None = None
    archive_damage: str | None = None
    #: Whether it can be deployed once it is READY, and the reason if not: no `python_function` flavor, for instance.
    servable: bool = True
    not_servable_reason: str | None = None
    workflow_id: str | None = None
    #: Its signatures, the registry's own key first; not verified (`get_signatures` does that).
    signatures: list[SignatureMark] = []
    stage: Stage = Stage.NONE
    #: None while the version has neither a stage nor a requested approval.
    stage_status: StageStatus | None = None
    stage_description: str = ""
    #: The verdict of its newest scan.
    scan: ScanVerdictName = ScanVerdictName.NOT_SCANNED


class RegisterModel(RequestSchema):
    """Registers a model that a run logged: `run_id` with `artifact_path`, `logged_model_id`, or `source`."""

    name: str = Field(max_length=10_000)
    run_id: str | None = None
    #: Path of the model's folder below the run's artifacts, empty for their root; or the name it was logged with.
    artifact_path: str | None = None
    logged_model_id: str | None = None
    #: `runs:/RUN/PATH`, `runs:/RUN` for the root of the run's artifacts, or `models:/MODEL_ID`.
    source: str | None = Field(default=None, max_length=2000)
    #: Of the model; only used when it is new, unless it is not empty.
    description: str = Field(default="", max_length=100_000)
    notes: str = Field(default="", max_length=100_000)
    tags: list[Tag] = []
    #: The required `Manifest.content` of the files; others are not stored. None: any files.
    content: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    #: None: private for a new model, unchanged for a known one.
    visibility: Visibility | None = None
    #: Of the new version, if the caller may move it there; None: no stage yet.
    stage: Stage | None = None


class ModelUpdate(ChangeSchema):
    """Fields that are None stay unchanged."""

    description: str | None = Field(default=None, max_length=100_000)
    visibility: Visibility | None = None
    owner: str | None = None
    set_tags: list[Tag] = []
    delete_tags: list[str] = []


class VersionUpdate(ChangeSchema):
    notes: str | None = Field(default=None, max_length=100_000)
    set_tags: list[Tag] = []
    delete_tags: list[str] = []


class ManifestEntry(Schema):
    """One file of an archive: its path, size in bytes, and SHA-256 as 64 hexadecimal digits."""

    path: str
    size: int
    sha256: str


class Manifest(Schema):
    """The content of an archive; stored next to it as `manifest.json`."""

    format: int = 1
    model_id: str
    model_name: str
    version_id: str
    version: int
    source: str
    created_at: datetime
    files: list[ManifestEntry]

    @property
    def total_bytes(self) -> int:
        return sum(entry.size for entry in self.files)

    @property
    def content(self) -> str:
        """A SHA-256 of all paths, sizes and sums: equal for archives of the same files, also under other names."""
        return self.content_of(self.files)

    @staticmethod
    def content_of(entries: Iterable[ManifestEntry]) -> str:
        """Like `content`, for files without a manifest."""
        lines = sorted(f"{entry.sha256} {entry.size} {entry.path}\n" for entry in entries)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


class ArchiveCheck(Schema):
    """The result of reading a whole archive again."""

    checked_at: datetime
    files: int
    bytes: int
    missing: list[str] = []
    changed: list[str] = []
    unexpected: list[str] = []
    #: The problem with its signatures; empty if they are valid, missing, or of keys no longer trusted.
    signature_problem: str = ""

    @property
    def sound(self) -> bool:
        return not (self.missing or self.changed or self.unexpected or self.signature_problem)

    @property
    def damage(self) -> str:
        """The damage, with the names of the first files; empty for a sound archive."""
        kinds = (("missing", self.missing), ("changed", self.changed), ("unexpected", self.unexpected))
        found = [
            f"{len(paths)} {kind}: {', '.join(paths[:3])}{', …' if len(paths) > 3 else ''}"
            for kind, paths in kinds
            if paths
        ]
        return "; ".join([*found, *([self.signature_problem] if self.signature_problem else [])])
