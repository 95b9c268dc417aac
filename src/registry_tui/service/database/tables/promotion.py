"""Stages of versions, approvals, and the rules of registries about them.

Versions live in MLflow's database, so rows name them by ID. People are kept by name: they stay named when they leave.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from registry_tui.service.database.tables.base import Base, new_id, now


class PromotionRulesRow(Base):
    __tablename__ = "promotion_rules"

    registry_id: Mapped[str] = mapped_column(ForeignKey("registries.id", ondelete="CASCADE"), primary_key=True)
    #: `schemas.promotion.PromotionRules`.
    rules: Mapped[dict[str, Any]]


class StageChangeRow(Base):
    """See `schemas.promotion.StageEntry`."""

    __tablename__ = "stage_changes"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    registry_id: Mapped[str] = mapped_column(ForeignKey("registries.id", ondelete="CASCADE"), index=True)
    model_id: Mapped[str] = mapped_column(index=True)
    version_id: Mapped[str] = mapped_column(index=True)
    from_stage: Mapped[str]
    to_stage: Mapped[str]
    status: Mapped[str]
    comment: Mapped[str] = mapped_column(default="")
    user: Mapped[str]
    at: Mapped[datetime] = mapped_column(default=now)


class ApprovalRow(Base):
    """See `schemas.promotion.Approval`."""

    __tablename__ = "approvals"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    registry_id: Mapped[str] = mapped_column(ForeignKey("registries.id", ondelete="CASCADE"), index=True)
    #: The registry where it is decided: the target of the promotion. None: its own.
    target_id: Mapped[str | None]
    model_id: Mapped[str] = mapped_column(index=True)
    model_name: Mapped[str]
    version_id: Mapped[str] = mapped_column(index=True)
    version: Mapped[int]
    purpose: Mapped[str]
    #: A `schemas.promotion.ApprovalState`.
    state: Mapped[str] = mapped_column(default="pending", index=True)
    asked_by: Mapped[str]
    #: Distinguishes people who had the same name one after the other.
    asked_by_crn: Mapped[str]
    asked_at: Mapped[datetime] = mapped_column(default=now)
    question: Mapped[str] = mapped_column(default="")
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    answer: Mapped[str] = mapped_column(default="")


class VersionCopyRow(Base):
    """A promoted copy: version `version_id` of a registry holds the files of `source_version_id` of another.

    The row is deleted with the copy. Its original may be deleted, and stays named.
    """

    __tablename__ = "version_copies"

    version_id: Mapped[str] = mapped_column(primary_key=True)
    source_version_id: Mapped[str] = mapped_column(primary_key=True, index=True)
    registry_id: Mapped[str] = mapped_column(ForeignKey("registries.id", ondelete="CASCADE"))
    model_id: Mapped[str] = mapped_column(index=True)
    model_name: Mapped[str]
    version: Mapped[int]
    source_registry_id: Mapped[str]
    source_registry_name: Mapped[str]
    source_model_id: Mapped[str] = mapped_column(index=True)
    source_model_name: Mapped[str]
    source_version: Mapped[int]
    actor: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)
