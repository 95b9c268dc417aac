"""Stages of versions, approvals, and a registry's rules about them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from registry_tui.schemas.base import RequestSchema, Schema
from registry_tui.schemas.models import Visibility
from registry_tui.schemas.stages import Stage, StageStatus

MAX_COMMENT = 2000


class ProtectedAlias(RequestSchema):
    """An alias that only these people, and members of these groups, may set, move or delete."""

    alias: str = Field(min_length=1, max_length=255)
    users: list[str] = Field(default=[], max_length=1000)
    groups: list[str] = Field(default=[], max_length=1000)


class PromotionRules(RequestSchema):
    """A registry's requirements for giving a version an alias or a stage."""

    protected_aliases: list[ProtectedAlias] = Field(default=[], max_length=100)
    #: Stages that a version enters only with an approval.
    approved_stages: list[Stage] = []
    #: Whether somebody other than the requester has to decide.
    four_eyes: bool = True


class StageChange(RequestSchema):
    """A version's new stage."""

    stage: Stage
    #: None: Approved where the stage needs an approval, else InProgress.
    status: StageStatus | None = None
    description: str = Field(default="", max_length=MAX_COMMENT)
    comment: str = Field(default="", max_length=MAX_COMMENT)


class StageEntry(Schema):
    """One change of a version's stage."""

    id: str
    version_id: str
    from_stage: Stage
    to_stage: Stage
    status: StageStatus
    comment: str
    user: str
    at: datetime


class VersionPromotion(RequestSchema):
    """Requests a copy of a version in another registry."""

    #: Name or ID of the registry.
    to: str = Field(min_length=1, max_length=250)
    #: Of the model there; None: as it is called here.
    name: str | None = Field(default=None, max_length=10_000)
    #: Of a model that is new there; None: private. A known one stays as it is.
    visibility: Visibility | None = None


class ApprovalState(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class Decision(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    WITHDRAW = "withdraw"


class ApprovalAsk(RequestSchema):
    comment: str = Field(default="", max_length=MAX_COMMENT)


class ApprovalDecision(RequestSchema):
    decision: Decision
    comment: str = Field(default="", max_length=MAX_COMMENT)


class Approval(Schema):
    """A request for approval of a version, and the decision."""

    id: str
    registry_id: str
    model_name: str
    version_id: str
    version: int
    #: `stage:Production`, for instance.
    purpose: str
    state: ApprovalState
    asked_by: str
    asked_at: datetime
    question: str
    decided_by: str | None = None
    decided_at: datetime | None = None
    answer: str = ""
    #: The decisions open to the reader now; set when approvals are read.
    decisions: list[Decision] = []
