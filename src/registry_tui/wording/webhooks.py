"""Words for webhooks and their deliveries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from registry_tui.wording.words import Cell, absolute, both

if TYPE_CHECKING:
    from registry_tui.schemas.webhooks import Webhook, WebhookAttempt, WebhookDelivery

_DELIVERIES = {
    "pending": Cell("◐ pending", "busy"),
    "delivered": Cell("✓ delivered", "good"),
    "failed": Cell("✗ failed", "bad"),
    "skipped": Cell("– skipped", "dim"),
}


def webhook_state(webhook: Webhook) -> Cell:
    """Whether a webhook sends, and whether its deliveries succeed."""
    if webhook.state.value == "paused":
        return Cell("‖ paused", "warn")
    return Cell("✗ failing", "bad") if webhook.failures else Cell("● active", "good")


def delivery_state(delivery: WebhookDelivery) -> Cell:
    """The state of a delivery as glyph and word."""
    return _DELIVERIES.get(delivery.state.value, Cell(f"? {delivery.state.value}", "dim"))


def attempt_words(attempt: WebhookAttempt) -> str:
    """One attempt: when, how long it took, and the response."""
    status = "no answer" if attempt.status is None else str(attempt.status)
    answer = f": {attempt.answer}" if attempt.answer else ""
    return f"{absolute(attempt.at)}  {status} after {attempt.duration_ms} ms{answer}"


def last_attempt(delivery: WebhookDelivery) -> str:
    """The result of the newest attempt, or why there was none."""
    if not delivery.attempts:
        return delivery.reason
    last = delivery.attempts[-1]
    return f"{last.status}" if last.status is not None else last.answer


def delivery_lines(delivery: WebhookDelivery) -> Iterator[str]:
    """All details of a delivery except its message."""
    yield f"{delivery_state(delivery).text}, {delivery.type}, {both(delivery.created_at)}"
    if delivery.reason:
        yield delivery.reason
    if delivery.next_at is not None:
        yield f"tried next {absolute(delivery.next_at)}"
    for attempt in delivery.attempts:
        yield attempt_words(attempt)
