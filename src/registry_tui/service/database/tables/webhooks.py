"""Webhooks and their deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from registry_tui.service.database.tables.base import Base, new_id, now
from registry_tui.service.database.tables.places import EnvironmentRow


class WebhookRow(Base):
    __tablename__ = "webhooks"
    __table_args__ = (UniqueConstraint("environment_id", "name"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    environment_id: Mapped[str] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"))
    url: Mapped[str]
    events: Mapped[list[str]]
    #: No foreign key: a webhook outlives the registry that it was made for.
    registry_id: Mapped[str | None]
    model: Mapped[str | None]
    creator: Mapped[str]
    creator_crn: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)
    #: A `schemas.webhooks.WebhookState`, and why.
    state: Mapped[str] = mapped_column(default="active")
    reason: Mapped[str] = mapped_column(default="")
    #: Encrypted, as is the previous secret.
    secret: Mapped[str]
    old_secret: Mapped[str | None]
    old_secret_until: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    failing_since: Mapped[datetime | None]
    #: The receiver asked for a rest.
    rest_until: Mapped[datetime | None]

    environment: Mapped[EnvironmentRow] = relationship()


class WebhookDeliveryRow(Base):
    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index(None, "webhook_id", "number"),
        Index(None, "state", "next_at"),
        {"sqlite_autoincrement": True},
    )

    #: In the order of events.
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    #: The header `webhook-id`.
    id: Mapped[str] = mapped_column(unique=True, default=lambda: f"msg_{new_id().replace('-', '')}")
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    type: Mapped[str]
    payload: Mapped[dict[str, Any]]
    #: The things that the creator must be able to read: `registry`, `model`, `project`, `actor_crn`.
    concerns: Mapped[dict[str, Any]]
    #: A `schemas.webhooks.DeliveryState`, and why.
    state: Mapped[str] = mapped_column(default="pending")
    reason: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime] = mapped_column(default=now)
    #: When it is due; None once it is finished.
    next_at: Mapped[datetime | None] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]
    attempt_count: Mapped[int] = mapped_column(default=0)
    #: `attempts`: the newest ones, as `schemas.webhooks.WebhookAttempt`.
    log: Mapped[dict[str, Any]] = mapped_column(default=dict)
