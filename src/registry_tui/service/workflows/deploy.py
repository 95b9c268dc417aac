"""Rolling a deployment to a revision: new replicas are ready before old ones end; on failure the old ones stay."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from registry_tui.contracts.counts import counted
from registry_tui.contracts.permissions import Action
from registry_tui.schemas.deployments import DeploymentState, RevisionState
from registry_tui.schemas.operations import WorkflowKind
from registry_tui.service.core import served
from registry_tui.service.database.tables import DeploymentRow, RevisionRow, now
from registry_tui.service.deployments import (
    canary_steps,
    in_cluster,
    input_example,
    machine,
    preparing,
    shared_files,
    starting,
)
from registry_tui.service.deployments.revisions import room_for
from registry_tui.service.engine import permits
from registry_tui.service.engine.steps import Definition, Step, StepContext
from registry_tui.service.errors import InvalidInput, Missing, WrongState
from registry_tui.service.publishing import gateway as gateway_link
from registry_tui.service.publishing.gateway import replica_names
from registry_tui.service.workflows.shared import SETTLE

logger = logging.getLogger(__name__)


def _begin(context: StepContext) -> Mapping[str, Any]:
    row = preparing.row_of(context)
    revision = preparing.revision_of(context, row)
    # Callers may reach the revision of a retried rollout already: they keep reaching it.
    state = RevisionState.ACTIVE if _reached(row, revision) else RevisionState.PENDING
    preparing.change(
        context,
        state=DeploymentState.DEPLOYING.value,
        reason="",
        workflow_id=context.workflow_id,
        revision={"state": state.value, "error": "", "workflow_id": context.workflow_id},
    )
    active = gateway_link.active_revision(row)
    serving = active is not None and active.state == RevisionState.ACTIVE.value
    if state is RevisionState.PENDING:
        canary_steps.begin_again(context, row, revision)
    gateway_link.publish(context.service)
    return {
        # The state to roll back to. A retried workflow may have been requested long ago, with other changes since.
        "before": context.arguments["before"] if row.workflow_id == context.workflow_id else row.state,
        "old": row.revision if serving else None,
        "generation": revision.generation,
    }


def _check(context: StepContext) -> None:
    """Requests a prediction of one new replica on the model's own example, which may need more than loading did."""
    service, row = context.service, preparing.row_of(context)
    revision = preparing.revision_of(context, row)
    folder = preparing.model_of(context, row, revision) / "files"
    try:
        example = shared_files.reading(lambda: input_example.read(folder), shared=context.state.get("shared", False))
    except shared_files.NfsSilent as silent:
        # The replicas have loaded the model.
        context.log(f"the model's input example is not tried: {silent.detail}", "warning")
        return
    if example is None:
        context.log("the model has no input example to try: its first calls decide whether it stays", "info")
        return
    backends, name = service.backends, replica_names(row, revision)[0]
    wrong = input_example.ask(backends, name, example, service.settings.prediction_seconds)
    if wrong is None:
        context.log("the model's own input example is answered")
    else:
        context.log(f"the model's own input example is answered with {wrong}", "warning")


def _switch(context: StepContext) -> None:
    """From here on callers reach the new revision: at once, or once it was tried on some of their requests."""
    row = preparing.row_of(context)
    revision = preparing.revision_of(context, row)
    canary_steps.watch(context, row, revision)
    with context.service.database.session() as session:
        present = session.get_one(DeploymentRow, row.id)
        for each in present.revisions:
            if each.number == revision.number:
                each.state = RevisionState.ACTIVE.value
            elif each.state == RevisionState.ACTIVE.value:
                # One whose calls failed has served, and must not be rolled back to.
                each.state = (RevisionState.FAILED if each.error else RevisionState.REPLACED).value
        present.revision, present.version, present.version_id = revision.number, revision.version, revision.version_id
        present.alias, present.follow_alias = revision.alias, revision.follow_alias
        present.updated_at = now()
        served.began(session, row.id, revision.number)
    gateway_link.publish(context.service)
    context.log(f"callers reach {row.model_name} v{revision.version}")


def _switch_back(context: StepContext) -> None:
    row = preparing.row_of(context)
    revision, old = preparing.revision_of(context, row), _old(context, row)
    if row.revision != revision.number or old is revision:
        canary_steps.withdraw(context, row, revision, SETTLE)
        return
    if old is not None and not gateway_link.has_replicas(context.service, row, old):
        context.log("replicas of before are gone already: callers stay with the new ones", "warning")
        return
    with context.service.database.session() as session:
        present = session.get_one(DeploymentRow, row.id)
        for each in present.revisions:
            if old is not None and each.number == old.number:
                each.state = RevisionState.ACTIVE.value
                present.version, present.version_id = each.version, each.version_id
                present.alias, present.follow_alias = each.alias, each.follow_alias
        present.revision = 0 if old is None else old.number
        served.went_back(session, row.id, revision.number, None if old is None else old.number)
    gateway_link.publish(context.service)


def _old(context: StepContext, row: DeploymentRow) -> RevisionRow | None:
    """The revision that served when this rollout began; if it failed before noting that, the one that serves now."""
    number = context.state.get("old", row.revision)
    return next((each for each in row.revisions if each.number == number), None)


def _retire(context: StepContext) -> None:
    """Removes replicas and files that no caller reaches any more. Errors are logged: the new replicas serve."""
    try:
        _take_old_away(context)
    except Exception as error:
        # Remains are removed later: replicas by `minder.py`, copies of archives after the next rollout.
        logger.exception("retiring old replicas of deployment %s", context.resource.name)
        context.log(f"not all of before could be taken away: {error}", "warning")


def _take_old_away(context: StepContext) -> None:
    """Ends the old replicas once they have answered the requests under way."""
    service, row = context.service, preparing.row_of(context)
    local = service.backends.replicas
    revision = preparing.revision_of(context, row)
    gone = [name for name in local.names(row.id) if not gateway_link.is_of(name, revision)]
    if gone:
        time.sleep(SETTLE)
        local.remove(gone)
        context.log(f"removed {counted(len(gone), 'earlier replica')}")
    shared_files.drop_unused(service)


def _remove_new(context: StepContext) -> None:
    """Removes the replicas started for a revision that will not serve."""
    service = context.service
    with suppress(Missing):
        row = preparing.row_of(context)
        revision, local = preparing.revision_of(context, row), service.backends.replicas
        if _reached(row, revision):
            return
        old = _old(context, row)
        if old is not None and in_cluster.set_number(service, row, old):
            return
        local.remove(
            [name for name in replica_names(row, revision) if old is None or not gateway_link.is_of(name, old)]
        )


def _reached(row: DeploymentRow, revision: RevisionRow) -> bool:
    """Whether callers reach this revision: they were switched to it, and not back."""
    return row.revision == revision.number and revision.state == RevisionState.ACTIVE.value


def _succeed(context: StepContext) -> None:
    reason = context.arguments.get("reason", "")
    preparing.change(context, state=DeploymentState.DEPLOYED.value, reason=reason, workflow_id=None)


def _fail(context: StepContext) -> None:
    _end(context, RevisionState.FAILED, context.error or "")


def _cancel(context: StepContext) -> None:
    why = ""
    with suppress(Missing):
        row = preparing.row_of(context)
        why = canary_steps.why_it_ended(context, row, preparing.revision_of(context, row))
    _end(context, RevisionState.CANCELLED, why or "cancelled")


def _end(context: StepContext, state: RevisionState, why: str) -> None:
    """Keeps the deployment as before, with the reason why it did not change."""
    with suppress(Missing):
        row = preparing.row_of(context)
        revision = preparing.revision_of(context, row)
        if _reached(row, revision):
            _succeed(context)
            return
        before = DeploymentState(context.state.get("before", context.arguments["before"]))
        old = _old(context, row)
        if old is not None and old is not revision and gateway_link.has_replicas(context.service, row, old):
            after = DeploymentState.DEPLOYED
            reason = f"revision {revision.number} (version {revision.version}) was rolled back: {why}"
        elif before is DeploymentState.STOPPED:
            after, reason = DeploymentState.STOPPED, f"it could not be started: {why}"
        else:
            after, reason = DeploymentState.FAILED, why
        canary_steps.close(context, row, revision, why)
        preparing.change(
            context,
            state=after.value,
            reason=reason,
            workflow_id=None,
            revision={"state": state.value, "error": why},
        )
        with context.service.database.session() as session:
            served.came_to_nothing(session, row.id, revision.number, why)
        gateway_link.publish(context.service)


def _admit(context: StepContext) -> None:
    """A retried workflow may find less memory than at first."""
    row = preparing.row_of(context)
    revision = preparing.revision_of(context, row)
    with context.service.database.reading() as session:
        try:
            beside = machine.claimed_beside(row, revision.generation) if not context.arguments.get("reason") else 0
            machine.require_room(session, row, room_for(revision), but=row.id, beside=beside)
        except InvalidInput as error:
            raise WrongState(error.detail, action=error.action) from error


DEPLOY = Definition(
    kind=WorkflowKind.DEPLOY,
    action="deployment.deploy",
    permit=permits.in_project(Action.DEPLOYMENT_CHANGE),
    steps=(
        Step("look for room", _admit),
        Step("fetch archive", preparing.fetch),
        Step("build environment", preparing.build),
        Step("start replicas", starting.start, undo=_remove_new),
        Step("try example", _check),
        Step("switch callers over", _switch, undo=_switch_back),
        Step("retire old replicas", _retire, cancellable=False),
    ),
    on_start=_begin,
    on_success=_succeed,
    on_failure=_fail,
    on_cancel=_cancel,
)
