"""Stopping a deployment: callers are told, then its replicas end."""

from __future__ import annotations

import time

from registry_tui.schemas.deployments import DeploymentState
from registry_tui.schemas.operations import WorkflowKind
from registry_tui.service.backends.supervisord import LocalReplicas
from registry_tui.service.database.tables import DeploymentRow, now
from registry_tui.service.engine.steps import Definition, Step, StepContext
from registry_tui.service.errors import Missing
from registry_tui.service.publishing import gateway as gateway_link
from registry_tui.service.workflows import DEFINITIONS

#: Seconds for which the gateway may still use replicas that it was told to leave.
SETTLE = 0.5


def set_state(context: StepContext, state: DeploymentState, reason: str = "", workflow: str | None = None) -> None:
    """Writes a deployment's state. Raises Missing."""
    with context.service.database.session() as session:
        row = session.get(DeploymentRow, context.resource.id)
        if row is None:
            raise Missing(f"The deployment {context.resource.name} is gone")
        row.state, row.reason, row.workflow_id, row.updated_at = state.value, reason, workflow, now()


def withdraw(context: StepContext) -> None:
    """The gateway answers that it stops."""
    set_state(context, DeploymentState.STOPPING, workflow=context.workflow_id)
    gateway_link.publish(context.service)


def end_replicas(context: StepContext) -> None:
    """Takes away every replica, once it has answered what it was asked."""
    local = LocalReplicas(context.service.home)
    names = local.names(context.resource.id)
    if names:
        time.sleep(SETTLE)
        local.remove(names)
    context.log(f"{len(names)} replicas stopped")


def _stopped(context: StepContext) -> None:
    set_state(context, DeploymentState.STOPPED)
    gateway_link.publish(context.service)


def not_stopped(context: StepContext, why: str) -> None:
    """As long as every replica is still there it goes on to serve. Raises Missing."""
    with context.service.database.reading() as session:
        row = session.get(DeploymentRow, context.resource.id)
        active = None if row is None else gateway_link.active_revision(row)
        whole = row is not None and active is not None and gateway_link.has_replicas(context.service, row, active)
    set_state(context, DeploymentState.DEPLOYED if whole else DeploymentState.FAILED, why)
    gateway_link.publish(context.service)


def _failed(context: StepContext) -> None:
    not_stopped(context, context.error or "stopping it was cancelled")


STOP = DEFINITIONS[WorkflowKind.STOP] = Definition(
    kind=WorkflowKind.STOP,
    action="deployment.stop",
    steps=(Step("withdraw from gateway", withdraw), Step("stop replicas", end_replicas)),
    on_success=_stopped,
    on_failure=_failed,
    on_cancel=_failed,
)
