"""Keys that sign versions or are trusted, and signatures of versions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from registry_tui.service.database.tables.base import Base, new_id, now


class SigningKeyRow(Base):
    """A key of an environment's trust store."""

    __tablename__ = "signing_keys"
    __table_args__ = (
        UniqueConstraint("environment_id", "fingerprint"),
        UniqueConstraint("environment_id", "name"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    environment_id: Mapped[str] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"))
    name: Mapped[str]
    #: `contracts.signatures.fingerprint_of` the public key.
    fingerprint: Mapped[str]
    #: PEM.
    public_key: Mapped[str]
    #: Encrypted PEM; None for keys of others.
    private_key: Mapped[str | None]
    #: Whether it signs new versions; at most one per environment.
    active: Mapped[bool] = mapped_column(default=False)
    creator: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)


class VersionSignatureRow(Base):
    """A signature stored next to a version's archive. It outlives neither its registry nor its version."""

    __tablename__ = "version_signatures"
    __table_args__ = (UniqueConstraint("version_id", "file"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    version_id: Mapped[str]
    registry_id: Mapped[str] = mapped_column(ForeignKey("registries.id", ondelete="CASCADE"))
    model_id: Mapped[str] = mapped_column(index=True)
    #: Its path below the archive.
    file: Mapped[str]
    #: A `schemas.signatures.SignatureKind`.
    kind: Mapped[str]
    fingerprint: Mapped[str]
    #: The key's name when it signed, or when the signature was given.
    key_name: Mapped[str]
    #: The person who registered the version or gave the signature.
    creator: Mapped[str]
    signed_at: Mapped[datetime] = mapped_column(default=now)
