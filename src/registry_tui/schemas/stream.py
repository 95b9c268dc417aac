"""Changes that the service streams to its followers."""

from __future__ import annotations

from enum import StrEnum

from registry_tui.schemas.base import Schema
from registry_tui.schemas.operations import Event, PlatformStatus, Workflow


class ChangeKind(StrEnum):
    #: Fetch everything again: the stream has begun, or missed changes are no longer available.
    RESYNC = "resync"
    #: A workflow has begun, has come further, or has ended.
    WORKFLOW = "workflow"
    #: An event was recorded: something was done to a resource.
    EVENT = "event"
    #: A part of the platform is in another state.
    HEALTH = "health"


class Change(Schema):
    """One change with its details. `id` is where a reader resumes after a break."""

    id: str
    kind: ChangeKind
    workflow: Workflow | None = None
    event: Event | None = None
    status: PlatformStatus | None = None
