"""The service's tables (SQLAlchemy 2, typed). Times are timezone-aware and in UTC; IDs are UUIDs as text."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, ForeignKey, Index, LargeBinary, MetaData, Text, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator


def now() -> datetime:
    """The present time in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """A new random ID."""
    return str(uuid.uuid4())


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time: refuses naive values, gives UTC back. SQLite keeps no zone, so it gets UTC without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can name them too."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON, str: Text}


class InstallationRow(Base):
    """Facts about the installation as a whole: `account_id`, `bootstrap` and the like."""

    __tablename__ = "installation"

    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class UserRow(Base):
    __tablename__ = "users"

    name: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(default=new_id, unique=True)
    crn: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)
    full_name: Mapped[str] = mapped_column(default="")
    email: Mapped[str] = mapped_column(default="")
    #: A `schemas.people.UserState`.
    state: Mapped[str] = mapped_column(default="active")


class UserTokenRow(Base):
    """A person's token for the service; only the SHA-256 of its secret is kept."""

    __tablename__ = "user_tokens"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    sha256: Mapped[str]
    user: Mapped[str] = mapped_column(ForeignKey("users.name", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class UserSubjectRow(Base):
    """The person at the issuer who signed in as a user: names are given again there, a subject is not."""

    __tablename__ = "user_subjects"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    user: Mapped[str] = mapped_column(ForeignKey("users.name", ondelete="CASCADE"), primary_key=True)
    issuer: Mapped[str]
    subject: Mapped[str]


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


class EnvironmentStoreRow(Base):
    """The store that an environment brought along, with how to sign in there, which is shown to nobody."""

    __tablename__ = "environment_stores"

    environment_id: Mapped[str] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"), primary_key=True)
    #: `own_stores.place_of`: two environments never have the same.
    place: Mapped[str] = mapped_column(unique=True)
    #: `schemas.stores.Store`.
    store: Mapped[dict[str, Any]]
    #: `schemas.stores.StoreProblem`s that are worth knowing.
    notes: Mapped[list[Any]] = mapped_column(JSON)
    #: Counts changes, so that an open connection is replaced.
    generation: Mapped[int] = mapped_column(default=1)
    #: Whether the artifacts of projects that are made from now on lie there too.
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


class RangerPolicyRow(Base):
    """A policy of an environment's Ranger service; `document` is a `schemas.ranger.RangerPolicy` in Ranger's words."""

    __tablename__ = "ranger_policies"
    __table_args__ = (UniqueConstraint("environment_id", "name"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    environment_id: Mapped[str] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    document: Mapped[dict[str, Any]]


class RangerRoleRow(Base):
    """A role of Ranger, which policies name; `document` is a `schemas.ranger.RangerRole` in Ranger's words."""

    __tablename__ = "ranger_roles"
    __table_args__ = (UniqueConstraint("name"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    document: Mapped[dict[str, Any]]


class IdBrokerRow(Base):
    """IDBroker's mappings of an environment without RAZ, and how they were synchronized last.

    `document` is a `schemas.idbroker.IdBrokerMappings` without its version, in CDP's words.
    """

    __tablename__ = "idbroker_mappings"

    environment_id: Mapped[str] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"), primary_key=True)
    #: Counts the changes of the mappings.
    version: Mapped[int] = mapped_column(default=0)
    document: Mapped[dict[str, Any]]
    #: The version that the object store enforces, and the mappings of that version.
    synced_version: Mapped[int] = mapped_column(default=0)
    synced_document: Mapped[dict[str, Any] | None]
    #: A `schemas.idbroker.SyncStatus`.
    sync_status: Mapped[str] = mapped_column(default="NEVER_RUN")
    sync_started_at: Mapped[datetime | None]
    sync_ended_at: Mapped[datetime | None]
    sync_error: Mapped[str] = mapped_column(default="")


class RangerSourceRow(Base):
    """The outside Ranger that an environment obeys, and the policies that it gave last, fitted to the environment."""

    __tablename__ = "ranger_sources"

    environment_id: Mapped[str] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"), primary_key=True)
    url: Mapped[str]
    #: The name of the service there.
    service: Mapped[str]
    user: Mapped[str | None]
    password: Mapped[str | None]
    #: Seconds between questions.
    every: Mapped[float]
    #: The version of the policies there.
    policy_version: Mapped[int]
    definition: Mapped[dict[str, Any]]
    #: Policies in Ranger's words.
    policies: Mapped[list[Any]] = mapped_column(JSON)
    #: What differs from there, for people.
    notes: Mapped[list[str]]
    #: When these policies came, and since when and why it gives none.
    fetched_at: Mapped[datetime]
    failing_since: Mapped[datetime | None]
    problem: Mapped[str] = mapped_column(default="")


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
    #: MLflow's version there when it was attached; empty when the server does not say it.
    version: Mapped[str] = mapped_column(default="")
    creator: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)

    workspace: Mapped[WorkspaceRow] = relationship(back_populates="attached_server")


class ProjectRow(Base):
    """`state` is `creating`, `ready` or `deleting`; only `ready` projects are shown.

    A row in another state is work that failed or was cut off between two systems: the service takes it away again.
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
    #: The folder of its artifacts in the environment's own store; empty where they lie in the embedded one.
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

    environment: Mapped[EnvironmentRow] = relationship(back_populates="model_registry")
    #: The groups that its machine user is in.
    groups: Mapped[list[GroupRow]] = relationship(secondary="group_machine_users", viewonly=True)
    workspace_syncs: Mapped[list[WorkspaceSyncRow]] = relationship(
        back_populates="model_registry", cascade="all, delete-orphan"
    )


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


class DeploymentRow(Base):
    """A version served from a project. A registry is not deleted under the deployments of its versions."""

    __tablename__ = "deployments"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    #: No foreign key: deleting a registry by force leaves what runs running.
    registry_id: Mapped[str] = mapped_column(index=True)
    model_id: Mapped[str]
    model_name: Mapped[str]
    #: The version that serves, or is to serve first.
    version: Mapped[int]
    version_id: Mapped[str]
    alias: Mapped[str | None]
    follow_alias: Mapped[bool] = mapped_column(default=False)
    #: Why it cannot serve the version that the alias names now; empty when it does.
    follow_problem: Mapped[str] = mapped_column(default="")
    #: A `schemas.deployments.DeploymentState`, and why.
    state: Mapped[str] = mapped_column(default="pending")
    reason: Mapped[str] = mapped_column(default="")
    #: Number of the revision that serves; 0 before the first one does.
    revision: Mapped[int] = mapped_column(default=0)
    authentication: Mapped[bool] = mapped_column(default=True)
    access_key: Mapped[str] = mapped_column(unique=True)
    port: Mapped[int | None] = mapped_column(unique=True)
    creator: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    workflow_id: Mapped[str | None]

    project: Mapped[ProjectRow] = relationship()
    revisions: Mapped[list[RevisionRow]] = relationship(
        back_populates="deployment", cascade="all, delete-orphan", order_by="RevisionRow.number"
    )


class RevisionRow(Base):
    """One setting of a deployment."""

    __tablename__ = "revisions"
    __table_args__ = (UniqueConstraint("deployment_id", "number"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    deployment_id: Mapped[str] = mapped_column(ForeignKey("deployments.id", ondelete="CASCADE"))
    number: Mapped[int]
    version: Mapped[int]
    version_id: Mapped[str]
    alias: Mapped[str | None]
    follow_alias: Mapped[bool] = mapped_column(default=False)
    replicas: Mapped[int]
    cpu: Mapped[float]
    memory_bytes: Mapped[int] = mapped_column(BigInteger)
    #: [{"name", "value", "secret"}]
    environment: Mapped[list[Any]] = mapped_column(JSON)
    #: A `schemas.deployments.Batching`.
    batching: Mapped[str]
    strict_json: Mapped[bool] = mapped_column(default=False)
    comment: Mapped[str] = mapped_column(default="")
    creator: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)
    #: A `schemas.deployments.RevisionState`.
    state: Mapped[str] = mapped_column(default="pending")
    error: Mapped[str] = mapped_column(default="")
    #: Whether a real call was answered; the first ones decide whether it stays (`first_calls.py`).
    proven: Mapped[bool] = mapped_column(default=False)
    #: Revisions share a generation of replicas when their differences need no restart of replicas.
    generation: Mapped[int]
    #: A `schemas.deployments.BuildState`, the environment that it led to, and its time.
    build: Mapped[str] = mapped_column(default="pending")
    python_environment: Mapped[str] = mapped_column(default="")
    build_seconds: Mapped[float | None]
    workflow_id: Mapped[str | None]

    deployment: Mapped[DeploymentRow] = relationship(back_populates="revisions")


class ApiKeyRow(Base):
    """A person's API key; only the SHA-256 of its secret is kept."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    sha256: Mapped[str]
    user: Mapped[str] = mapped_column(ForeignKey("users.name"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class IdempotencyRow(Base):
    """A mutation that was sent with an `Idempotency-Key`, for a day; see `service/idempotency.py`."""

    __tablename__ = "idempotency"

    #: SHA-256 of person and key.
    id: Mapped[str] = mapped_column(primary_key=True)
    #: SHA-256 of method, address and body.
    digest: Mapped[str]
    person: Mapped[str]
    #: Method and address, for people.
    request: Mapped[str]
    #: What the request made, as `<kind>:<ID>`, from the transaction on that made it.
    made: Mapped[str | None]
    #: Of the answer; None while the request is under way, or when it was cut off.
    status: Mapped[int | None]
    #: The answer's body, encrypted; None when it was too large to keep.
    answer: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)


class WorkflowRow(Base):
    """A durable workflow as people see it; DBOS keeps in its own database which steps are finished."""

    __tablename__ = "workflows"
    __table_args__ = (
        Index(None, "created_at", "id"),
        Index(None, "status"),
        Index(None, "resource_type", "resource_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str]
    status: Mapped[str]
    resource_type: Mapped[str]
    resource_id: Mapped[str]
    resource_name: Mapped[str]
    registry_id: Mapped[str | None]
    #: `type:id` of the resource while the workflow is active, so that the database lets one run at a time.
    lock: Mapped[str | None] = mapped_column(unique=True)
    actor: Mapped[str]
    actor_crn: Mapped[str]
    actor_administrator: Mapped[bool]
    request_id: Mapped[str]
    arguments: Mapped[dict[str, Any]]
    #: What the steps returned, merged in order.
    state: Mapped[dict[str, Any]]
    steps: Mapped[list[str]]
    steps_done: Mapped[int] = mapped_column(default=0)
    step: Mapped[str | None]
    progress: Mapped[dict[str, Any]]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]
    #: The outcome being brought about (`failed`, `cancelled`) while finished steps are undone.
    outcome: Mapped[str | None]
    error: Mapped[str | None]
    action: Mapped[str | None]


class LogLineRow(Base):
    __tablename__ = "log_lines"
    __table_args__ = (
        Index(None, "request_id", "sequence"),
        Index(None, "workflow_id", "sequence"),
        {"sqlite_autoincrement": True},
    )

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    request_id: Mapped[str]
    workflow_id: Mapped[str | None]
    level: Mapped[str] = mapped_column(default="info")
    text: Mapped[str]


class EventRow(Base):
    __tablename__ = "events"
    __table_args__ = (
        Index(None, "created_at"),
        Index(None, "registry_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    actor: Mapped[str]
    actor_crn: Mapped[str]
    action: Mapped[str]
    resource_type: Mapped[str]
    resource_id: Mapped[str]
    resource_name: Mapped[str]
    #: No foreign key: events outlive what they tell of.
    registry_id: Mapped[str | None]
    #: A `schemas.operations.EventOutcome`.
    outcome: Mapped[str]
    request_id: Mapped[str] = mapped_column(index=True)
    workflow_id: Mapped[str | None] = mapped_column(index=True)
    duration_ms: Mapped[int | None]
    detail: Mapped[str] = mapped_column(default="")
