"""Durable workflows."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from registry_tui.schemas.base import Page
from registry_tui.schemas.operations import LogLine, Workflow, WorkflowKind
from registry_tui.service.http.routes.dependencies import Acting, PageIn, ServiceIn
from registry_tui.service.http.routes.keyed import new_router
from registry_tui.service.operations import workflows as queries

router = new_router("workflows")


@router.get("/workflows")
def list_workflows(
    service: ServiceIn,
    principal: Acting,
    page: PageIn,
    kind: WorkflowKind | None = None,
    status: Annotated[str | None, Query(description='A status, or "active"')] = None,
) -> Page[Workflow]:
    """Long work, newest first: administrators see all, others their own."""
    return queries.list_workflows(
        service,
        principal,
        kind=None if kind is None else kind.value,
        status=status,
        page_size=page.page_size,
        page_token=page.page_token,
    )


@router.get("/workflows/{workflow}")
def get_workflow(service: ServiceIn, principal: Acting, workflow: str) -> Workflow:
    """One workflow with its progress."""
    return queries.get_workflow(service, principal, workflow)


@router.get("/workflows/{workflow}/logs")
def workflow_logs(service: ServiceIn, principal: Acting, page: PageIn, workflow: str) -> Page[LogLine]:
    """A workflow's log lines, oldest first."""
    return queries.workflow_logs(service, principal, workflow, page_size=page.page_size, page_token=page.page_token)


@router.post("/workflows/{workflow}/cancel")
def cancel_workflow(service: ServiceIn, principal: Acting, workflow: str) -> Workflow:
    """Cancels a workflow: its steps are undone."""
    return queries.cancel_workflow(service, principal, workflow)


@router.post("/workflows/{workflow}/retry")
def retry_workflow(service: ServiceIn, principal: Acting, workflow: str) -> Workflow:
    """Retries a failed or cancelled workflow, as a new workflow."""
    return queries.retry_workflow(service, principal, workflow)
