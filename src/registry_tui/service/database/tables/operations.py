"""The service's operations: workflows, their logs, events, and keyed requests."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from registry_tui.service.database.tables.base import Base, new_id, now


class InstallationRow(Base):
    """Facts about the installation as a whole: `account_id`, `bootstrap` and the like."""

    __tablename__ = "installation"

    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class IdempotencyRow(Base):
    """A mutation that was sent with an `Idempotency-Key`, for a day; see `service/idempotency.py`."""

    __tablename__ = "idempotency"

    #: SHA-256 of person and key.
    id: Mapped[str] = mapped_column(primary_key=True)
    #: SHA-256 of method, address and body.
    digest: Mapped[str]
    person: Mapped[str]
    #: Method and address, for people.
    request: Mapped[str]
    #: The thing that the request made, as `<kind>:<ID>`, written in the same transaction.
    made: Mapped[str | None]
    #: The response's status; None while the request is under way, or when it was interrupted.
    status: Mapped[int | None]
    #: The response's body, encrypted; None when it was too large to keep.
    answer: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)


class WorkflowRow(Base):
    """A durable workflow as people see it; DBOS keeps in its own database which steps are finished."""

    __tablename__ = "workflows"
    __table_args__ = (
        Index(None, "created_at", "id"),
        Index(None, "status"),
        Index(None, "resource_type", "resource_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str]
    status: Mapped[str]
    resource_type: Mapped[str]
    resource_id: Mapped[str]
    resource_name: Mapped[str]
    registry_id: Mapped[str | None]
    #: `type:id` of the resource while the workflow is active, so that the database lets one run at a time.
    lock: Mapped[str | None] = mapped_column(unique=True)
    actor: Mapped[str]
    actor_crn: Mapped[str]
    actor_administrator: Mapped[bool]
    request_id: Mapped[str]
    arguments: Mapped[dict[str, Any]]
    #: The results of the steps, merged in order.
    state: Mapped[dict[str, Any]]
    steps: Mapped[list[str]]
    steps_done: Mapped[int] = mapped_column(default=0)
    step: Mapped[str | None]
    progress: Mapped[dict[str, Any]]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]
    #: The outcome being brought about (`failed`, `cancelled`) while finished steps are undone.
    outcome: Mapped[str | None]
    error: Mapped[str | None]
    action: Mapped[str | None]


class LogLineRow(Base):
    __tablename__ = "log_lines"
    __table_args__ = (
        Index(None, "request_id", "sequence"),
        Index(None, "workflow_id", "sequence"),
        {"sqlite_autoincrement": True},
    )

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    request_id: Mapped[str]
    workflow_id: Mapped[str | None]
    level: Mapped[str] = mapped_column(default="info")
    text: Mapped[str]


class EventRow(Base):
    __tablename__ = "events"
    __table_args__ = (
        Index(None, "created_at"),
        Index(None, "registry_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    actor: Mapped[str]
    actor_crn: Mapped[str]
    action: Mapped[str]
    resource_type: Mapped[str]
    resource_id: Mapped[str]
    resource_name: Mapped[str]
    #: No foreign key: events outlive their subjects.
    registry_id: Mapped[str | None]
    #: A `schemas.operations.EventOutcome`.
    outcome: Mapped[str]
    request_id: Mapped[str] = mapped_column(index=True)
    workflow_id: Mapped[str | None] = mapped_column(index=True)
    duration_ms: Mapped[int | None]
    detail: Mapped[str] = mapped_column(default="")
    #: The hash of this event and all before it, from the transaction on that made it (`database/event_chain.py`).
    chain: Mapped[str] = mapped_column(default="", server_default="")


class EventChainRow(Base):
    """Where the hash chain over the events begins and ends, so that events missing at either end are noticed."""

    __tablename__ = "event_chain"

    ONLY: ClassVar[int] = 1

    id: Mapped[int] = mapped_column(primary_key=True)
    #: The last event before the first that is kept, and its hash.
    start_id: Mapped[int]
    start_hash: Mapped[str]
    #: The newest event.
    head_id: Mapped[int]
    head_hash: Mapped[str]
