"""Webhooks of a service without any part: events that happen, and deliveries that are sent now."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from registry_tui.schemas.operations import EventOutcome
from registry_tui.schemas.webhooks import WebhookCreate, WebhookSecret
from registry_tui.service.core import events
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import WebhookDeliveryRow, WebhookRow
from registry_tui.service.loops.webhooks import deliver_next
from registry_tui.service.webhooks import sending, subscriptions

PLACE = "lab"


def create(service: Service, owner: Principal, url: str, name: str = "hook", **more: Any) -> WebhookSecret:
    return subscriptions.create_webhook(service, owner, WebhookCreate(name=name, environment=PLACE, url=url, **more))


def webhook_id(service: Service, name: str) -> str:
    with service.database.reading() as session:
        return session.scalar(sa.select(WebhookRow.id).where(WebhookRow.name == name)) or ""


def happens(service: Service, owner: Principal, action: str, outcome: EventOutcome, **more: Any) -> None:
    resource = {
        "approval": Resource("version", "v-1", "wine v3", f"{PLACE}-registry"),
        "webhook": Resource("webhook", webhook_id(service, "other"), "other"),
        "version": Resource("version", "v-1", "wine v3", f"{PLACE}-registry"),
        "model": Resource("model", "m-1", "wine", f"{PLACE}-registry"),
        "deployment": Resource("deployment", f"{PLACE}-deployment", "taster", f"{PLACE}-registry"),
        "registry": Resource("registry", f"{PLACE}-registry", f"{PLACE}-registry", f"{PLACE}-registry"),
    }[action.partition(".")[0]]
    events.record(service, owner, action=action, resource=resource, outcome=outcome, **more)


def send_all(service: Service, made: WebhookSecret) -> None:
    context = sending.trust(service.settings)
    while deliver_next(service, made.webhook.id, context):
        pass


def log_of(service: Service, owner: Principal, made: WebhookSecret) -> list[Any]:
    return subscriptions.list_deliveries(service, owner, made.webhook.id).items


def states(service: Service, name: str) -> list[str]:
    with service.database.reading() as session:
        query = sa.select(WebhookDeliveryRow.state).where(WebhookDeliveryRow.webhook_id == webhook_id(service, name))
        return list(session.scalars(query))
