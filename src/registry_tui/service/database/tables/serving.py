"""Model Deployments, their revisions and the keys of callers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from registry_tui.service.database.tables.base import Base, new_id, now
from registry_tui.service.database.tables.places import ProjectRow


class DeploymentRow(Base):
    """A version served from a project. A registry is not deleted under the deployments of its versions."""

    __tablename__ = "deployments"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    #: No foreign key: deleting a registry by force leaves its deployments running.
    registry_id: Mapped[str] = mapped_column(index=True)
    model_id: Mapped[str]
    model_name: Mapped[str]
    #: The version that serves, or is to serve first.
    version: Mapped[int]
    version_id: Mapped[str]
    alias: Mapped[str | None]
    follow_alias: Mapped[bool] = mapped_column(default=False)
    #: How versions that the alias moves to are rolled out, a `schemas.canaries.Rollout`; None: all at once.
    follow_rollout: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
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
    #: `schemas.request_log.RequestLogRules`; empty before anybody chose any.
    request_log: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, server_default="{}")
    #: `rules`, a `schemas.drift.DriftRules`, and the columns that `drifted` when they were looked at last.
    drift: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, server_default="{}")

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
    #: With autoscaling the least.
    replicas: Mapped[int]
    #: A `schemas.scaling.Autoscaling`.
    autoscaling: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    gpus: Mapped[int] = mapped_column(default=0)
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


class ServedRow(Base):
    """A period in which a deployment served a version, and its deployer: kept with all names when these are deleted."""

    __tablename__ = "served_periods"
    __table_args__ = (Index(None, "deployment_id", "asked_at"), Index(None, "deployment_name"))

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    #: No foreign keys: it outlives all of these.
    deployment_id: Mapped[str]
    deployment_name: Mapped[str]
    project_id: Mapped[str]
    project_name: Mapped[str]
    registry_id: Mapped[str]
    model_name: Mapped[str]
    version: Mapped[int]
    revision: Mapped[int]
    alias: Mapped[str | None]
    #: The name of the person who deployed it; it stays when that person is deleted.
    let_by: Mapped[str]
    comment: Mapped[str] = mapped_column(default="")
    #: When the rollout was requested, and when callers began and ceased to reach it.
    asked_at: Mapped[datetime] = mapped_column(default=now)
    began_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    #: The reason of its end, and the person behind it.
    end: Mapped[str] = mapped_column(default="")
    ended_by: Mapped[str] = mapped_column(default="")
    #: When and by whom the deployment was deleted.
    deleted_at: Mapped[datetime | None]
    deleted_by: Mapped[str] = mapped_column(default="")


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
    #: `schemas.deployments.KeyLimits`, and the person who set them if not the owner.
    limits: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, server_default="{}")
    limits_by: Mapped[str] = mapped_column(default="", server_default="")
