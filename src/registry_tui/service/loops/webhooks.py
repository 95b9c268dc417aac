"""Sends the deliveries that are due, each webhook by one worker at a time, so that no receiver blocks another."""

from __future__ import annotations

import logging
import random
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select

from registry_tui.schemas.operations import EventOutcome
from registry_tui.schemas.webhooks import DeliveryState, WebhookState
from registry_tui.service.core import events, identity
from registry_tui.service.core.context import Resource, Service
from registry_tui.service.database.tables import (
    EventRow,
    WebhookDeliveryRow,
    WebhookRow,
    now,
)
from registry_tui.service.errors import NotPermitted, PartUnavailable, ServiceError, WrongState
from registry_tui.service.webhooks import deliveries, rights, sending, subscriptions
from registry_tui.service.webhooks.sending import Answer

logger = logging.getLogger(__name__)

#: Seconds after each failed attempt, as Standard Webhooks recommends; after the last one a delivery has failed.
PAUSES = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
#: Jitter of a pause, so that deliveries that failed together are not retried together.
_JITTER = 0.1
#: A webhook is paused when so many attempts failed in a row, for so long.
GIVES_UP, GIVES_UP_AFTER = 8, timedelta(hours=24)
#: Receivers that are sent to at a time.
WORKERS = 8
#: The share of one receiver before others have their turn: messages, seconds.
TURN, TURN_SECONDS = 20, 10.0
#: Attempts that the log of a delivery holds.
_LOGGED = 12
#: Seconds until a check for rows of other processes, and until a retry after a part of the platform was unavailable.
SHARED_EVERY, PART_EVERY = 2.0, 30.0
#: Seconds between two prunings of old deliveries, while something is sent.
_PRUNE_EVERY = 3600.0


class Sender:
    """Sends deliveries when they are due. `leads` returns whether this process sends."""

    def __init__(self, service: Service, leads: Callable[[], bool]) -> None:
        self._service, self._leads = service, leads
        self._wake = threading.Event()
        self._guard = threading.Lock()
        self._busy: set[str] = set()
        self._pruned: dict[str, float] = {}
        self._trust: ssl.SSLContext | None = None
        #: Registries and models that may have another owner.
        self._changed: set[tuple[str, str]] = set()

    def written(self, rows: Sequence[object]) -> None:
        """Wakes the sender when a commit wrote deliveries, webhooks or owners."""
        changed = {
            (row.registry_id, row.resource_name)
            for row in rows
            if isinstance(row, EventRow) and row.action == "model.update" and row.registry_id is not None
        }
        if changed:
            with self._guard:
                self._changed |= changed
        if changed or any(isinstance(row, (WebhookDeliveryRow, WebhookRow)) for row in rows):
            self._wake.set()

    def wake(self) -> None:
        """Checks now for due deliveries."""
        self._wake.set()

    def run(self, stopping: threading.Event) -> None:
        """Sends until it is stopped; `wake` ends its waiting."""
        logged = ""
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="webhook") as pool:
            while not stopping.is_set():
                wait: float | None = SHARED_EVERY
                self._wake.clear()
                try:
                    if self._leads():
                        wait = self._look(pool, stopping)
                    else:
                        self._take_changed()
                    logged = ""
                except Exception as error:
                    if repr(error) != logged:
                        logger.exception("looking for webhooks that are due")
                        logged = repr(error)
                if self._service.database.shared:
                    wait = SHARED_EVERY if wait is None else min(wait, SHARED_EVERY)
                self._wake.wait(wait)

    def _look(self, pool: ThreadPoolExecutor, stopping: threading.Event) -> float | None:
        """Begins a turn of each webhook that is due, as far as workers are free; returns seconds until the next."""
        at = now()
        with self._guard:
            busy = set(self._busy)
        for registry_id, model in self._take_changed():
            pool.submit(stop_of_former_owners, self._service, registry_id, model)
        with self._service.database.reading() as session:
            waiting = (
                select(WebhookDeliveryRow.webhook_id, WebhookDeliveryRow.next_at)
                .join(WebhookRow, WebhookRow.id == WebhookDeliveryRow.webhook_id)
                .where(WebhookDeliveryRow.state == DeliveryState.PENDING.value, _sends(at))
            )
            if busy:
                waiting = waiting.where(WebhookDeliveryRow.webhook_id.not_in(busy))
            free = WORKERS - len(busy)
            due = session.scalars(
                waiting.with_only_columns(WebhookDeliveryRow.webhook_id)
                .where(WebhookDeliveryRow.next_at <= at)
                .distinct()
                .limit(max(free, 0) + 1)
            ).all()
            later = waiting.with_only_columns(WebhookDeliveryRow.next_at).where(WebhookDeliveryRow.next_at > at)
            following = session.scalar(later.order_by(WebhookDeliveryRow.next_at).limit(1))
            rests = session.scalar(
                select(WebhookRow.rest_until)
                .where(WebhookRow.state == WebhookState.ACTIVE.value, WebhookRow.rest_until > at)
                .order_by(WebhookRow.rest_until)
                .limit(1)
            )
        for webhook_id in due[: max(free, 0)]:
            with self._guard:
                self._busy.add(webhook_id)
            pool.submit(self._turn, webhook_id, stopping)
        # When a worker is done, it wakes this up.
        nexts = [each for each in (following, rests) if each is not None]
        return max(0.05, (min(nexts) - at).total_seconds()) if nexts else None

    def _take_changed(self) -> set[tuple[str, str]]:
        with self._guard:
            changed, self._changed = self._changed, set()
        return changed

    def _turn(self, webhook_id: str, stopping: threading.Event) -> None:
        try:
            began = time.monotonic()
            for _ in range(TURN):
                over = time.monotonic() - began > TURN_SECONDS
                if stopping.is_set() or over or not deliver_next(self._service, webhook_id, self._context()):
                    break
            self._prune(webhook_id)
        except Exception:
            logger.exception("sending to a webhook")
            stopping.wait(SHARED_EVERY)
        finally:
            with self._guard:
                self._busy.discard(webhook_id)
            self._wake.set()

    def _context(self) -> ssl.SSLContext:
        if self._trust is None:
            self._trust = sending.trust(self._service.settings)
        return self._trust

    def _prune(self, webhook_id: str) -> None:
        if time.monotonic() >= self._pruned.get(webhook_id, 0.0):
            self._pruned[webhook_id] = time.monotonic() + _PRUNE_EVERY
            with self._service.database.session() as session:
                deliveries.prune(session, webhook_id, now())


def deliver_next(service: Service, webhook_id: str, context: ssl.SSLContext) -> bool:
    """Sends the oldest message of a webhook that is due; whether the next one may follow at once."""
    at = now()
    with service.database.reading() as session:
        webhook = session.scalars(select(WebhookRow).where(WebhookRow.id == webhook_id, _sends(at))).first()
        if webhook is None:
            return False
        due = select(WebhookDeliveryRow).where(
            WebhookDeliveryRow.webhook_id == webhook_id,
            WebhookDeliveryRow.state == DeliveryState.PENDING.value,
            WebhookDeliveryRow.next_at <= at,
        )
        delivery = session.scalars(due.order_by(WebhookDeliveryRow.number).limit(1)).first()
        if delivery is None:
            return False
    try:
        creator = rights.creator_of(service, webhook)
        if not rights.may_read(service, creator, delivery):
            _finish(service, delivery, DeliveryState.SKIPPED, f"{creator.name} may not see its contents")
            return True
    except NotPermitted as error:
        _pause(service, webhook, error.detail)
        return False
    except (PartUnavailable, WrongState) as error:
        _put_off(service, delivery, error.detail)
        return False
    body = sending.text_of(delivery.payload)
    headers = sending.signed(subscriptions.secrets_of(service, webhook, at), delivery.id, at, body)
    answer = sending.send(webhook.url, body, headers, service.settings, context)
    _note(service, webhook, delivery, at, answer)
    return answer.taken


def stop_of_former_owners(service: Service, registry_id: str, model: str) -> None:
    """Pauses the webhooks for a model whose creators may not have them any more.

    One that is missed, because a part is unavailable or by a kill, is paused by its next message.
    """
    with service.database.reading() as session:
        of_it = select(WebhookRow).where(WebhookRow.registry_id == registry_id, WebhookRow.model == model)
        found = session.scalars(of_it.where(WebhookRow.state == WebhookState.ACTIVE.value)).all()
    for webhook in found:
        try:
            rights.creator_of(service, webhook)
        except NotPermitted as error:
            _pause(service, webhook, error.detail)
        except ServiceError as error:
            logger.info("whether %s may still be sent to: %s", webhook.name, error.detail)


def _sends(at: datetime) -> Any:
    rested = or_(WebhookRow.rest_until.is_(None), WebhookRow.rest_until <= at)
    return (WebhookRow.state == WebhookState.ACTIVE.value) & rested


def _note(service: Service, webhook: WebhookRow, delivery: WebhookDeliveryRow, at: datetime, answer: Answer) -> None:
    """Writes the outcome of an attempt, and the time of the next one."""
    reason = ""
    with service.database.session() as session:
        row, hook = session.get(WebhookDeliveryRow, delivery.number), session.get(WebhookRow, webhook.id)
        if row is None or hook is None:
            return
        attempt = {
            "at": at.isoformat(),
            "status": answer.status,
            "duration_ms": answer.duration_ms,
            "answer": answer.text,
        }
        row.log = {"attempts": [*(row.log or {}).get("attempts", ()), attempt][-_LOGGED:]}
        row.attempt_count += 1
        if answer.taken:
            row.state, row.next_at, row.finished_at = DeliveryState.DELIVERED.value, None, now()
            hook.failures, hook.failing_since, hook.rest_until = 0, None, None
            return
        hook.failures += 1
        hook.failing_since = hook.failing_since or at
        if row.attempt_count > len(PAUSES):
            row.state, row.next_at, row.finished_at = DeliveryState.FAILED.value, None, now()
            row.reason = f"{row.attempt_count} attempts failed"
        else:
            pause = PAUSES[row.attempt_count - 1] * random.uniform(1 - _JITTER, 1 + _JITTER)
            row.next_at = now() + timedelta(seconds=max(pause, answer.rest or 0.0))
        if answer.rest:
            hook.rest_until = now() + timedelta(seconds=answer.rest)
        if answer.status == 410:
            reason = "its receiver is gone for good (410)"
        elif hook.failures >= GIVES_UP and now() - hook.failing_since >= GIVES_UP_AFTER:
            reason = f"its receiver has failed since {hook.failing_since:%Y-%m-%d %H:%M} UTC"
    if reason:
        _pause(service, webhook, reason)


def _finish(service: Service, delivery: WebhookDeliveryRow, state: DeliveryState, reason: str) -> None:
    with service.database.session() as session:
        if (row := session.get(WebhookDeliveryRow, delivery.number)) is not None:
            row.state, row.reason, row.next_at, row.finished_at = state.value, reason, None, now()


def _put_off(service: Service, delivery: WebhookDeliveryRow, reason: str) -> None:
    """Not an attempt: the creator's rights cannot be checked now."""
    with service.database.session() as session:
        if (row := session.get(WebhookDeliveryRow, delivery.number)) is not None:
            row.reason, row.next_at = reason, now() + timedelta(seconds=PART_EVERY)


def _pause(service: Service, webhook: WebhookRow, reason: str) -> None:
    owner = identity.owner_principal(service)
    with service.database.session() as session:
        row = session.get(WebhookRow, webhook.id)
        if row is None or row.state == WebhookState.PAUSED.value:
            return
        row.state, row.reason = WebhookState.PAUSED.value, reason
        session.add(
            events.event_row(
                owner,
                action="webhook.pause",
                resource=Resource("webhook", row.id, row.name),
                outcome=EventOutcome.FAILED,
                detail=f"Paused: {reason}",
            )
        )
