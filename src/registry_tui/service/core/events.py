"""Events: actor, action, time, resource and outcome; and the log lines behind them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from registry_tui.contracts.api_keys import redacted
from registry_tui.schemas.operations import EventOutcome
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import EventRow, LogLineRow
from registry_tui.service.errors import NotPermitted, ServiceError

MAX_DETAIL = 2000
#: Header of a response whose refusal has an event already: the listener then writes none, and removes it.
RECORDED = "X-Registry-Recorded"


def record(
    service: Service,
    principal: Principal,
    *,
    action: str,
    resource: Resource,
    outcome: EventOutcome,
    workflow_id: str | None = None,
    duration_ms: int | None = None,
    detail: str = "",
) -> int:
    """Writes one event; returns its ID. `action` is noun and verb, e.g. `registry.create`."""
    row = event_row(
        principal,
        action=action,
        resource=resource,
        outcome=outcome,
        workflow_id=workflow_id,
        duration_ms=duration_ms,
        detail=detail,
    )
    with service.database.session() as session:
        session.add(row)
        session.flush()
        return row.id


def event_row(
    principal: Principal,
    *,
    action: str,
    resource: Resource,
    outcome: EventOutcome,
    workflow_id: str | None = None,
    duration_ms: int | None = None,
    detail: str = "",
) -> EventRow:
    """An event to add to the caller's session, so that it is written in one transaction with the change it records."""
    return EventRow(
        actor=principal.name,
        actor_crn=principal.crn,
        action=action,
        resource_type=resource.type,
        resource_id=redacted(resource.id),
        resource_name=redacted(resource.name),
        registry_id=resource.registry_id,
        outcome=outcome.value,
        request_id=principal.request_id,
        workflow_id=workflow_id,
        duration_ms=duration_ms,
        detail=redacted(detail)[:MAX_DETAIL],
    )


@dataclass
class Recording:
    """The details of an event; set `resource` once its ID is known."""

    resource: Resource
    detail: str = ""


@contextmanager
def recording(service: Service, principal: Principal, action: str, resource: Resource) -> Iterator[Recording]:
    """Records one event about the block: succeeded, denied (NotPermitted) or failed, with its duration."""
    began = time.monotonic()
    event = Recording(resource)
    outcome, detail = EventOutcome.SUCCEEDED, ""
    try:
        yield event
    except ServiceError as error:
        outcome = EventOutcome.DENIED if isinstance(error, NotPermitted) else EventOutcome.FAILED
        detail = "; ".join([error.detail, *(f"{each.field}: {each.message}" for each in error.errors)])
        error.recorded = True
        raise
    except BaseException:
        outcome, detail = EventOutcome.FAILED, "An error of the service itself; see its log"
        raise
    finally:
        record(
            service,
            principal,
            action=action,
            resource=event.resource,
            outcome=outcome,
            duration_ms=round((time.monotonic() - began) * 1000),
            detail=detail or event.detail,
        )


@contextmanager
def refusals(
    service: Service, principal: Principal, action: str, resource: Resource, *, also_at_the_door: bool = False
) -> Iterator[None]:
    """Records an event when the block is refused; workflows that begin record their own events.

    `also_at_the_door`: the listener writes its own event as well, because only it knows the caller's address.
    """
    try:
        yield
    except ServiceError as error:
        outcome = EventOutcome.DENIED if isinstance(error, NotPermitted) else EventOutcome.FAILED
        record(service, principal, action=action, resource=resource, outcome=outcome, detail=error.detail)
        error.recorded = not also_at_the_door
        raise


def log(service: Service, request_id: str, text: str, *, level: str = "info", workflow_id: str | None = None) -> None:
    """Writes one log line of a request or workflow. Never put a secret into `text`."""
    with service.database.session() as session:
        session.add(LogLineRow(request_id=request_id, workflow_id=workflow_id, level=level, text=text))
