"""Configuring an environment's Model Registry in each of its workspaces."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from registry_tui.contracts.counts import counted
from registry_tui.contracts.permissions import Action
from registry_tui.schemas.operations import Progress, WorkflowKind
from registry_tui.schemas.registries import RegistryStatus, SynchronizeState
from registry_tui.service.database.tables import ProjectRow, WorkspaceRow, WorkspaceSyncRow, now
from registry_tui.service.engine import permits
from registry_tui.service.engine.steps import Definition, Step, StepContext
from registry_tui.service.errors import Missing, PartUnavailable, ServiceError, WrongState
from registry_tui.service.publishing import mlflow as routing
from registry_tui.service.registries import lifecycle as registries


def _begin(context: StepContext) -> None:
    """An old workflow may be retried when the registry is not available any more. Raises Missing, WrongState."""
    row = registries.load(context.service, context.resource.id)
    if row is None:
        raise Missing(f"Model Registry {context.resource.name} was deleted")
    registries.require_live(row)
    registries.change(
        context.service,
        context.resource.id,
        status=RegistryStatus.MODIFY_STARTED.value,
        workflow_id=context.workflow_id,
    )


def _list(context: StepContext) -> Mapping[str, Any]:
    row = registries.load(context.service, context.resource.id)
    if row is None:
        raise Missing(f"Model Registry {context.resource.name} was deleted")
    query = select(WorkspaceRow).where(WorkspaceRow.environment_id == row.environment_id).order_by(WorkspaceRow.name)
    with context.service.database.reading() as session:
        found = [[workspace.id, workspace.name] for workspace in session.scalars(query)]
    context.log(f"{counted(len(found), 'workspace')}: {', '.join(name for _, name in found) or 'none'}")
    return {"workspaces": found}


def _synchronize(context: StepContext) -> Mapping[str, Any]:
    """Each workspace has its own outcome; a failed one does not affect the others."""
    workspaces = context.state["workspaces"]
    failed: list[str] = []
    for done, (workspace_id, name) in enumerate(workspaces):
        context.check_cancelled()
        context.progress(Progress(files_done=done, files_total=len(workspaces)))
        before = _note(context, workspace_id, SynchronizeState.RUNNING, started_at=now(), error=None)
        if before is _GONE:
            context.log(f"{name}: the workspace was deleted")
            continue
        try:
            count = _tell(context, workspace_id)
        except PartUnavailable:
            _note(context, workspace_id, SynchronizeState.RUNNING, synchronized_at=before)
            raise
        except ServiceError as error:
            failed.append(name)
            _note(
                context,
                workspace_id,
                SynchronizeState.FAILED,
                finished_at=now(),
                error=error.detail,
                synchronized_at=before,
            )
            context.log(f"{name}: {error.detail}", "error")
        else:
            _note(context, workspace_id, SynchronizeState.COMPLETED, finished_at=now())
            context.log(f"{name}: synchronized, {counted(count, 'project')}")
    return {"failed": failed}


def _tell(context: StepContext, workspace_id: str) -> int:
    """Sets routes and access of a workspace's projects; tries them by requesting the registry in each of them."""
    service = context.service
    _note(context, workspace_id, SynchronizeState.RUNNING, synchronized_at=now())
    routing.publish(service)
    # The project of a server elsewhere has nothing in MLflow here that could use the registry.
    own = ~ProjectRow.workspace.has(WorkspaceRow.attached_server.has())
    query = select(ProjectRow).where(ProjectRow.workspace_id == workspace_id, ProjectRow.state == "ready", own)
    with service.database.reading() as session:
        projects = [(row.id, row.mlflow_workspace) for row in session.scalars(query)]
    for project_id, mlflow_workspace in projects:
        routing.mirror_access(service, project_id)
        try:
            service.mlflow.call(
                "GET", "registered-models/search", workspace=mlflow_workspace, params={"max_results": 1}
            )
        except Missing:
            with service.database.reading() as session:
                row = session.get(ProjectRow, project_id)
            if row is not None and row.state == "ready":
                raise
    return len(projects)


_GONE = object()


def _note(context: StepContext, workspace_id: str, state: SynchronizeState, **values: Any) -> datetime | object | None:
    """Writes a workspace's outcome; returns the time of the previous synchronization, or `_GONE`."""
    with context.service.database.session() as session:
        if session.get(WorkspaceRow, workspace_id) is None:
            return _GONE
        row = session.get(WorkspaceSyncRow, workspace_id)
        if row is None:
            row = WorkspaceSyncRow(workspace_id=workspace_id, registry_id=context.resource.id, state=state.value)
            session.add(row)
        before = row.synchronized_at
        row.state = state.value
        for name, value in values.items():
            setattr(row, name, value)
        return before


def _publish(context: StepContext) -> None:
    routing.publish(context.service)
    if failed := context.state["failed"]:
        raise WrongState(
            f"{len(failed)} of {counted(len(context.state['workspaces']), 'workspace')} could not be synchronized: "
            f"{', '.join(failed)}",
            action="See the workflow's log lines for the reasons, then synchronize again",
        )


def _settle(context: StepContext, status: RegistryStatus, why: str) -> None:
    """Marks workspaces still *running* as failed, when the workflow ended before it reached them."""
    service, registry_id = context.service, context.resource.id
    row = registries.load(service, registry_id)
    if row is None or row.workflow_id != context.workflow_id:
        return
    with service.database.session() as session:
        for sync in session.scalars(select(WorkspaceSyncRow).where(WorkspaceSyncRow.registry_id == registry_id)):
            if sync.state == SynchronizeState.RUNNING.value:
                sync.state, sync.error, sync.finished_at = SynchronizeState.FAILED.value, why, now()
    routing.publish(service)
    registries.change(service, registry_id, status=status.value, workflow_id=None)


def _succeed(context: StepContext) -> None:
    registries.change(
        context.service, context.resource.id, status=RegistryStatus.MODIFY_FINISHED.value, workflow_id=None
    )


def _fail(context: StepContext) -> None:
    _settle(context, RegistryStatus.MODIFY_FAILED, context.error or "failed")


def _cancel(context: StepContext) -> None:
    _settle(context, RegistryStatus.MODIFY_FINISHED, "cancelled")


SYNCHRONIZE = Definition(
    kind=WorkflowKind.SYNCHRONIZE,
    action="registry.synchronize",
    permit=permits.in_environment(Action.REGISTRY_SYNCHRONIZE),
    steps=(
        Step("list workspaces", _list),
        Step("synchronize workspaces", _synchronize),
        Step("publish", _publish),
    ),
    on_start=_begin,
    on_success=_succeed,
    on_failure=_fail,
    on_cancel=_cancel,
)
