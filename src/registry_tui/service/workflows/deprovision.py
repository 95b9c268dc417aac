"""Deleting a Model Registry: its workspaces forget it; models and machine user are deleted; archives may stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from registry_tui.contracts.counts import counted
from registry_tui.contracts.permissions import Action
from registry_tui.schemas.operations import WorkflowKind
from registry_tui.schemas.registries import RegistryStatus
from registry_tui.service.adapters.mlflow_rest import segment
from registry_tui.service.core import store_key_changes
from registry_tui.service.database.tables import RegistryRow, WorkspaceRow, WorkspaceSyncRow
from registry_tui.service.deployments import shared_files
from registry_tui.service.engine import permits
from registry_tui.service.engine.steps import Definition, Step, StepContext, StepFunction
from registry_tui.service.errors import Missing, ServiceError
from registry_tui.service.publishing import mlflow as routing
from registry_tui.service.registries import lifecycle as registries
from registry_tui.service.registries import storage_access
from registry_tui.service.registries.place import enter_registry
from registry_tui.service.storage import measuring as storage_measuring


def _row(context: StepContext) -> RegistryRow:
    row = registries.load(context.service, context.resource.id)
    if row is None:
        raise Missing(f"Model Registry {context.resource.name} is gone")
    return row


#: The state of a registry that has lost something: its deletion cannot be undone any more.
_EMPTIED: Mapping[str, Any] = {"emptied": True}


def _forced(run: StepFunction, otherwise: Mapping[str, Any] | None = _EMPTIED) -> StepFunction:
    """With `force`, a failing step is logged and skipped."""

    def run_forced(context: StepContext) -> Mapping[str, Any] | None:
        try:
            return run(context)
        except ServiceError as error:
            if not context.arguments["force"]:
                raise
            context.log(f"went on although this failed: {error.detail}", "error")
            return otherwise

    return run_forced


def _begin(context: StepContext) -> Mapping[str, Any]:
    """Checks again, because an old workflow may be retried. Raises Missing, InUse."""
    row = _row(context)
    if not context.arguments["force"]:
        registries.require_nothing_deployed(context.service, row)
    registries.change(
        context.service,
        row.id,
        status=RegistryStatus.DEPROVISION_STARTED.value,
        workflow_id=context.workflow_id,
    )
    return {"before": context.arguments["before"] if row.workflow_id == context.workflow_id else row.status}


def _list(context: StepContext) -> Mapping[str, Any]:
    """Which workspaces know the registry, kept so that withdrawing can be undone."""
    row, arguments = _row(context), context.arguments
    if arguments["delete_archives"] and not arguments["force"]:
        # Before anything is deleted: without the registry nobody could find its archives later.
        enter_registry(context.service, row.id, any_status=True).require_store(context.service)
    query = select(WorkspaceSyncRow).where(WorkspaceSyncRow.registry_id == row.id)
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
    context.log(f"registration ended for {counted(len(context.state['withdrawn']), 'workspace')}")


def _restore(context: StepContext) -> Mapping[str, Any] | None:
    service = context.service
    row = registries.load(service, context.resource.id)
    if row is None or context.state.get("emptied"):
        return None
    if RegistryStatus(context.state["before"]).live and not _has_models(context, row):
        return _EMPTIED
    registries.change(service, row.id, status=context.state["before"])
    with service.database.session() as session:
        for workspace_id in context.state.get("withdrawn", []):
            sync = session.get(WorkspaceSyncRow, workspace_id)
            if sync is not None and session.get(WorkspaceRow, workspace_id) is not None:
                sync.synchronized_at = sync.finished_at
    routing.publish(service)
    routing.mirror_environment(service, row.environment_id)
    context.log("its workspaces register here again")
    return None


def _has_models(context: StepContext, row: RegistryRow) -> bool:
    """Whether the MLflow workspace still exists: its removal may have been interrupted before that was noted."""
    try:
        context.service.mlflow.call("GET", f"/api/3.0/mlflow/workspaces/{segment(row.mlflow_workspace)}")
    except Missing:
        return False
    return True


def _remove_models(context: StepContext) -> Mapping[str, Any]:
    row = _row(context)
    context.service.mlflow.delete_workspace(row.mlflow_workspace, cascade=True)
    context.log(f"registered models and MLflow workspace {row.mlflow_workspace} removed")
    return _EMPTIED


def _remove_archives(context: StepContext) -> None:
    row = _row(context)
    shared_files.remove(context.service, row, log=context.log)
    registry = enter_registry(context.service, row.id, any_status=True)
    place = registry.uri(context.service)
    if not context.arguments["delete_archives"]:
        context.log(f"archives stay in {place}")
        return
    gone = registry.delete_below(context.service)
    context.log(f"{counted(gone.objects, 'object')}, {counted(gone.bytes, 'byte')} removed from {place}")


def _remove_user(context: StepContext) -> Mapping[str, Any]:
    """Before the archives, so that a registration under way cannot store any more."""
    row = _row(context)
    if row.machine_user_workload_name:
        # An outside Ranger's policies for a deleted user have no effect.
        if not storage_access.decided_outside(context.service, row):
            storage_access.revoke(context.service, row, context.principal.name)
        context.service.stores.users.delete_user(row.machine_user_workload_name)
        context.log(f"machine user {row.machine_user_workload_name} removed")
    store_key_changes.remove(context.service, row.id)
    return _EMPTIED


def _remove_row(context: StepContext) -> None:
    with context.service.database.session() as session:
        row = session.get(RegistryRow, context.resource.id)
        if row is not None:
            session.delete(row)
    storage_measuring.forget(context.service, context.resource.id)
    routing.publish(context.service)


def _end(context: StepContext) -> None:
    """A registry whose removal has begun cannot be used any more; otherwise it is as before."""
    row = registries.load(context.service, context.resource.id)
    if row is None or row.workflow_id != context.workflow_id:
        return
    before = context.state.get("before", context.arguments["before"])
    begun = context.error and "withdrawn" in context.state
    failed = begun or context.state.get("emptied", False)
    status = RegistryStatus.DEPROVISION_FAILED.value if failed else before
    registries.change(context.service, row.id, status=status)
    routing.publish(context.service)
    registries.change(context.service, row.id, workflow_id=None)


DEPROVISION = Definition(
    kind=WorkflowKind.DEPROVISION,
    action="registry.delete",
    permit=permits.in_environment(Action.REGISTRY_DELETE),
    steps=(
        Step("list workspaces", _list),
        Step("withdraw from workspaces", _forced(_withdraw, None), undo=_restore),
        Step("remove registered models", _forced(_remove_models)),
        Step("remove machine user", _forced(_remove_user)),
        Step("remove archives", _forced(_remove_archives)),
        Step("remove registry", _remove_row),
    ),
    on_start=_begin,
    on_failure=_end,
    on_cancel=_end,
)
