"""Canaries: how a revision is tried on callers' requests, and how far that is."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from registry_tui.service.database.tables.base import Base, new_id, now


class CanaryRow(Base):
    """A trial of a revision. One that begins again after a retry is another row."""

    __tablename__ = "canaries"
    __table_args__ = (Index(None, "deployment_id", "created_at"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    deployment_id: Mapped[str] = mapped_column(ForeignKey("deployments.id", ondelete="CASCADE"))
    #: Of the revision that is tried, and of the one that serves meanwhile.
    revision: Mapped[int]
    old_revision: Mapped[int]
    #: A `schemas.canaries.Rollout`.
    rollout: Mapped[dict[str, Any]] = mapped_column(JSON)
    #: A `schemas.canaries.CanaryState`.
    state: Mapped[str] = mapped_column(default="pending", index=True)
    #: Index of the step, when it began, and the counts at its beginning.
    step: Mapped[int] = mapped_column(default=0)
    step_began_at: Mapped[datetime | None]
    baseline: Mapped[dict[str, Any]] = mapped_column(JSON)
    paused_at: Mapped[datetime | None]
    #: Whether it has paused after the step that needs a decision.
    pause_done: Mapped[bool] = mapped_column(default=False)
    #: `promote` or `abort`, once a person decided, and that person's name.
    decision: Mapped[str] = mapped_column(default="")
    decided_by: Mapped[str] = mapped_column(default="")
    #: Why it ended or stands still, and the counts at its end.
    reason: Mapped[str] = mapped_column(default="")
    figures: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(default=now)
    ended_at: Mapped[datetime | None]
