"""Where people work: environments, workspaces, projects and registries, and groups of people and machine users."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from registry_tui.service.database.tables.base import Base, new_id, now


class GroupRow(Base):
    __tablename__ = "groups"

    name: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(default=new_id, unique=True)
    description: Mapped[str] = mapped_column(default="")
    creator: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)

    members: Mapped[list[GroupMemberRow]] = relationship(
        cascade="all, delete-orphan", order_by="GroupMemberRow.user", passive_deletes=True
    )
    #: The registries whose machine users are in the group.
    machine_members: Mapped[list[RegistryRow]] = relationship(
        secondary="group_machine_users", order_by="RegistryRow.machine_user_workload_name", viewonly=True
    )


class GroupMemberRow(Base):
    __tablename__ = "group_members"

    group: Mapped[str] = mapped_column(ForeignKey("groups.name", ondelete="CASCADE"), primary_key=True)
    user: Mapped[str] = mapped_column(ForeignKey("users.name", ondelete="CASCADE"), primary_key=True, index=True)


class GroupMachineUserRow(Base):
    """A registry's machine user in a group."""

    __tablename__ = "group_machine_users"

    group: Mapped[str] = mapped_column(ForeignKey("groups.name", ondelete="CASCADE"), primary_key=True)
    registry_id: Mapped[str] = mapped_column(
        ForeignKey("registries.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class EnvironmentRow(Base):
    """`state` is `creating`, `ready` or `deleting`; only `ready` environments are shown. See `ProjectRow`."""

    __tablename__ = "environments"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    crn: Mapped[str]
    cloud: Mapped[str]
    raz_enabled: Mapped[bool]
    bucket: Mapped[str] = mapped_column(unique=True)
    creator: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)
    state: Mapped[str] = mapped_column(default="creating")
    #: The name of its Ranger service, unique in the installation; None without RAZ.
    ranger_service: Mapped[str | None] = mapped_column(unique=True)
    #: Counts the changes of its Ranger policies.
    policy_version: Mapped[int] = mapped_column(default=0)

    workspaces: Mapped[list[WorkspaceRow]] = relationship(back_populates="environment")
    model_registry: Mapped[RegistryRow | None] = relationship(back_populates="environment", uselist=False)
    store: Mapped[EnvironmentStoreRow | None] = relationship(cascade="all, delete-orphan")
    #: Where its deployments run; None for this machine.
    backend: Mapped[EnvironmentBackendRow | None] = relationship(cascade="all, delete-orphan")


class EnvironmentBackendRow(Base):
    """The cluster that an environment's deployments run in, with its token, which is shown to nobody."""

    __tablename__ = "environment_backends"

    environment_id: Mapped[str] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"), primary_key=True)
    #: `schemas.places.BackendKind`.
    kind: Mapped[str]
    address: Mapped[str]
    token: Mapped[str]
    http_port: Mapped[int]
    #: Of the cluster's software, when it was last tried.
    version: Mapped[str]


class EnvironmentStoreRow(Base):
    """An environment's own store, with its credentials, which are shown to nobody."""

    __tablename__ = "environment_stores"

    environment_id: Mapped[str] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"), primary_key=True)
    #: `own_stores.place_of`: two environments never have the same.
    place: Mapped[str] = mapped_column(unique=True)
    #: `schemas.stores.Store`.
    store: Mapped[dict[str, Any]]
    #: `schemas.stores.StoreProblem`s that are not fatal.
    notes: Mapped[list[Any]] = mapped_column(JSON)
    #: Counts changes, so that an open connection is replaced.
    generation: Mapped[int] = mapped_column(default=1)
    #: Whether the artifacts of new projects are stored there too.
    artifacts: Mapped[bool] = mapped_column(default=True)


class EnvironmentRoleRow(Base):
    """A role in an environment, of a user or of a group: one of both is set."""

    __tablename__ = "environment_roles"
    __table_args__ = (
        UniqueConstraint("environment_id", "user", "role"),
        UniqueConstraint("environment_id", "group", "role"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    environment_id: Mapped[str] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"), index=True)
    user: Mapped[str | None] = mapped_column(ForeignKey("users.name", ondelete="CASCADE"), index=True)
    group: Mapped[str | None] = mapped_column(ForeignKey("groups.name", ondelete="CASCADE"), index=True)
    #: A `schemas.people.EnvironmentRole`.
    role: Mapped[str]


class WorkspaceRow(Base):
    __tablename__ = "workspaces"
    __table_args__ = (UniqueConstraint("environment_id", "name"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    crn: Mapped[str]
    environment_id: Mapped[str] = mapped_column(ForeignKey("environments.id"))
    creator: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)

    environment: Mapped[EnvironmentRow] = relationship(back_populates="workspaces")
    projects: Mapped[list[ProjectRow]] = relationship(back_populates="workspace")
    sync: Mapped[WorkspaceSyncRow | None] = relationship(
        back_populates="workspace", uselist=False, cascade="all, delete-orphan"
    )
    attached_server: Mapped[AttachedServerRow | None] = relationship(
        back_populates="workspace", uselist=False, cascade="all, delete-orphan"
    )


class AttachedServerRow(Base):
    """A stock MLflow server elsewhere, which a workspace shows: its project has no experiments of its own."""

    __tablename__ = "attached_servers"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"), unique=True)
    url: Mapped[str]
    #: With a user the secret is the user's password, without one it is a token.
    user: Mapped[str | None]
    secret: Mapped[str | None]
    #: PEM certificates to trust instead of the usual authorities.
    certificate: Mapped[str | None]
    proxy: Mapped[str | None]
    #: A profile and a region of AWS, with which requests are signed.
    aws_profile: Mapped[str | None]
    aws_region: Mapped[str | None]
    #: Where the REST API begins below the URL.
    api: Mapped[str] = mapped_column(default="api")
    #: Whether MLflow's server here has the project's workspace: models were registered from there.
    registers: Mapped[bool] = mapped_column(default=False)
    #: MLflow's version there when it was attached or changed; empty when the server does not report it.
    version: Mapped[str] = mapped_column(default="")
    #: Its URL when it was attached, if changed since: imports are identified by this one.
    first_url: Mapped[str] = mapped_column(default="")
    creator: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)

    workspace: Mapped[WorkspaceRow] = relationship(back_populates="attached_server")


class ProjectRow(Base):
    """`state` is `creating`, `ready` or `deleting`; only `ready` projects are shown.

    A row in another state is work that failed or was interrupted between two systems: the service removes it.
    """

    __tablename__ = "projects"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    mlflow_workspace: Mapped[str] = mapped_column(unique=True)
    creator: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)
    state: Mapped[str] = mapped_column(default="creating")
    #: The folder of its artifacts in the environment's own store; empty for the embedded one.
    artifacts_folder: Mapped[str] = mapped_column(default="")

    workspace: Mapped[WorkspaceRow] = relationship(back_populates="projects")
    collaborators: Mapped[list[CollaboratorRow]] = relationship(
        back_populates="project", cascade="all, delete-orphan", order_by="CollaboratorRow.user"
    )


class CollaboratorRow(Base):
    __tablename__ = "collaborators"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    user: Mapped[str] = mapped_column(ForeignKey("users.name"), primary_key=True)
    #: A `schemas.places.Role`.
    role: Mapped[str]

    project: Mapped[ProjectRow] = relationship(back_populates="collaborators")


class RegistryRow(Base):
    """A Model Registry; at most one an environment."""

    __tablename__ = "registries"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    crn: Mapped[str]
    #: A `schemas.registries.RegistryStatus`.
    status: Mapped[str]
    environment_id: Mapped[str] = mapped_column(ForeignKey("environments.id"), unique=True)
    location: Mapped[str]
    owner: Mapped[str]
    creator: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    prefix: Mapped[str] = mapped_column(default="modelregistry")
    mlflow_workspace: Mapped[str] = mapped_column(unique=True)
    existing_nfs: Mapped[str | None]
    nfs_protocol_version: Mapped[str | None]
    version: Mapped[str]
    machine_user_crn: Mapped[str | None]
    machine_user_workload_name: Mapped[str | None]
    machine_user_access_key_id: Mapped[str | None]
    machine_user_secret_access_key: Mapped[str | None]
    #: A `schemas.registries.StorageAccess`: whether the machine user has its policy now …
    storage_access: Mapped[str] = mapped_column(default="not granted")
    #: … and whether it should have it once provisioned.
    grant_storage_access: Mapped[bool] = mapped_column(default=True)
    workflow_id: Mapped[str | None]
    #: When its versions from before bills of materials had got theirs; None until then.
    described_at: Mapped[datetime | None] = mapped_column(default=now)

    environment: Mapped[EnvironmentRow] = relationship(back_populates="model_registry")
    #: The groups that its machine user is in.
    groups: Mapped[list[GroupRow]] = relationship(secondary="group_machine_users", viewonly=True)
    workspace_syncs: Mapped[list[WorkspaceSyncRow]] = relationship(
        back_populates="model_registry", cascade="all, delete-orphan"
    )
    #: How it reaches the environment's own store, where that is not with the environment's credentials alone.
    store_key: Mapped[RegistryStoreKeyRow | None] = relationship(cascade="all, delete-orphan")


class RegistryStoreKeyRow(Base):
    """How a registry reaches its environment's own store."""

    __tablename__ = "registry_store_keys"

    registry_id: Mapped[str] = mapped_column(ForeignKey("registries.id", ondelete="CASCADE"), primary_key=True)
    #: A `schemas.registries.StoreKeyWay`.
    way: Mapped[str]
    #: The user that was made there, or that the bucket's policy lets in; empty without one.
    user: Mapped[str] = mapped_column(default="")
    #: Whether it may be used. False: the registry has no access, also where the key would still work.
    granted: Mapped[bool] = mapped_column(default=False)
    #: Encrypted JSON of the store's kind of credentials; empty without a key.
    credentials: Mapped[str] = mapped_column(default="")
    #: The kind of key, in words, without anything secret.
    held: Mapped[str] = mapped_column(default="")
    #: The reason why the registry has no key of its own, and the action to take.
    note: Mapped[str] = mapped_column(default="")
    action: Mapped[str] = mapped_column(default="")
    #: Counts changes, so that an open connection is replaced.
    generation: Mapped[int] = mapped_column(default=1)


class WorkspaceSyncRow(Base):
    """The result of synchronizing a workspace with its environment's registry."""

    __tablename__ = "workspace_syncs"

    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True)
    registry_id: Mapped[str] = mapped_column(ForeignKey("registries.id", ondelete="CASCADE"), index=True)
    #: A `schemas.registries.SynchronizeState` of the last attempt.
    state: Mapped[str]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    error: Mapped[str | None]
    #: The last success. Set: the workspace's projects know the registry, also while a later attempt runs or failed.
    synchronized_at: Mapped[datetime | None]

    workspace: Mapped[WorkspaceRow] = relationship(back_populates="sync")
    model_registry: Mapped[RegistryRow] = relationship(back_populates="workspace_syncs")
