"""Scans of versions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from registry_tui.service.database.tables.base import Base, now


class VersionScanRow(Base):
    """The newest scan of a version. It outlives neither its registry nor its version."""

    __tablename__ = "version_scans"

    version_id: Mapped[str] = mapped_column(primary_key=True)
    registry_id: Mapped[str] = mapped_column(ForeignKey("registries.id", ondelete="CASCADE"))
    model_id: Mapped[str] = mapped_column(index=True)
    #: One of `schemas.scans.Verdict`.
    verdict: Mapped[str]
    reason: Mapped[str] = mapped_column(default="")
    scanner_version: Mapped[int]
    #: `schemas.scans.ScannedFile`s.
    files: Mapped[list[Any]] = mapped_column(JSON)
    total_files: Mapped[int]
    scanned_at: Mapped[datetime] = mapped_column(default=now)
