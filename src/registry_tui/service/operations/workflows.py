"""Workflows and their log lines as people see them."""

from __future__ import annotations

from contextlib import AbstractContextManager

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, FieldProblem, Page
from registry_tui.schemas.operations import LogLine, Workflow, WorkflowKind, WorkflowStatus
from registry_tui.service.core import paging, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.events import refusals
from registry_tui.service.database.tables import LogLineRow, WorkflowRow
from registry_tui.service.engine.rows import ACTIVE, get_row, to_schema
from registry_tui.service.errors import InvalidInput, NotPermitted
from registry_tui.service.operations import events


def get_workflow(service: Service, principal: Principal, workflow_id: str) -> Workflow:
    """One workflow. Raises Missing, NotPermitted."""
    with service.database.reading() as session:
        return to_schema(_visible(session, principal, workflow_id))


def list_workflows(
    service: Service,
    principal: Principal,
    *,
    kind: str | None = None,
    status: str | None = None,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[Workflow]:
    """Workflows, newest first: an administrator sees all, others their own. `status` may be "active".

    Raises InvalidInput for an unknown kind or status, or a wrong token.
    """
    query = select(WorkflowRow)
    if permissions.own_only(principal, Action.WORKFLOWS):
        query = query.where(WorkflowRow.actor_crn == principal.crn)
    if kind is not None:
        _check("kind", kind, [each.value for each in WorkflowKind])
        query = query.where(WorkflowRow.kind == kind)
    if status is not None:
        _check("status", status, ["active", *(each.value for each in WorkflowStatus)])
        query = query.where(WorkflowRow.status.in_(ACTIVE if status == "active" else [status]))
    with service.database.reading() as session:
        found = paging.keyset_page(
            session,
            query,
            [paging.Key(WorkflowRow.created_at, descending=True), paging.Key(WorkflowRow.id, descending=True)],
            scope=f"workflows:{principal.name}:{kind}:{status}",
            page_size=page_size,
            page_token=page_token,
        )
    return found.to_page(to_schema)


def workflow_logs(
    service: Service,
    principal: Principal,
    workflow_id: str,
    *,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[LogLine]:
    """A workflow's log lines, oldest first. Raises Missing, NotPermitted, InvalidInput."""
    with service.database.reading() as session:
        _visible(session, principal, workflow_id)
        found = paging.keyset_page(
            session,
            select(LogLineRow).where(LogLineRow.workflow_id == workflow_id),
            [paging.Key(LogLineRow.sequence)],
            scope=f"workflow-logs:{workflow_id}",
            page_size=page_size,
            page_token=page_token,
        )
    return found.to_page(events.log_line)


def cancel_workflow(service: Service, principal: Principal, workflow_id: str) -> Workflow:
    """Cancels a workflow. Raises Missing, NotPermitted, WrongState."""
    with _refusals(service, principal, "workflow.cancel", workflow_id):
        get_workflow(service, principal, workflow_id)
        return service.workflows.cancel(workflow_id)


def retry_workflow(service: Service, principal: Principal, workflow_id: str) -> Workflow:
    """Runs a failed or cancelled workflow again, for people who may begin that work now.

    Raises Missing, NotPermitted, WrongState.
    """
    with _refusals(service, principal, "workflow.retry", workflow_id):
        get_workflow(service, principal, workflow_id)
        return service.workflows.retry(principal, workflow_id)


def _refusals(service: Service, principal: Principal, action: str, workflow_id: str) -> AbstractContextManager[None]:
    """Records refusals of the block. Raises Missing."""
    with service.database.reading() as session:
        row = get_row(session, workflow_id)
    resource = Resource("workflow", row.id, f"{row.kind} {row.resource_name}", row.registry_id)
    return refusals(service, principal, action, resource)


def _visible(session: Session, principal: Principal, workflow_id: str) -> WorkflowRow:
    row = get_row(session, workflow_id)
    if not permissions.may_for(principal, Action.WORKFLOWS, row.actor_crn):
        raise NotPermitted(f"The workflow belongs to {row.actor}", action="Ask them, or the administrator")
    return row


def _check(field: str, value: str, allowed: list[str]) -> None:
    if value not in allowed:
        message = f"{value!r} is not one of: {', '.join(allowed)}"
        raise InvalidInput(f"There is no such workflow {field}", errors=[FieldProblem(field=field, message=message)])
