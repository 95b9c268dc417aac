"""What nobody uses any more on the platform's disk: environments of models, and logs of replicas."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from registry_tui.schemas.base import RequestSchema, Schema


class UnusedKind(StrEnum):
    #: A Python environment that was made for a model's requirements.
    ENVIRONMENT = "environment"
    #: The log of a replica that is gone, with its older parts.
    LOG = "log"


class Unused(Schema):
    """One thing that nobody uses; `size_bytes` is what its removal frees."""

    kind: UnusedKind
    #: An environment's key, or `<deployment ID>/<generation>-<number>`.
    name: str
    #: What it was made from, or the deployment that it is of, where that is still there.
    detail: str = ""
    size_bytes: int
    used_at: datetime


class UnusedThings(Schema):
    """What nobody has used for so long, used longest ago first: at most 1,000 of `count`."""

    items: list[Unused]
    count: int
    size_bytes: int


class PlatformClean(RequestSchema):
    """Removes what nobody uses."""

    older_than_days: float = Field(default=0.0, ge=0, le=36_500, description="Only what nobody has used for so long")


class PlatformCleaned(UnusedThings):
    """What was removed."""
