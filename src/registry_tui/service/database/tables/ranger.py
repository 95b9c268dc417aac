"""Policies, roles and mappings that Ranger and IDBroker have."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from registry_tui.service.database.tables.base import Base


class RangerPolicyRow(Base):
    """A policy of an environment's Ranger service; `document` is a `schemas.ranger.RangerPolicy` in Ranger's words."""

    __tablename__ = "ranger_policies"
    __table_args__ = (UniqueConstraint("environment_id", "name"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    environment_id: Mapped[str] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    document: Mapped[dict[str, Any]]


class RangerRoleRow(Base):
    """A role of Ranger, which policies name; `document` is a `schemas.ranger.RangerRole` in Ranger's words."""

    __tablename__ = "ranger_roles"
    __table_args__ = (UniqueConstraint("name"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    document: Mapped[dict[str, Any]]


class IdBrokerRow(Base):
    """IDBroker's mappings of an environment without RAZ, and how they were synchronized last.

    `document` is a `schemas.idbroker.IdBrokerMappings` without its version, in CDP's words.
    """

    __tablename__ = "idbroker_mappings"

    environment_id: Mapped[str] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"), primary_key=True)
    #: Counts the changes of the mappings.
    version: Mapped[int] = mapped_column(default=0)
    document: Mapped[dict[str, Any]]
    #: The version that the object store enforces, and the mappings of that version.
    synced_version: Mapped[int] = mapped_column(default=0)
    synced_document: Mapped[dict[str, Any] | None]
    #: A `schemas.idbroker.SyncStatus`.
    sync_status: Mapped[str] = mapped_column(default="NEVER_RUN")
    sync_started_at: Mapped[datetime | None]
    sync_ended_at: Mapped[datetime | None]
    sync_error: Mapped[str] = mapped_column(default="")


class RangerSourceRow(Base):
    """The outside Ranger of an environment, and its last fetched policies, fitted to the environment."""

    __tablename__ = "ranger_sources"

    environment_id: Mapped[str] = mapped_column(ForeignKey("environments.id", ondelete="CASCADE"), primary_key=True)
    url: Mapped[str]
    #: The name of the service there.
    service: Mapped[str]
    user: Mapped[str | None]
    password: Mapped[str | None]
    #: Seconds between polls.
    every: Mapped[float]
    #: The version of the policies there.
    policy_version: Mapped[int]
    definition: Mapped[dict[str, Any]]
    #: Policies in Ranger's words.
    policies: Mapped[list[Any]] = mapped_column(JSON)
    #: The differences from the source, for people.
    notes: Mapped[list[str]]
    #: When these policies came, and since when and why it gives none.
    fetched_at: Mapped[datetime]
    failing_since: Mapped[datetime | None]
    problem: Mapped[str] = mapped_column(default="")
