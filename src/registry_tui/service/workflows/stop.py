"""Stopping a deployment: callers get a response with the reason, then its replicas end."""

from __future__ import annotations

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.deployments import DeploymentState
from registry_tui.schemas.operations import WorkflowKind
from registry_tui.service.core import served
from registry_tui.service.engine import permits
from registry_tui.service.engine.steps import Definition, Step, StepContext
from registry_tui.service.publishing import gateway as gateway_link
from registry_tui.service.workflows.shared import end_replicas, not_stopped, set_state, withdraw


def _stopped(context: StepContext) -> None:
    set_state(context, DeploymentState.STOPPED)
    with context.service.database.session() as session:
        served.stopped(session, context.resource.id, context.principal.name)
    gateway_link.publish(context.service)


def _failed(context: StepContext) -> None:
    not_stopped(context, context.error or "stopping it was cancelled")


STOP = Definition(
    kind=WorkflowKind.STOP,
    action="deployment.stop",
    permit=permits.in_project(Action.DEPLOYMENT_CHANGE),
    steps=(Step("withdraw from gateway", withdraw), Step("stop replicas", end_replicas)),
    on_success=_stopped,
    on_failure=_failed,
    on_cancel=_failed,
)
