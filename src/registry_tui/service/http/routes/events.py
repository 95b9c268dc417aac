"""Events and their log lines."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Path, Query

from registry_tui.schemas.base import Page
from registry_tui.schemas.operations import ChainCheck, ChainLink, Event, EventChoices, EventOutcome, LogLine
from registry_tui.service.http.routes.dependencies import Acting, NameIn, PageIn, ServiceIn
from registry_tui.service.http.routes.keyed import new_router
from registry_tui.service.operations import event_chain, events

router = new_router("events")


@router.get("/events")
def list_events(
    service: ServiceIn,
    principal: Acting,
    page: PageIn,
    registry: Annotated[NameIn | None, Query(description="Name or ID of a Model Registry")] = None,
    actor: str | None = None,
    action: Annotated[str | None, Query(description="`registry.create`, or `registry` for all of its actions")] = None,
    outcome: EventOutcome | None = None,
    resource: Annotated[NameIn | None, Query(description="ID of the resource that the events are about")] = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Page[Event]:
    """Events, newest first: administrators see all, others their own."""
    return events.list_events(
        service,
        principal,
        registry=registry,
        actor=actor,
        action=action,
        outcome=None if outcome is None else outcome.value,
        resource=resource,
        since=since,
        until=until,
        page_size=page.page_size,
        page_token=page.page_token,
    )


@router.get("/events/choices")
def event_choices(
    service: ServiceIn,
    principal: Acting,
    registry: Annotated[NameIn | None, Query(description="Name or ID of a Model Registry")] = None,
) -> EventChoices:
    """The actors and actions that events can be filtered by."""
    return events.event_choices(service, principal, registry=registry)


@router.get("/events/verification")
def verify_events(
    service: ServiceIn,
    principal: Acting,
    after: Annotated[int, Query(ge=0, lt=1 << 63, description="The event behind which to begin")] = 0,
) -> ChainCheck:
    """Verifies by their hash chain that the next 5,000 events are unchanged."""
    return event_chain.verify_events(service, principal, after)


@router.get("/events/chain")
def event_links(
    service: ServiceIn,
    principal: Acting,
    page: PageIn,
    after: Annotated[int, Query(ge=0, lt=1 << 63, description="The event behind which to begin")] = 0,
) -> Page[ChainLink]:
    """The hash chain over the events, oldest first: hashes without the content of the events."""
    return event_chain.event_links(service, principal, after, page_size=page.page_size, page_token=page.page_token)


@router.get("/events/{event}/logs")
def event_logs(
    service: ServiceIn, principal: Acting, page: PageIn, event: Annotated[int, Path(ge=1, lt=1 << 63)]
) -> Page[LogLine]:
    """The log lines of an event's request and workflow, oldest first."""
    return events.event_logs(service, principal, event, page_size=page.page_size, page_token=page.page_token)
