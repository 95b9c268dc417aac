"""Admission rules of environments, and exceptions from them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from registry_tui.service.database.tables.base import Base, now


class AdmissionRulesRow(Base):
    """An environment's rules as they were set once; the highest number counts."""

    __tablename__ = "admission_rules"

    environment_id: Mapped[str] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    #: The document as it was given.
    text: Mapped[str]
    #: `schemas.admission.AdmissionRule`s.
    rules: Mapped[list[Any]] = mapped_column(JSON)
    comment: Mapped[str] = mapped_column(default="")
    creator: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)


class AdmissionExceptionRow(Base):
    """Lets one version through one rule. It outlives neither its registry nor its version."""

    __tablename__ = "admission_exceptions"

    registry_id: Mapped[str] = mapped_column(ForeignKey("registries.id", ondelete="CASCADE"), primary_key=True)
    version_id: Mapped[str] = mapped_column(primary_key=True)
    rule: Mapped[str] = mapped_column(primary_key=True)
    model_id: Mapped[str]
    model_name: Mapped[str]
    version: Mapped[int]
    reason: Mapped[str]
    creator: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime | None]
