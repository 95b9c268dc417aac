"""Bills of materials of versions, and their components for searches."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from registry_tui.service.database.tables.base import Base, now


class VersionBomRow(Base):
    """The newest bill of materials of a version. It outlives neither its registry nor its version."""

    __tablename__ = "version_boms"
    __table_args__ = (Index(None, "registered_at", "version_id"),)

    version_id: Mapped[str] = mapped_column(primary_key=True)
    registry_id: Mapped[str] = mapped_column(ForeignKey("registries.id", ondelete="CASCADE"), index=True)
    model_id: Mapped[str] = mapped_column(index=True)
    #: As it was called when the bill was made.
    model_name: Mapped[str]
    version: Mapped[int]
    registered_at: Mapped[datetime]
    #: How often the bill was made.
    revision: Mapped[int]
    document: Mapped[dict[str, Any]]
    made_at: Mapped[datetime] = mapped_column(default=now)


class VersionComponentRow(Base):
    """One thing that a version is made of, as searches find it."""

    __tablename__ = "version_components"
    __table_args__ = (
        Index(None, "kind", "name", "wanted"),
        Index(None, "version_id", "kind", "name"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    version_id: Mapped[str] = mapped_column(ForeignKey("version_boms.version_id", ondelete="CASCADE"))
    #: A `schemas.boms.ComponentKind`.
    kind: Mapped[str]
    name: Mapped[str]
    #: A package's versions as a specifier, a data set's digest, a base model's revision; empty where all are allowed
    #: or none is known.
    wanted: Mapped[str]
    #: Whether `wanted` limits the versions of a package; False for a package from a URL.
    known: Mapped[bool]
    #: As the model has it.
    text: Mapped[str]
