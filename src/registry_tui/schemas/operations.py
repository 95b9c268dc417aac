"""Workflows, events, log lines, and the health of the platform's parts."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from registry_tui.schemas.base import Schema

Resource = TypeVar("Resource")


class WorkflowKind(StrEnum):
    PROVISION = "provision"
    SYNCHRONIZE = "synchronize"
    DEPROVISION = "deprovision"
    ARCHIVE = "archive"
    DELETE_ARCHIVE = "delete-archive"
    DEPLOY = "deploy"
    STOP = "stop"
    UNDEPLOY = "undeploy"
    CLEAN_UP = "clean-up"
    VERIFY = "verify"
    PURGE_RUNS = "purge-runs"
    IMPORT = "import"
    PROMOTE = "promote"


class WorkflowStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        return self in (WorkflowStatus.SUCCEEDED, WorkflowStatus.FAILED, WorkflowStatus.CANCELLED)


class Progress(Schema):
    """How far the present step is, in bytes and files where it moves any."""

    bytes_done: int = 0
    bytes_total: int = 0
    files_done: int = 0
    files_total: int = 0
    #: The reason of its wait, as a verb and its object: "waits for a larger node: …".
    waits: str = ""


class Workflow(Schema):
    id: str
    kind: WorkflowKind
    status: WorkflowStatus
    #: The kind of its resource: "registry", "version"; with the resource's name and ID.
    resource_type: str
    resource_id: str
    resource_name: str
    actor: str
    #: Of the person, whose name may be somebody else's later.
    actor_crn: str = ""
    request_id: str
    #: Names of all steps, in order; `steps_done` of them are finished.
    steps: list[str]
    steps_done: int = 0
    step: str | None = None
    progress: Progress = Progress()
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None
    error: str | None = None
    #: The remedy of the error.
    action: str | None = None


class LogLine(Schema):
    """`sequence` increases over all lines, so it is the token for the next ones."""

    sequence: int
    created_at: datetime
    request_id: str
    workflow_id: str | None = None
    level: str = "info"
    text: str


class EventOutcome(StrEnum):
    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DENIED = "denied"


class Event(Schema):
    """One action of a person or the service: its time, actor, resource and outcome."""

    id: int
    created_at: datetime
    actor: str
    actor_crn: str
    #: Noun and verb, e.g. `registry.create`.
    action: str
    resource_type: str
    resource_id: str
    resource_name: str
    #: The registry it concerns, for its *Events & Logs* tab.
    registry_id: str | None = None
    outcome: EventOutcome
    request_id: str
    workflow_id: str | None = None
    duration_ms: int | None = None
    detail: str = ""


class ChainLink(Schema):
    """An event's place in the hash chain, without its content: hexadecimal SHA-256 sums."""

    id: int
    #: Of the event's own fields.
    digest: str
    #: Of the chain up to the event: of the hash before, a space, the digest and a newline.
    hash: str


class ChainCheck(Schema):
    """The result of verifying a part of the events' hash chain."""

    #: Events verified.
    checked: int
    #: The last of them; the next part begins after it. None at the end of the chain.
    next_after: int | None
    #: The first event that differs from its record or follows a missing one; None for a sound chain.
    broken_id: int | None = None
    #: The problem, in words; empty for a sound chain.
    problem: str = ""
    #: The newest event and the hash of the whole chain.
    head_id: int
    head_hash: str


class EventChoices(Schema):
    """The actors and actions that events can be filtered by, sorted."""

    actors: list[str]
    actions: list[str]


class Accepted(Schema, Generic[Resource]):
    """The response to a request that continues as a workflow: the resource as it is now, and the workflow."""

    resource: Resource
    workflow: Workflow


class PartState(StrEnum):
    STOPPED = "stopped"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    FAILED = "failed"


class PartStatus(Schema):
    """One part of the platform as a real probe found it."""

    name: str
    state: PartState
    #: The probe and its result, or why it failed.
    detail: str
    #: The remedy while it is not healthy.
    action: str | None = None
    version: str | None = None
    pid: int | None = None
    memory_bytes: int | None = None
    uptime_seconds: float | None = None
    address: str | None = None
    probe_ms: float | None = None


class PlatformStatus(Schema):
    home: str
    healthy: bool
    parts: list[PartStatus]
