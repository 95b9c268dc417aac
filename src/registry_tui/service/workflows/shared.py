"""Steps that several kinds of workflow have in common."""

from __future__ import annotations

import time

from registry_tui.contracts.counts import counted
from registry_tui.schemas.deployments import DeploymentState
from registry_tui.service.adapters import vacuum
from registry_tui.service.database.tables import DeploymentRow, now
from registry_tui.service.engine.steps import StepContext
from registry_tui.service.errors import Missing, PartUnavailable
from registry_tui.service.publishing import gateway as gateway_link

#: When the object store frees the space of deleted objects by itself.
LATER = "the disk gets them back within a quarter of an hour"


def give_back(context: StepContext, deleted: int) -> None:
    """Compacts the store after bytes were deleted, and logs the freed bytes and those still to come."""
    if not deleted:
        context.log("nothing to give back to the disk")
        return
    try:
        freed = vacuum.reclaim(context.service.home, context.service.ports, deleted)
    except PartUnavailable as error:
        context.log(f"{error.detail}; {LATER}", "warning")
        return
    context.log(f"{counted(freed, 'byte')} of the disk are free again")
    if freed < deleted:
        context.log(f"{counted(deleted - freed, 'more byte')} in volumes in use; {LATER}")


#: Seconds for which the gateway may still use replicas that its new routes leave out.
SETTLE = 0.5


def set_state(context: StepContext, state: DeploymentState, reason: str = "", workflow: str | None = None) -> None:
    """Writes a deployment's state. Raises Missing."""
    with context.service.database.session() as session:
        row = session.get(DeploymentRow, context.resource.id)
        if row is None:
            raise Missing(f"The deployment {context.resource.name} is gone")
        row.state, row.reason, row.workflow_id, row.updated_at = state.value, reason, workflow, now()


def withdraw(context: StepContext) -> None:
    """Makes the gateway report that the deployment is stopping."""
    set_state(context, DeploymentState.STOPPING, workflow=context.workflow_id)
    gateway_link.publish(context.service)


def end_replicas(context: StepContext) -> None:
    """Removes every replica, once it has answered the requests under way."""
    local = context.service.backends.replicas
    names = local.names(context.resource.id)
    if names:
        time.sleep(SETTLE)
        local.remove(names)
    context.log(f"stopped {counted(len(names), 'replica')}")


def not_stopped(context: StepContext, why: str) -> None:
    """The deployment keeps serving while every replica still exists. Raises Missing."""
    with context.service.database.reading() as session:
        row = session.get(DeploymentRow, context.resource.id)
        active = None if row is None else gateway_link.active_revision(row)
        whole = row is not None and active is not None and gateway_link.has_replicas(context.service, row, active)
    set_state(context, DeploymentState.DEPLOYED if whole else DeploymentState.FAILED, why)
    gateway_link.publish(context.service)
