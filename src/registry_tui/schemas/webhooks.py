"""Webhooks: receivers of the service's events, and their deliveries."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from registry_tui.schemas.base import ChangeSchema, RequestSchema, Schema
from registry_tui.schemas.places import NAME_MAX, NAME_MIN, NAME_PATTERN

URL_MAX = 2000


class WebhookState(StrEnum):
    ACTIVE = "active"
    #: Nothing is sent; events are queued meanwhile.
    PAUSED = "paused"


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    #: Every attempt failed.
    FAILED = "failed"
    #: Not sent: the webhook's creator may not see the event's resource.
    SKIPPED = "skipped"


EventPattern = Annotated[str, Field(pattern=r"^(\*|[a-z]+\.(\*|[a-z_]+))$", max_length=100)]


class Webhook(Schema):
    """An address that gets messages about an environment's events."""

    id: str
    name: str
    environment_id: str
    environment_name: str
    url: str
    #: Types of events: `version.ready`, `version.*`, or `*`.
    events: list[str]
    registry_id: str | None = None
    #: Name of a registered model.
    model: str | None = None
    state: WebhookState
    #: Why it is paused.
    reason: str = ""
    creator: str
    created_at: datetime
    #: Attempts that failed one after the other, since when.
    failures: int = 0
    failing_since: datetime | None = None
    #: Until when messages are also signed with the previous secret.
    old_secret_until: datetime | None = None


class WebhookCreate(RequestSchema):
    name: str = Field(pattern=NAME_PATTERN, min_length=NAME_MIN, max_length=NAME_MAX)
    #: Name or ID.
    environment: str = Field(max_length=200)
    url: str = Field(max_length=URL_MAX)
    events: list[EventPattern] = Field(default=["*"], min_length=1, max_length=50)
    #: Name or ID; only events of this Model Registry.
    registry: str | None = Field(default=None, max_length=200)
    #: Only events of this model.
    model: str | None = Field(default=None, min_length=1, max_length=256)


class WebhookChange(ChangeSchema):
    """Fields that are not given stay unchanged."""

    url: str | None = Field(default=None, max_length=URL_MAX)
    events: list[EventPattern] | None = Field(default=None, min_length=1, max_length=50)


class WebhookReplay(RequestSchema):
    """The deliveries to send again: one, or all that failed since a time."""

    delivery: str | None = Field(default=None, max_length=100)
    since: datetime | None = None


class WebhookSecret(Schema):
    """A webhook with its new secret, which is not shown again."""

    webhook: Webhook
    secret: str = Field(repr=False)


class WebhookReplayed(Schema):
    """How many deliveries are sent again."""

    count: int


class WebhookAttempt(Schema):
    at: datetime
    #: Of the response; None without one.
    status: int | None = None
    duration_ms: int
    #: The first bytes of the response, or why there was none.
    answer: str


class WebhookDelivery(Schema):
    """A message to a webhook. `id` is its header `webhook-id`, the same in each attempt."""

    id: str
    type: str
    state: DeliveryState
    created_at: datetime
    #: When it is tried next.
    next_at: datetime | None = None
    finished_at: datetime | None = None
    attempt_count: int
    #: The newest ones, the oldest of them first.
    attempts: list[WebhookAttempt] = []
    reason: str = ""
    payload: dict[str, object]
