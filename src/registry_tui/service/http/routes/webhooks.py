"""Webhooks and their deliveries."""

from __future__ import annotations

from registry_tui.schemas.base import Page
from registry_tui.schemas.webhooks import (
    DeliveryState,
    Webhook,
    WebhookChange,
    WebhookCreate,
    WebhookDelivery,
    WebhookReplay,
    WebhookReplayed,
    WebhookSecret,
)
from registry_tui.service.http.routes.dependencies import Acting, NameIn, PageIn, ServiceIn
from registry_tui.service.http.routes.keyed import new_router
from registry_tui.service.webhooks import subscriptions

router = new_router("webhooks")


@router.get("/webhooks")
def list_webhooks(
    service: ServiceIn,
    principal: Acting,
    page: PageIn,
    environment: NameIn | None = None,
    registry: NameIn | None = None,
    model: NameIn | None = None,
) -> Page[Webhook]:
    """The webhooks of the environments that you administer, and those that you made for your models; the oldest first.

    With `registry` or `model` those that are notified of it.
    """
    return subscriptions.list_webhooks(
        service,
        principal,
        environment=environment,
        registry=registry,
        model=model,
        page_size=page.page_size,
        page_token=page.page_token,
    )


@router.post("/webhooks", status_code=201)
def create_webhook(service: ServiceIn, principal: Acting, request: WebhookCreate) -> WebhookSecret:
    """Makes a webhook of an environment; only this response contains its secret.

    For the environment's administrators; for a model's owner one that is notified of that `model` only.
    """
    return subscriptions.create_webhook(service, principal, request)


@router.get("/webhooks/{webhook}")
def get_webhook(service: ServiceIn, principal: Acting, webhook: str) -> Webhook:
    """One webhook, by ID, name or `environment/name`."""
    return subscriptions.get_webhook(service, principal, webhook)


@router.patch("/webhooks/{webhook}")
def change_webhook(service: ServiceIn, principal: Acting, webhook: str, request: WebhookChange) -> Webhook:
    """Changes a webhook's address or its events."""
    return subscriptions.change_webhook(service, principal, webhook, request)


@router.delete("/webhooks/{webhook}", status_code=204)
def delete_webhook(service: ServiceIn, principal: Acting, webhook: str) -> None:
    """Deletes a webhook with the log of its deliveries."""
    subscriptions.delete_webhook(service, principal, webhook)


@router.post("/webhooks/{webhook}/pause")
def pause_webhook(service: ServiceIn, principal: Acting, webhook: str) -> Webhook:
    """Sends nothing for a while; messages about events meanwhile are queued."""
    return subscriptions.pause_webhook(service, principal, webhook)


@router.post("/webhooks/{webhook}/resume")
def resume_webhook(service: ServiceIn, principal: Acting, webhook: str) -> Webhook:
    """Resumes sending, queued messages first; in your name if its creator may no longer have the webhook."""
    return subscriptions.resume_webhook(service, principal, webhook)


@router.post("/webhooks/{webhook}/rotate-secret")
def rotate_webhook_secret(service: ServiceIn, principal: Acting, webhook: str) -> WebhookSecret:
    """Gives a webhook a new secret; for a day messages are also signed with the previous one."""
    return subscriptions.rotate_secret(service, principal, webhook)


@router.post("/webhooks/{webhook}/test")
def test_webhook(service: ServiceIn, principal: Acting, webhook: str) -> WebhookDelivery:
    """Sends a message of type `webhook.test`; its delivery shows the outcome."""
    return subscriptions.test_webhook(service, principal, webhook)


@router.post("/webhooks/{webhook}/replay")
def replay_webhook(service: ServiceIn, principal: Acting, webhook: str, request: WebhookReplay) -> WebhookReplayed:
    """Sends one delivery again, or all that failed since a time; each keeps its ID."""
    return subscriptions.replay(service, principal, webhook, request)


@router.get("/webhooks/{webhook}/deliveries")
def list_webhook_deliveries(
    service: ServiceIn, principal: Acting, page: PageIn, webhook: str, state: DeliveryState | None = None
) -> Page[WebhookDelivery]:
    """The deliveries of a webhook, sent and queued, the newest first."""
    return subscriptions.list_deliveries(
        service, principal, webhook, state=state, page_size=page.page_size, page_token=page.page_token
    )
