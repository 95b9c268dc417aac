"""Deleting a deployment: its replicas are stopped, then its rows and files are deleted; its logs stay."""

from __future__ import annotations

import shutil
from contextlib import suppress

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.operations import WorkflowKind
from registry_tui.service.core import served
from registry_tui.service.database.tables import DeploymentRow
from registry_tui.service.deployments import shared_files
from registry_tui.service.engine import permits
from registry_tui.service.engine.steps import Definition, Step, StepContext
from registry_tui.service.errors import Missing
from registry_tui.service.publishing import gateway as gateway_link
from registry_tui.service.workflows.shared import end_replicas, not_stopped, withdraw


def _withdraw(context: StepContext) -> None:
    try:
        withdraw(context)
    except Missing:
        context.log("its rows are gone already")


def _remove(context: StepContext) -> None:
    service = context.service
    with service.database.session() as session:
        row = session.get(DeploymentRow, context.resource.id)
        if row is not None:
            session.delete(row)
            served.deleted(session, context.resource.id, context.principal.name)
    gateway_link.publish(service)
    shutil.rmtree(service.home.serving / "deployments" / context.resource.id, ignore_errors=True)
    # Requests that waited while it was withdrawn are written later, and removed by the next cleanup.
    shutil.rmtree(service.home.request_logs / context.resource.id, ignore_errors=True)
    shared_files.drop_unused(service)


def _failed(context: StepContext) -> None:
    with suppress(Missing):
        not_stopped(context, context.error or "deleting it was cancelled")


UNDEPLOY = Definition(
    kind=WorkflowKind.UNDEPLOY,
    action="deployment.delete",
    permit=permits.in_project(Action.DEPLOYMENT_CHANGE),
    steps=(
        Step("withdraw from gateway", _withdraw),
        Step("stop replicas", end_replicas),
        Step("remove deployment", _remove),
    ),
    on_failure=_failed,
    on_cancel=_failed,
)
