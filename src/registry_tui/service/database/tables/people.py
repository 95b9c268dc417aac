"""Users, their tokens, and their identity at an issuer."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from registry_tui.service.database.tables.base import Base, new_id, now


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
    """A user's identity at the issuer: issuers may reuse names, but never subjects."""

    __tablename__ = "user_subjects"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    user: Mapped[str] = mapped_column(ForeignKey("users.name", ondelete="CASCADE"), primary_key=True)
    issuer: Mapped[str]
    subject: Mapped[str]
