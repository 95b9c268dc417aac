"""Requests for canaries: the checks before one begins, people's decisions, and the views.

`canary_steps.py` moves a canary on, as a part of the workflow that rolls a deployment out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry_tui.contracts.counts import counted
from registry_tui.contracts.permissions import Action
from registry_tui.gateway.canary_stats import CanaryStats, SideStats
from registry_tui.schemas.canaries import (
    ON_TRIAL,
    OPEN,
    Canary,
    CanaryState,
    Decision,
    Generation,
    Rollout,
    Strategy,
)
from registry_tui.service.core import events
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import CanaryRow, DeploymentRow, RevisionRow, now
from registry_tui.service.deployments.finding import find_for, resource_of
from registry_tui.service.errors import InUse, Missing, WrongState
from registry_tui.service.publishing import gateway as gateway_link

_DONE = {
    Decision.PAUSE: "paused",
    Decision.RESUME: "resumed",
    Decision.PROMOTE: "promoted",
    Decision.ABORT: "aborted",
}


def begin(service: Service, session: Session, row: DeploymentRow, new: RevisionRow, rollout: Rollout) -> None:
    """Adds the canary of a rollout that is about to begin.

    Raises WrongState without a serving version to compare it with, InUse while too many others are on trial.
    """
    active = gateway_link.active_revision(row)
    if active is None or not gateway_link.serves(row):
        raise WrongState(
            f"{row.name} serves no version that {new.version} could be tried beside",
            action="Roll it out with the strategy all-at-once",
        )
    if active.generation == new.generation:
        raise WrongState(
            "Nothing changes that callers could notice, so there is nothing to try",
            action="Roll it out with the strategy all-at-once",
        )
    most = max(1, service.settings.workflow_threads // 2)
    present = session.scalar(select(func.count()).select_from(CanaryRow).where(CanaryRow.state.in_(OPEN))) or 0
    if present >= most:
        raise InUse(
            f"{counted(present, 'other deployment')} on trial, and no more may be at once",
            action="Promote or abort one, or set workflow_threads higher",
        )
    session.add(new_row(row.id, new.number, active.number, rollout))


def new_row(deployment: str, revision: int, old_revision: int, rollout: Rollout) -> CanaryRow:
    """A canary that has not begun."""
    return CanaryRow(
        deployment_id=deployment,
        revision=revision,
        old_revision=old_revision,
        rollout=rollout.model_dump(mode="json"),
        baseline={},
        figures={},
    )


def newest(session: Session, deployment: str, revision: int | None = None) -> CanaryRow | None:
    """The last canary of a deployment, or of one of its revisions."""
    query = select(CanaryRow).where(CanaryRow.deployment_id == deployment)
    if revision is not None:
        query = query.where(CanaryRow.revision == revision)
    return session.scalars(query.order_by(CanaryRow.created_at.desc(), CanaryRow.id).limit(1)).first()


def open_ones(session: Session, deployments: Sequence[str]) -> Mapping[str, CanaryRow]:
    """The canaries of these deployments that have not ended, by deployment."""
    query = select(CanaryRow).where(CanaryRow.state.in_(OPEN), CanaryRow.deployment_id.in_(deployments))
    return {row.deployment_id: row for row in session.scalars(query)}


def get_canary(service: Service, principal: Principal, deployment: str) -> Canary:
    """The canary of a deployment, or its last one. Raises Missing, InvalidInput, NotPermitted."""
    row = find_for(service, principal, deployment, Action.DEPLOYMENT_READ)
    return _shown(service, row)


def decide(service: Service, principal: Principal, deployment: str, decision: Decision) -> Canary:
    """Pauses, resumes, promotes or aborts a canary. Idempotent.

    Raises Missing, InvalidInput, NotPermitted, WrongState when it has ended otherwise.
    """
    row = find_for(service, principal, deployment, Action.DEPLOYMENT_CHANGE)
    action = f"deployment.canary-{decision.value}"
    with events.recording(service, principal, action, resource_of(row)) as event, service.database.session() as session:
        canary = newest(session, row.id)
        if canary is None:
            raise _none(row)
        event.detail = f"revision {canary.revision}"
        if canary.state not in OPEN:
            raise WrongState(f"The canary of {row.name} has ended: {canary.reason or canary.state}")
        if canary.decision and canary.decision != decision.value:
            raise WrongState(f"The canary of {row.name} is being {_DONE[Decision(canary.decision)]} already")
        _write(row, canary, principal, decision)
        begins = canary.state == CanaryState.PENDING.value
    if decision is Decision.ABORT and begins and row.workflow_id is not None:
        with suppress(WrongState):  # its replicas became ready just now, or it is ending: it reads decisions itself
            service.workflows.cancel(row.workflow_id)
    return _shown(service, row)


def _write(row: DeploymentRow, canary: CanaryRow, principal: Principal, decision: Decision) -> None:
    if decision in (Decision.PROMOTE, Decision.ABORT):
        if decision is Decision.PROMOTE and canary.state == CanaryState.PENDING.value:
            raise WrongState(f"The new replicas of {row.name} do not answer yet", action="Wait until they do")
        canary.decision, canary.decided_by = decision.value, principal.name
        return
    if canary.state == CanaryState.PENDING.value:
        raise WrongState(f"The new replicas of {row.name} do not answer yet", action="Wait until they do")
    if decision is Decision.PAUSE and canary.state == CanaryState.RUNNING.value:
        canary.state, canary.paused_at = CanaryState.PAUSED.value, now()
        canary.reason = f"paused by {principal.name}"
    if decision is Decision.RESUME and canary.state == CanaryState.PAUSED.value:
        if canary.step_began_at is not None and canary.paused_at is not None:
            canary.step_began_at += now() - canary.paused_at
        canary.state, canary.paused_at, canary.reason = CanaryState.RUNNING.value, None, ""


def _none(row: DeploymentRow) -> Missing:
    return Missing(
        f"{row.name} has had no canary",
        action=f"Begin one: `registry-tui deployments update {row.name} --version N --strategy canary`",
    )


# -- showing ---------------------------------------------------------------------------------------------


def _shown(service: Service, row: DeploymentRow) -> Canary:
    with service.database.reading() as session:
        canary = newest(session, row.id)
    if canary is None:
        raise _none(row)
    return to_schema(row, canary, gateway_link.stats(service))


def counted_of(told: Mapping[str, Any], canary: CanaryRow) -> Mapping[str, Any]:
    """The gateway's counts of a canary, from a response of `gateway_link.stats`; of an ended one, its final counts."""
    found: Mapping[str, Any] = told.get("canaries", {}).get(canary.id, {})
    return found if canary.state in OPEN else canary.figures


def to_schema(row: DeploymentRow, canary: CanaryRow, told: Mapping[str, Any]) -> Canary:
    """A canary with its counts."""
    rollout = Rollout.model_validate(canary.rollout)
    its = counted_of(told, canary)
    stats, in_step = CanaryStats.of(its), CanaryStats.of(its, canary.baseline)
    on_trial = canary.state in ON_TRIAL
    share = float(rollout.shares[canary.step]) if on_trial else 0.0
    shadow = rollout.strategy is Strategy.SHADOW
    return Canary(
        id=canary.id,
        deployment_id=row.id,
        deployment_name=row.name,
        strategy=rollout.strategy,
        state=CanaryState(canary.state),
        steps=list(rollout.shares),
        step=0 if canary.step_began_at is None else canary.step + 1,
        step_seconds=rollout.step_seconds,
        seconds_left=seconds_left(canary, rollout) if on_trial else 0.0,
        requests_left=max(0, rollout.min_requests - in_step.new.requests) if on_trial else 0,
        pause_after=rollout.pause_after,
        max_error_rate=rollout.max_error_rate,
        max_p99_seconds=rollout.max_p99_seconds,
        max_disagreement=rollout.max_disagreement,
        min_requests=rollout.min_requests,
        tolerance=rollout.tolerance,
        old=_generation(row, canary.old_revision, 100.0 if shadow else 100.0 - share, stats.old),
        new=_generation(row, canary.revision, share, stats.new),
        compared=stats.compared,
        disagreeing=stats.disagreeing,
        disagreement=stats.disagreement,
        dropped=stats.dropped,
        reason=canary.reason,
        decided_by=canary.decided_by,
        workflow_id=row.workflow_id if canary.state in OPEN else None,
        created_at=canary.created_at,
        ended_at=canary.ended_at,
    )


def seconds_left(canary: CanaryRow, rollout: Rollout, at: datetime | None = None) -> float:
    """Seconds until the step has lasted long enough; they do not pass while it is paused."""
    if canary.step_began_at is None:
        return rollout.step_seconds
    moment = canary.paused_at or at or datetime.now(UTC)
    return max(0.0, rollout.step_seconds - (moment - canary.step_began_at).total_seconds())


def _generation(row: DeploymentRow, number: int, share: float, stats: SideStats) -> Generation:
    version = next((each.version for each in row.revisions if each.number == number), row.version)
    return Generation(
        revision=number,
        version=version,
        share=share,
        requests=stats.requests,
        errors=stats.errors,
        error_rate=stats.error_rate,
        p99=stats.p99,
    )
