"""Unused things on the platform's disk: environments of models, and logs of replicas."""

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
    """One unused thing; `size_bytes` is the space that its removal frees."""

    kind: UnusedKind
    #: An environment's key, or `<deployment ID>/<generation>-<number>`.
    name: str
    #: The requirements it was made from, or the deployment it belongs to, where that still exists.
    detail: str = ""
    size_bytes: int
    used_at: datetime


class UnusedThings(Schema):
    """Things unused for so long, least recently used first: at most 1,000 of `count`."""

    items: list[Unused]
    count: int
    size_bytes: int


class PlatformClean(RequestSchema):
    """Removes unused things."""

    older_than_days: float = Field(default=0.0, ge=0, le=36_500, description="Only what nobody has used for so long")


class PlatformCleaned(UnusedThings):
    """The removed things."""
