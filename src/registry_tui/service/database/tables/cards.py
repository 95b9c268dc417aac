"""Model cards of versions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from registry_tui.service.database.tables.base import Base, now


class ModelCardRow(Base):
    """A card that a person wrote; earlier ones are kept. It outlives neither its registry nor its version."""

    __tablename__ = "model_cards"

    version_id: Mapped[str] = mapped_column(primary_key=True)
    #: From 1 on.
    number: Mapped[int] = mapped_column(primary_key=True)
    registry_id: Mapped[str] = mapped_column(ForeignKey("registries.id", ondelete="CASCADE"), index=True)
    model_id: Mapped[str] = mapped_column(index=True)
    text: Mapped[str]
    author: Mapped[str]
    written_at: Mapped[datetime] = mapped_column(default=now)
