"""The first real calls of a revision decide whether it stays: when they hang or fail, the deployment is rolled back.

A revision is on trial until one of its calls is answered. The earlier replicas are gone by then: the rollback is a
rollout like a requested one, so that no memory has to be reserved for replicas that may never be needed.
"""

from __future__ import annotations

from sqlalchemy import update

from registry_tui.schemas.deployments import RevisionState
from registry_tui.schemas.operations import EventOutcome
from registry_tui.service.backends.base import Backend
from registry_tui.service.core import events, identity
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import DeploymentRow, RevisionRow
from registry_tui.service.deployments import finding, shared_files
from registry_tui.service.deployments import rules as deployments
from registry_tui.service.deployments.revisions import settings_of
from registry_tui.service.publishing import gateway as gateway_link

#: Calls that hang, end the replica or raise before any is answered, at least, for a deployment to be rolled back.
HUNG, DIED, RAISED = 1, 2, 3
#: Calls that raise, of a version that answered its own input example: they may be the callers' fault.
RAISED_WITH_EXAMPLE = 10


def judge(service: Service, local: Backend, row: DeploymentRow) -> bool:
    """Judges the serving revision by its replicas' first calls; returns whether the deployment is rolled back.

    Raises ServiceError when the rollback cannot begin.
    """
    active = gateway_link.active_revision(row)
    if active is None or active.proven:
        return False
    found = [local.calls(name) for name in gateway_link.replica_names(row, active)]
    if any(each.answered for each in found):
        _note(service, row, active, proven=True, error="")
        return False
    if active.error:
        return False
    hung, died, raised = (sum(getattr(each, what) for each in found) for what in ("hung", "died", "raised"))
    if hung < HUNG and died < DIED and raised < _most_raised(service, row, active):
        return False
    trouble = next(each.trouble for each in found if each.trouble)
    why = f"revision {active.number} (version {active.version}) was rolled back: its first {trouble}"
    target = _before(row, active)
    if target is None:
        _note(service, row, active, proven=False, error=f"its first {trouble}")
        return False
    owner = identity.owner_principal(service)
    settings = settings_of(service, owner, row, target)
    comment = f"went back by itself to revision {target.number}"
    deployments.roll_out(service, owner, row, settings, comment, instead_of=active.number, reason=why)
    events.record(
        service,
        owner,
        action="deployment.roll-back",
        resource=finding.resource_of(row),
        outcome=EventOutcome.FAILED,
        detail=why,
    )
    return True


def _most_raised(service: Service, row: DeploymentRow, active: RevisionRow) -> int:
    example = shared_files.has_example(service, row.model_id, active.version_id)
    return RAISED_WITH_EXAMPLE if example else RAISED


def _before(row: DeploymentRow, active: RevisionRow) -> RevisionRow | None:
    """The last revision that served something else, and was not found to fail."""
    served = [
        each
        for each in row.revisions
        if each.number < active.number
        and each.state == RevisionState.REPLACED.value
        and not deployments.serves_the_same(each, active)
    ]
    return served[-1] if served else None


def _note(service: Service, row: DeploymentRow, active: RevisionRow, **values: object) -> None:
    with service.database.session() as session:
        session.execute(
            update(RevisionRow)
            .where(RevisionRow.deployment_id == row.id, RevisionRow.generation == active.generation)
            .values(**values)
        )
