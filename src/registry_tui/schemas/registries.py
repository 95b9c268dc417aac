"""Model Registries: the environment's shared store of registered models."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from registry_tui.schemas.base import RequestSchema, Schema
from registry_tui.schemas.places import NAME_MAX, NAME_MIN, NAME_PATTERN, Cloud


class RegistryStatus(StrEnum):
    """The documented states of a Model Registry."""

    PROVISION_STARTED = "provision:started"
    PROVISION_FAILED = "provision:failed"
    INSTALLATION_STARTED = "installation:started"
    INSTALLATION_FINISHED = "installation:finished"
    INSTALLATION_FAILED = "installation:failed"
    MODIFY_STARTED = "modify:started"
    MODIFY_FINISHED = "modify:finished"
    MODIFY_FAILED = "modify:failed"
    DEPROVISION_STARTED = "deprovision:started"
    DEPROVISION_FAILED = "deprovision:failed"

    @property
    def label(self) -> str:
        """The word people read: Available, Provisioning, Deleting, …"""
        return _LABELS[self]

    @property
    def live(self) -> bool:
        """Whether the registry answers: it was installed and is not being taken away."""
        return self in (
            RegistryStatus.INSTALLATION_FINISHED,
            RegistryStatus.MODIFY_STARTED,
            RegistryStatus.MODIFY_FINISHED,
            RegistryStatus.MODIFY_FAILED,
        )


_LABELS = {
    RegistryStatus.PROVISION_STARTED: "Provisioning",
    RegistryStatus.PROVISION_FAILED: "Provisioning failed",
    RegistryStatus.INSTALLATION_STARTED: "Installing",
    RegistryStatus.INSTALLATION_FINISHED: "Available",
    RegistryStatus.INSTALLATION_FAILED: "Installation failed",
    RegistryStatus.MODIFY_STARTED: "Updating",
    RegistryStatus.MODIFY_FINISHED: "Available",
    RegistryStatus.MODIFY_FAILED: "Update failed",
    RegistryStatus.DEPROVISION_STARTED: "Deleting",
    RegistryStatus.DEPROVISION_FAILED: "Deletion failed",
}


class StorageAccess(StrEnum):
    """Whether the machine user may use its prefix on the object store."""

    GRANTED = "granted"
    NOT_GRANTED = "not granted"


class SynchronizeState(StrEnum):
    NEVER_RUN = "never run"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class WorkspaceSync(Schema):
    """One workspace of the registry's environment: whether its projects know the registry."""

    workspace_id: str
    workspace_name: str
    state: SynchronizeState
    project_count: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None


class ModelRegistry(Schema):
    """One Model Registry with every field of its details page."""

    id: str
    name: str
    crn: str
    status: RegistryStatus
    environment_id: str
    environment_name: str
    environment_crn: str
    cloud: Cloud
    raz_enabled: bool
    #: The workspace it was created from, or "control plane".
    location: str
    owner: str
    creator: str
    created_at: datetime
    updated_at: datetime
    machine_user_crn: str | None
    machine_user_workload_name: str | None
    storage_access: StorageAccess
    bucket: str
    endpoint: str
    prefix: str
    #: The MLflow workspace that holds its registered models.
    mlflow_workspace: str
    existing_nfs: str | None = None
    nfs_protocol_version: str | None = None
    version: str
    #: The workflow that is changing it now, if one is.
    workflow_id: str | None = None
    #: None where it was not counted: in lists, and while MLflow does not answer.
    model_count: int | None = None
    workspaces: list[WorkspaceSync] = []


class RegistryCreate(RequestSchema):
    """AWS needs an environment only; Azure also an existing NFS directory and its protocol version."""

    #: Name or ID.
    environment: str
    #: Default: `registry-<environment>`.
    name: str | None = Field(default=None, pattern=NAME_PATTERN, min_length=NAME_MIN, max_length=NAME_MAX + 9)
    existing_nfs: str | None = Field(default=None, max_length=1024, description="Azure only: host:/path")
    nfs_protocol_version: Literal["3", "4.1"] | None = None
    #: False leaves the machine user without a policy until `PUT …/storage-access`.
    grant_storage_access: bool = True


class RegistryDelete(RequestSchema):
    """`force` goes on after errors and over deployed versions; `delete_archives` also removes stored archives."""

    force: bool = False
    delete_archives: bool = False
