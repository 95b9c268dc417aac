"""Calls about webhooks."""

from __future__ import annotations

from typing import Any

from registry_tui.client.transport import Transport, segment
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


class Webhooks(Transport):
    """Calls about webhooks, each by ID, name or `environment/name`."""

    async def webhooks(
        self, *, environment: str | None = None, registry: str | None = None, model: str | None = None, **page: Any
    ) -> Page[Webhook]:
        """With a registry or a model, those that are notified about it."""
        params = {"environment": environment, "registry": registry, "model": model, **page}
        return await self._ask(Page[Webhook], "GET", "/webhooks", params=params)

    async def webhook(self, webhook: str) -> Webhook:
        return await self._ask(Webhook, "GET", f"/webhooks/{segment(webhook)}")

    async def create_webhook(self, request: WebhookCreate) -> WebhookSecret:
        """Creates a webhook; only this response contains its secret."""
        return await self._ask(WebhookSecret, "POST", "/webhooks", body=request)

    async def change_webhook(self, webhook: str, request: WebhookChange) -> Webhook:
        return await self._ask(Webhook, "PATCH", f"/webhooks/{segment(webhook)}", body=request)

    async def delete_webhook(self, webhook: str) -> None:
        await self._send("DELETE", f"/webhooks/{segment(webhook)}")

    async def pause_webhook(self, webhook: str) -> Webhook:
        """Stops sending for a while; deliveries are queued meanwhile."""
        return await self._ask(Webhook, "POST", f"/webhooks/{segment(webhook)}/pause")

    async def resume_webhook(self, webhook: str) -> Webhook:
        """Resumes sending, queued deliveries first."""
        return await self._ask(Webhook, "POST", f"/webhooks/{segment(webhook)}/resume")

    async def rotate_webhook_secret(self, webhook: str) -> WebhookSecret:
        """Replaces a webhook's secret; only this response contains the new one."""
        return await self._ask(WebhookSecret, "POST", f"/webhooks/{segment(webhook)}/rotate-secret")

    async def test_webhook(self, webhook: str) -> WebhookDelivery:
        """Sends a test message."""
        return await self._ask(WebhookDelivery, "POST", f"/webhooks/{segment(webhook)}/test")

    async def replay_webhook(self, webhook: str, request: WebhookReplay) -> WebhookReplayed:
        """Sends one delivery again, or all that failed since a time."""
        return await self._ask(WebhookReplayed, "POST", f"/webhooks/{segment(webhook)}/replay", body=request)

    async def webhook_deliveries(
        self, webhook: str, *, state: DeliveryState | None = None, **page: Any
    ) -> Page[WebhookDelivery]:
        """The sent and queued deliveries of a webhook, the newest first."""
        path = f"/webhooks/{segment(webhook)}/deliveries"
        return await self._ask(Page[WebhookDelivery], "GET", path, params={"state": state, **page})
