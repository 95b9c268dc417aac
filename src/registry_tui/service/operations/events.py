"""Events and the log lines behind them, as people see them."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, Page
from registry_tui.schemas.operations import Event, EventChoices, EventOutcome, LogLine
from registry_tui.service.core import paging, permissions
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.core.resolve import resolve_registry
from registry_tui.service.database.tables import EventRow, LogLineRow
from registry_tui.service.errors import Missing


def list_events(
    service: Service,
    principal: Principal,
    *,
    registry: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    outcome: str | None = None,
    resource: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[Event]:
    """Events, newest first: an administrator sees all, others their own. `registry` is a name or an ID, `resource` the
    ID of the events' resource.

    `action` is a whole action (`registry.create`) or its noun (`registry`). Raises InvalidInput for a wrong token.
    """
    with service.database.reading() as session:
        query = select(EventRow).where(*_visible_to(session, principal, registry))
    if actor is not None:
        query = query.where(EventRow.actor == actor)
    if action is not None:
        query = query.where(or_(EventRow.action == action, EventRow.action.startswith(f"{action}.", autoescape=True)))
    if outcome is not None:
        query = query.where(EventRow.outcome == outcome)
    if resource is not None:
        query = query.where(EventRow.resource_id == resource)
    if since is not None:
        query = query.where(EventRow.created_at >= _aware(since))
    if until is not None:
        query = query.where(EventRow.created_at < _aware(until))
    scope = f"events:{principal.name}:{registry}:{actor}:{action}:{outcome}:{resource}:{since}:{until}"
    with service.database.reading() as session:
        found = paging.keyset_page(
            session,
            query,
            [paging.Key(EventRow.id, descending=True)],
            scope=scope,
            page_size=page_size,
            page_token=page_token,
        )
    return found.to_page(to_schema)


def event_choices(service: Service, principal: Principal, *, registry: str | None = None) -> EventChoices:
    """The actors and actions of the events that the principal may see. `registry` is a name or an ID."""
    with service.database.reading() as session:
        of = _visible_to(session, principal, registry)
        actors = session.scalars(select(EventRow.actor).where(*of).distinct().order_by(EventRow.actor))
        actions = session.scalars(select(EventRow.action).where(*of).distinct().order_by(EventRow.action))
        return EventChoices(actors=list(actors), actions=list(actions))


def _visible_to(session: Session, principal: Principal, registry: str | None) -> list[ColumnElement[bool]]:
    conditions = [EventRow.actor_crn == principal.crn] if permissions.own_only(principal, Action.EVENTS) else []
    if registry is not None:
        try:
            registry_id = resolve_registry(session, registry).id
        except Missing:
            registry_id = registry  # events outlive their registry
        conditions.append(EventRow.registry_id == registry_id)
    return conditions


def event_logs(
    service: Service,
    principal: Principal,
    event: int,
    *,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[LogLine]:
    """The log lines of an event's request and workflow, oldest first. Raises Missing, InvalidInput."""
    with service.database.reading() as session:
        row = session.get(EventRow, event)
        if row is None or not permissions.may_for(principal, Action.EVENTS, row.actor_crn):
            raise Missing(f"There is no event {event}", action="See `registry-tui events list`")
        belongs = LogLineRow.request_id == row.request_id
        if row.workflow_id is not None:
            belongs = or_(belongs, LogLineRow.workflow_id == row.workflow_id)
        found = paging.keyset_page(
            session,
            select(LogLineRow).where(belongs),
            [paging.Key(LogLineRow.sequence)],
            scope=f"event-logs:{event}",
            page_size=page_size,
            page_token=page_token,
        )
    return found.to_page(log_line)


def log_line(row: LogLineRow) -> LogLine:
    """A log line as people see it."""
    return LogLine(
        sequence=row.sequence,
        created_at=row.created_at,
        request_id=row.request_id,
        workflow_id=row.workflow_id,
        level=row.level,
        text=row.text,
    )


def to_schema(row: EventRow) -> Event:
    """A row as people see it."""
    return Event(
        id=row.id,
        created_at=row.created_at,
        actor=row.actor,
        actor_crn=row.actor_crn,
        action=row.action,
        resource_type=row.resource_type,
        resource_id=row.resource_id,
        resource_name=row.resource_name,
        registry_id=row.registry_id,
        outcome=EventOutcome(row.outcome),
        request_id=row.request_id,
        workflow_id=row.workflow_id,
        duration_ms=row.duration_ms,
        detail=row.detail,
    )


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
