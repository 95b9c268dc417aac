"""Model Registries: the environment's shared store of registered models."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from registry_tui.schemas.base import RequestSchema, Schema
from registry_tui.schemas.places import NAME_MAX, NAME_MIN, NAME_PATTERN, Cloud
from registry_tui.schemas.registry_status import NfsState as NfsState
from registry_tui.schemas.registry_status import RegistryStatus as RegistryStatus
from registry_tui.schemas.stores import EnvironmentStore, Store

#: `host:/path`, where the host is a name, an IPv4 address, or an IPv6 address in brackets, and the path does not climb.
NFS_PATTERN = (
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\]):/"
    r"(?!(?:[^\x00-\x1f\x7f]*/)?\.{1,2}(?:/|$))[^\x00-\x1f\x7f]*"
)


class StorageAccess(StrEnum):
    """Whether the machine user may use its prefix on the object store."""

    GRANTED = "granted"
    NOT_GRANTED = "not granted"
    #: It has no grant in the embedded store, and its archives lie where the environment's credentials count.
    NOT_NEEDED = "not needed"


class NfsStatus(Schema):
    """The state of a registry's existing NFS on the service's machine, where replicas read model files from it."""

    state: NfsState
    #: The problem, as a sentence; empty without one.
    detail: str = ""
    #: Where it is mounted; empty while it is not.
    folder: str = ""
    #: The command with which the machine's administrator mounts it as the registry needs it; empty if that would not
    #: help.
    mount_command: str = ""
    #: When it was last written and read there; None: not since the service started.
    tried_at: datetime | None = None

    @property
    def mounted(self) -> bool:
        """Whether replicas can read from there, as far as is known."""
        return self.state is NfsState.MOUNTED


class StorageAccessTried(Schema):
    """Whether the machine user has access, and when that was tried last with its own key; and the same of the NFS."""

    access: StorageAccess
    #: None: not since the service started.
    tried_at: datetime | None = None
    #: Why the last check failed; `access` is the result before that.
    problem: str | None = None
    #: The existing NFS; None for a registry without one.
    nfs: NfsStatus | None = None


class StoreKeyWay(StrEnum):
    """How a registry reaches the store that its environment brought along."""

    #: With the environment's credentials: the registry has no key of its own.
    ENVIRONMENT = "environment"
    #: As a user of the store, which granting makes there and revoking deletes.
    USER = "user"
    #: With a key that an administrator gave.
    GIVEN = "given"
    #: Azure: with a SAS of the container, which granting has the service derive from the environment's account key.
    SAS = "sas"


class StoreKey(Schema):
    """A registry's access to the store that its environment brought along."""

    way: StoreKeyWay = StoreKeyWay.ENVIRONMENT
    #: The user created there, or the one admitted by the bucket's policy.
    user: str = ""
    #: The kind of key, in words, without secrets.
    held: str = ""
    #: Whether the registry may use it; the environment's credentials need no grant.
    granted: bool = True
    #: Why the registry has no key of its own, and the remedy.
    note: str = ""
    action: str = ""


class StoreKeyGive(RequestSchema):
    """A key for one registry: the environment's own store, with the credentials that the registry uses there."""

    store: Store = Field(discriminator="kind")
    #: S3: the ARN to admit to the registry's folder by the bucket's policy; empty where the key can do that.
    principal: str = Field(default="", max_length=300, pattern=r"^(arn:[a-z-]+:(iam|sts)::[0-9]{12}:[\w+=,.@/-]+)?$")


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
    #: When that was last checked with the machine user's own key; None: not since the service started.
    storage_access_tried_at: datetime | None = None
    #: Why the last check failed; `storage_access` is the result before that.
    storage_access_problem: str | None = None
    bucket: str
    endpoint: str
    prefix: str
    #: The address of its archives, ending with `/`, and the endpoint there, when its environment brought a store along.
    archives_uri: str = ""
    archives_endpoint: str = ""
    #: The access to that address, in words.
    archives_access: str = ""
    #: That store: how the service signs in there, and the result of the last check.
    store: EnvironmentStore | None = None
    #: How the registry reaches it; None without such a store.
    store_key: StoreKey | None = None
    #: The MLflow workspace that holds its registered models.
    mlflow_workspace: str
    existing_nfs: str | None = None
    nfs_protocol_version: str | None = None
    #: How that NFS is on the service's machine; None for a registry without one.
    nfs: NfsStatus | None = None
    version: str
    #: The workflow that is changing it now, if one is.
    workflow_id: str | None = None
    #: None where it was not counted: in lists, and while MLflow does not respond.
    model_count: int | None = None
    workspaces: list[WorkspaceSync] = []

    @property
    def grant_counts(self) -> bool:
        """Whether granting and revoking change how it reaches its archives: not by the environment's credentials."""
        return self.store_key is None or self.store_key.way is not StoreKeyWay.ENVIRONMENT

    @property
    def archives(self) -> str:
        """Where its archives lie; ends with `/`."""
        return self.archives_uri or f"s3://{self.bucket}/{self.prefix}/"

    @property
    def archives_at(self) -> str:
        """The endpoint there; empty for a cloud's own, and for a directory."""
        return self.archives_endpoint if self.archives_uri else self.endpoint


class RegistryCreate(RequestSchema):
    """AWS needs an environment only; Azure also an existing NFS directory and its protocol version."""

    #: Name or ID.
    environment: str
    #: Default: `registry-<environment>`.
    name: str | None = Field(default=None, pattern=NAME_PATTERN, min_length=NAME_MIN, max_length=NAME_MAX + 9)
    existing_nfs: str | None = Field(default=None, max_length=1024, description="Azure only: host:/path")
    nfs_protocol_version: Literal["3", "4.1"] | None = None
    #: True: does the same as `PUT …/storage-access`. Without it, the machine user has no access to its storage yet.
    grant_storage_access: bool = False


class RegistryDelete(RequestSchema):
    """`force` continues after errors and over deployed versions; `delete_archives` also removes stored archives."""

    force: bool = False
    delete_archives: bool = False
