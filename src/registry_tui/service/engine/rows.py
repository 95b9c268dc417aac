"""Rows of workflows, and how people see them."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry_tui.schemas.operations import Progress, Workflow, WorkflowKind, WorkflowStatus
from registry_tui.service.database.tables import WorkflowRow
from registry_tui.service.errors import Missing

#: The statuses of a workflow that is not finished.
ACTIVE = tuple(status.value for status in WorkflowStatus if not status.finished)


def get_row(session: Session, workflow_id: str) -> WorkflowRow:
    """A workflow's row. Raises Missing."""
    row = session.get(WorkflowRow, workflow_id)
    if row is None:
        raise Missing(f"There is no workflow {workflow_id!r}", action="See `registry-tui workflows list`")
    return row


def to_schema(row: WorkflowRow) -> Workflow:
    """The workflow as people see it."""
    return Workflow(
        id=row.id,
        kind=WorkflowKind(row.kind),
        status=WorkflowStatus(row.status),
        resource_type=row.resource_type,
        resource_id=row.resource_id,
        resource_name=row.resource_name,
        actor=row.actor,
        actor_crn=row.actor_crn,
        request_id=row.request_id,
        steps=row.steps,
        steps_done=row.steps_done,
        step=row.step,
        progress=Progress(**row.progress),
        created_at=row.created_at,
        updated_at=row.updated_at,
        finished_at=row.finished_at,
        error=row.error,
        action=row.action,
    )


def active_workflow(session: Session, resource_type: str, resource_id: str) -> Workflow | None:
    """The workflow that is working on a resource now, if one is."""
    query = select(WorkflowRow).where(WorkflowRow.lock == f"{resource_type}:{resource_id}")
    row = session.scalars(query).first()
    return None if row is None else to_schema(row)
