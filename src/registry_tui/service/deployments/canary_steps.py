"""Moves a canary on inside the workflow of its rollout: step by step, until it is promoted, aborted or rolled back.

All of its state is in the canary's row and in the gateway's counts, so it continues after a kill of any process.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from registry_tui.contracts.counts import counted
from registry_tui.gateway.canary_stats import CanaryStats
from registry_tui.schemas.canaries import OPEN, CanaryState, Decision, Rollout, Strategy
from registry_tui.schemas.operations import EventOutcome, Progress
from registry_tui.service.core import events
from registry_tui.service.database.tables import CanaryRow, DeploymentRow, RevisionRow, now
from registry_tui.service.deployments import canaries
from registry_tui.service.engine.steps import Cancelled, StepContext
from registry_tui.service.errors import WrongState
from registry_tui.service.publishing import gateway as gateway_link
from registry_tui.wording.words import milliseconds, percent

#: Seconds between two looks at a canary.
LOOK_EVERY = 0.3


def begin_again(context: StepContext, row: DeploymentRow, revision: RevisionRow) -> None:
    """Starts a new canary for a retried rollout, from the first step, next to the serving revision."""
    with context.service.database.session() as session:
        last = canaries.newest(session, row.id, revision.number)
        if last is None or last.state in OPEN or row.revision in (0, revision.number):
            return
        session.add(canaries.new_row(row.id, revision.number, row.revision, Rollout.model_validate(last.rollout)))


def watch(context: StepContext, row: DeploymentRow, revision: RevisionRow) -> None:
    """Returns once callers may be switched over: at once without a canary.

    Raises Cancelled when a person aborts it, WrongState when a bound is exceeded.
    """
    canary = _read(context, row, revision)
    if canary is None:
        return
    rollout = Rollout.model_validate(canary.rollout)
    if canary.state == CanaryState.PENDING.value and not canary.decision:
        _write(context, canary, state=CanaryState.RUNNING.value, step_began_at=now())
        _told_of_step(context, row, revision, rollout, 0)
    gateway_link.publish(context.service)
    while True:
        context.check_cancelled()
        canary = _read(context, row, revision)
        if canary is None or canary.state == CanaryState.PROMOTED.value:
            return
        if canary.state not in OPEN:
            raise WrongState(canary.reason)
        counted_ = canaries.counted_of(gateway_link.stats(context.service), canary)
        if canary.decision == Decision.ABORT.value:
            _end(context, canary, CanaryState.ABORTED, f"aborted by {canary.decided_by}", counted_)
            raise Cancelled
        if canary.decision == Decision.PROMOTE.value:
            _end(context, canary, CanaryState.PROMOTED, f"promoted by {canary.decided_by}", counted_)
            return
        why = _ended_replica(context, row, revision) or broken_bound(rollout, CanaryStats.of(counted_, canary.baseline))
        if why:
            _roll_back(context, canary, revision, why, counted_)
        if _step_is_over(canary, rollout, counted_) and _move(context, row, revision, canary, rollout, counted_):
            return
        context.progress(Progress(files_done=canary.step, files_total=len(rollout.shares)))
        time.sleep(LOOK_EVERY)


def withdraw(context: StepContext, row: DeploymentRow, revision: RevisionRow, settle: float) -> None:
    """Stops sending requests to a version whose rollout fails, before its replicas are removed."""
    canary = _read(context, row, revision)
    if canary is None:
        return
    promoted = canary.state == CanaryState.PROMOTED.value
    if promoted and row.revision == revision.number:
        return  # all callers reach it already
    if promoted or canary.state in OPEN:
        counted_ = canaries.counted_of(gateway_link.stats(context.service), canary)
        aborted = canary.decision == Decision.ABORT.value
        why = f"aborted by {canary.decided_by}" if aborted else context.error or "the rollout was cancelled"
        _end(context, canary, CanaryState.ROLLED_BACK if context.error else CanaryState.ABORTED, why, counted_)
    gateway_link.publish(context.service)
    time.sleep(settle)


def close(context: StepContext, row: DeploymentRow, revision: RevisionRow, why: str) -> None:
    """Ends the canary of a rollout that failed before the version was tried."""
    canary = _read(context, row, revision)
    if canary is not None and canary.state in OPEN:
        state = CanaryState.ROLLED_BACK if context.error else CanaryState.ABORTED
        _write(context, canary, state=state.value, reason=why, ended_at=now(), paused_at=None)


def why_it_ended(context: StepContext, row: DeploymentRow, revision: RevisionRow) -> str:
    """Why the canary of a rollout that was cancelled ended; empty without one."""
    canary = _read(context, row, revision)
    if canary is None:
        return ""
    return canary.reason or (f"aborted by {canary.decided_by}" if canary.decision == Decision.ABORT.value else "")


def broken_bound(rollout: Rollout, stats: CanaryStats) -> str:
    """Which bound a step's figures break, with the figures; empty when none is."""
    new = stats.new
    if new.requests < max(1, rollout.min_requests):
        return ""
    if rollout.max_error_rate is not None and new.error_rate > rollout.max_error_rate:
        return (
            f"{new.errors} of {counted(new.requests, 'request')} failed ({percent(new.error_rate)}), "
            f"more than the {percent(rollout.max_error_rate)} allowed"
        )
    p99 = new.p99
    if rollout.max_p99_seconds is not None and p99 is not None and p99 > rollout.max_p99_seconds:
        return (
            f"p99 of {counted(new.requests, 'request')} was {milliseconds(p99)}, "
            f"more than the {milliseconds(rollout.max_p99_seconds)} allowed"
        )
    if (
        rollout.max_disagreement is not None
        and stats.compared >= max(1, rollout.min_requests)
        and stats.disagreement > rollout.max_disagreement
    ):
        return (
            f"{stats.disagreeing} of {counted(stats.compared, 'answer')} differed from the old version's "
            f"({percent(stats.disagreement)}), more than the {percent(rollout.max_disagreement)} allowed"
        )
    return ""


# -- one look --------------------------------------------------------------------------------------------


def _read(context: StepContext, row: DeploymentRow, revision: RevisionRow) -> CanaryRow | None:
    with context.service.database.reading() as session:
        return canaries.newest(session, row.id, revision.number)


def _write(context: StepContext, canary: CanaryRow, **values: Any) -> None:
    with context.service.database.session() as session:
        present = session.get_one(CanaryRow, canary.id)
        for name, value in values.items():
            setattr(present, name, value)


def _end(context: StepContext, canary: CanaryRow, state: CanaryState, why: str, counted_: Mapping[str, Any]) -> None:
    _write(context, canary, state=state.value, reason=why, figures=dict(counted_), ended_at=now(), paused_at=None)
    context.log(f"the canary ended: {why}", "info" if state is CanaryState.PROMOTED else "warning")


def _roll_back(
    context: StepContext, canary: CanaryRow, revision: RevisionRow, why: str, counted_: Mapping[str, Any]
) -> None:
    """Raises WrongState."""
    _end(context, canary, CanaryState.ROLLED_BACK, why, counted_)
    events.record(
        context.service,
        context.principal,
        action="deployment.roll-back",
        resource=context.resource,
        outcome=EventOutcome.FAILED,
        detail=f"revision {revision.number} (version {revision.version}) was rolled back: {why}",
    )
    raise WrongState(why, action="See `registry-tui deployments canary status`")


def _ended_replica(context: StepContext, row: DeploymentRow, revision: RevisionRow) -> str:
    """Why a replica of the new version does not restart; empty while all run or restart."""
    for process in context.service.backends.replicas.look(gateway_link.replica_names(row, revision)):
        if process.state == "FATAL":
            return f"the replica {process.name.program} ended again and again"
    return ""


def _step_is_over(canary: CanaryRow, rollout: Rollout, counted_: Mapping[str, Any]) -> bool:
    if canary.state != CanaryState.RUNNING.value or canaries.seconds_left(canary, rollout) > 0:
        return False
    stats = CanaryStats.of(counted_, canary.baseline)
    compared = rollout.max_disagreement is None or stats.compared >= rollout.min_requests
    return stats.new.requests >= rollout.min_requests and compared


def _move(
    context: StepContext,
    row: DeploymentRow,
    revision: RevisionRow,
    canary: CanaryRow,
    rollout: Rollout,
    counted_: Mapping[str, Any],
) -> bool:
    """Moves on to the next step, or pauses for a person's decision; returns whether all steps are done."""
    share = rollout.shares[canary.step]
    with context.service.database.session() as session:
        present = session.get_one(CanaryRow, canary.id)
        if present.state != CanaryState.RUNNING.value or present.decision:
            return False  # a person decided just now
        if share == rollout.pause_after and not present.pause_done:
            present.state, present.paused_at, present.pause_done = CanaryState.PAUSED.value, now(), True
            present.reason = f"the step of {share} % is done: resume, promote or abort it"
            why = present.reason
        elif canary.step + 1 < len(rollout.shares):
            present.step, present.step_began_at, present.baseline = canary.step + 1, now(), dict(counted_)
            why = ""
        else:
            why = "all steps are done"
            present.state, present.reason = CanaryState.PROMOTED.value, why
            present.figures, present.ended_at = dict(counted_), now()
    if why:
        context.log(why)
        return why == "all steps are done"
    gateway_link.publish(context.service)
    _told_of_step(context, row, revision, rollout, canary.step + 1)
    return False


def _told_of_step(context: StepContext, row: DeploymentRow, revision: RevisionRow, rollout: Rollout, step: int) -> None:
    what = "copies of" if rollout.strategy is Strategy.SHADOW else ""
    message = f"version {revision.version} gets {what} {rollout.shares[step]} % of the requests".replace("  ", " ")
    context.log(message)
    events.record(
        context.service,
        context.principal,
        action="deployment.canary-step",
        resource=context.resource,
        outcome=EventOutcome.SUCCEEDED,
        detail=message,
    )
