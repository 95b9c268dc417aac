"""Deleting a Model Registry: its workspaces forget it; models and machine user go; archives go or stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from registry_tui.schemas.operations import WorkflowKind
from registry_tui.schemas.registries import RegistryStatus
from registry_tui.service import registries, routing
from registry_tui.service.database.tables import RegistryRow, WorkspaceRow, WorkspaceSyncRow
from registry_tui.service.errors import Missing, ServiceError
from registry_tui.service.workflows import DEFINITIONS
from registry_tui.service.workflows.steps import Definition, Step, StepContext, StepFunction


def _row(context: StepContext) -> RegistryRow:
    row = registries.load(context.service, context.resource.id)
    if row is None:
        raise Missing(f"Model Registry {context.resource.name} is gone")
    return row


def _forced(run: StepFunction) -> StepFunction:
    """With `force`, a step that fails is written down and passed over."""

    def run_forced(context: StepContext) -> Mapping[str, Any] | None:
        try:
            return run(context)
        except ServiceError as error:
            if not context.arguments["force"]:
                raise
            context.log(f"went on although this failed: {error.detail}", "error")
            return None

    return run_forced


def _begin(context: StepContext) -> None:
    registries.change(
        context.service,
        context.resource.id,
        status=RegistryStatus.DEPROVISION_STARTED.value,
        workflow_id=context.workflow_id,
    )


def _list(context: StepContext) -> Mapping[str, Any]:
    """Which workspaces know the registry, kept so that withdrawing can be undone."""
    query = select(WorkspaceSyncRow).where(WorkspaceSyncRow.registry_id == _row(context).id)
    with context.service.database.reading() as session:
        return {"withdrawn": [sync.workspace_id for sync in session.scalars(query) if sync.synchronized_at]}


def _withdraw(context: StepContext) -> None:
    """The projects forget the registry."""
    service, row = context.service, _row(context)
    with service.database.session() as session:
        for sync in session.scalars(select(WorkspaceSyncRow).where(WorkspaceSyncRow.registry_id == row.id)):
            sync.synchronized_at = None
    routing.publish(service)
    routing.mirror_environment(service, row.environment_id)
    context.log(f"{len(context.state['withdrawn'])} workspaces no longer register here")


def _restore(context: StepContext) -> None:
    service = context.service
    row = registries.load(service, context.resource.id)
    if row is None or context.state.get("emptied"):
        return
    registries.change(service, row.id, status=context.arguments["before"])
    with service.database.session() as session:
        for workspace_id in context.state.get("withdrawn", []):
            sync = session.get(WorkspaceSyncRow, workspace_id)
            if sync is not None and session.get(WorkspaceRow, workspace_id) is not None:
                sync.synchronized_at = sync.finished_at
    routing.publish(service)
    routing.mirror_environment(service, row.environment_id)
    context.log("its workspaces register here again")


def _remove_models(context: StepContext) -> Mapping[str, Any]:
    row = _row(context)
    context.service.mlflow.delete_workspace(row.mlflow_workspace, cascade=True)
    context.log(f"registered models and MLflow workspace {row.mlflow_workspace} removed")
    return {"emptied": True}


def _remove_archives(context: StepContext) -> None:
    row = _row(context)
    place = f"s3://{row.environment.bucket}/{row.prefix}/"
    if not context.arguments["delete_archives"]:
        context.log(f"archives stay in {place}")
        return
    gone = context.service.object_store.delete_prefix(row.environment.bucket, f"{row.prefix}/")
    context.log(f"{gone.objects} objects, {gone.bytes} bytes removed from {place}")


def _remove_user(context: StepContext) -> None:
    row = _row(context)
    if row.machine_user_workload_name:
        context.service.object_store.delete_user(row.machine_user_workload_name)
        context.log(f"machine user {row.machine_user_workload_name} removed")


def _remove_row(context: StepContext) -> None:
    with context.service.database.session() as session:
        row = session.get(RegistryRow, context.resource.id)
        if row is not None:
            session.delete(row)
    routing.publish(context.service)


def _end(context: StepContext) -> None:
    """What failed or was cancelled half-way cannot be used any more; what was not begun is as before."""
    row = registries.load(context.service, context.resource.id)
    if row is None:
        return
    emptied = context.state.get("emptied", False)
    status = RegistryStatus.DEPROVISION_FAILED.value if emptied or context.error else context.arguments["before"]
    registries.change(context.service, row.id, status=status, workflow_id=None)
    routing.publish(context.service)


DEPROVISION = DEFINITIONS[WorkflowKind.DEPROVISION] = Definition(
    kind=WorkflowKind.DEPROVISION,
    action="registry.delete",
    steps=(
        Step("list workspaces", _list),
        Step("withdraw from workspaces", _withdraw, undo=_restore),
        Step("remove registered models", _forced(_remove_models)),
        Step("remove archives", _forced(_remove_archives)),
        Step("remove machine user", _forced(_remove_user)),
        Step("remove registry", _remove_row),
    ),
    on_start=_begin,
    on_failure=_end,
    on_cancel=_end,
)
