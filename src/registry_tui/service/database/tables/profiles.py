"""Profiles of the data that versions were trained with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from registry_tui.service.database.tables.base import Base, now


class VersionProfileRow(Base):
    """The profile that a version's requests are compared with. It outlives neither its registry nor its version."""

    __tablename__ = "version_profiles"

    version_id: Mapped[str] = mapped_column(primary_key=True)
    registry_id: Mapped[str] = mapped_column(ForeignKey("registries.id", ondelete="CASCADE"), index=True)
    model_id: Mapped[str] = mapped_column(index=True)
    #: A `schemas.drift.ProfileChange`.
    document: Mapped[dict[str, Any]]
    author: Mapped[str]
    made_at: Mapped[datetime] = mapped_column(default=now)
