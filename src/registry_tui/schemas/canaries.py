"""Canaries: a version that is tried on callers' requests before all of them reach it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import ConfigDict, Field, model_validator

from registry_tui.schemas.base import RequestSchema, Schema

#: Steps of a canary and of a shadow, in percent, when none are given.
STEPS, SHADOW_STEPS = (5, 25, 50, 100), (100,)
_LONGEST = 7 * 24 * 3600.0


class Strategy(StrEnum):
    """How callers come to a new version: all at once; a growing share of them; or copies of their requests first."""

    ALL_AT_ONCE = "all-at-once"
    CANARY = "canary"
    SHADOW = "shadow"


class CanaryState(StrEnum):
    """`pending` until its replicas answer; `running` and `paused` get requests; the others have ended."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    PROMOTED = "promoted"
    ABORTED = "aborted"
    ROLLED_BACK = "rolled back"


#: States of canaries that have not ended, and of those that get requests.
OPEN = (CanaryState.PENDING.value, CanaryState.RUNNING.value, CanaryState.PAUSED.value)
ON_TRIAL = (CanaryState.RUNNING.value, CanaryState.PAUSED.value)


class Decision(StrEnum):
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    ABORT = "abort"


class Rollout(RequestSchema):
    """How a change is rolled out. All but `strategy` is about canaries and shadows.

    A bound of None is not watched. Bounds are judged in each step, from `min_requests` of the new version on.
    """

    strategy: Strategy = Strategy.ALL_AT_ONCE
    steps: list[int] | None = Field(
        default=None, min_length=1, max_length=20, description="Rising shares in percent; default: 5, 25, 50, 100"
    )
    step_seconds: float = Field(default=60.0, ge=1, le=_LONGEST, description="How long each step lasts at least")
    pause_after: int | None = Field(default=None, description="One of the steps: behind it somebody has to decide")
    max_error_rate: float | None = Field(default=0.05, ge=0, le=1, description="Of the new version's requests")
    max_p99_seconds: float | None = Field(default=None, gt=0, le=3600)
    max_disagreement: float | None = Field(
        default=None, ge=0, le=1, description="Share of answers that differ from the old version's"
    )
    min_requests: int = Field(default=20, ge=0, le=1_000_000, description="In each step, before it is judged or ends")
    tolerance: float = Field(default=1e-6, ge=0, le=1, description="By which numbers of answers may differ")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        steps = self.shares
        if any(not 1 <= each <= 100 for each in steps) or list(steps) != sorted(set(steps)):
            raise ValueError("steps are percentages from 1 to 100, each larger than the one before")
        if self.pause_after is not None and self.pause_after not in steps:
            raise ValueError(f"pause_after is one of the steps: {', '.join(map(str, steps))}")
        return self

    @property
    def shares(self) -> tuple[int, ...]:
        """The steps in percent."""
        if self.steps is not None:
            return tuple(self.steps)
        return SHADOW_STEPS if self.strategy is Strategy.SHADOW else STEPS

    @property
    def tries(self) -> bool:
        """Whether callers reach the new version only after it was tried on their requests."""
        return self.strategy is not Strategy.ALL_AT_ONCE


class KeptRollout(Rollout):
    """A rollout that is kept for later, as answers have it: fields of a newer service are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class CanaryDecision(RequestSchema):
    """A person's decision about a canary."""

    decision: Decision


class Generation(Schema):
    """One side of a canary: its share of the requests in percent, and its responses since the canary began; p99 in
    seconds. Errors of the new version are requests that it failed and the old one answered."""

    revision: int
    version: int
    share: float
    requests: int = 0
    errors: int = 0
    error_rate: float = 0.0
    p99: float | None = None


class Canary(Schema):
    """A version that is, or was, tried on callers' requests."""

    id: str
    deployment_id: str
    deployment_name: str
    strategy: Strategy
    state: CanaryState
    #: Shares in percent, and which one it is at, counted from 1; 0 before the first.
    steps: list[int]
    step: int = 0
    step_seconds: float
    #: Seconds and requests until the step may end.
    seconds_left: float = 0.0
    requests_left: int = 0
    pause_after: int | None = None
    max_error_rate: float | None = None
    max_p99_seconds: float | None = None
    max_disagreement: float | None = None
    min_requests: int
    tolerance: float
    old: Generation
    new: Generation
    #: Requests that both answered, those whose answers differ, and copies that were dropped because the queue was full.
    compared: int = 0
    disagreeing: int = 0
    disagreement: float = 0.0
    dropped: int = 0
    #: Why it ended, or stands still.
    reason: str = ""
    decided_by: str = ""
    workflow_id: str | None = None
    created_at: datetime
    ended_at: datetime | None = None
