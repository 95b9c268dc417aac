"""Runs one workflow: its steps in order, then how it ends. Called again after a kill, it takes the same path."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.orm import Session

from registry_tui.platform.databases import database_fault
from registry_tui.schemas.operations import EventOutcome, Progress, WorkflowKind, WorkflowStatus
from registry_tui.service.core import events
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import LogLineRow, WorkflowRow, now
from registry_tui.service.engine.patience import Patience, patiently
from registry_tui.service.engine.steps import Cancelled, Definition, Interrupted, StepContext, StepFunction
from registry_tui.service.errors import PartUnavailable, ServiceError

logger = logging.getLogger(__name__)

#: Seconds between two writes of a step's progress.
PROGRESS_EVERY = 0.25
#: Seconds between two checks for a cancellation that another process received.
HEAR_EVERY = 1.0

#: DBOS's record of a step: {"result": …}, {"error": …, "action": …} or {"cancelled": true}.
Outcome = dict[str, Any]

#: Called with "before" or "after", the workflow's kind and the step's name (`on_start`, `undo copy files`, …).
Observer = Callable[[str, WorkflowKind, str], None]


class Runner:
    """One workflow while it runs."""

    def __init__(
        self,
        service: Service,
        definition: Definition,
        row: WorkflowRow,
        *,
        cancel: threading.Event,
        stopping: threading.Event,
        patience: float,
        observers: Sequence[Observer] = (),
    ) -> None:
        """`cancel` is set when it is to be cancelled or the service stops, `stopping` when the service stops.

        `patience`: seconds that a step waits for a part of the platform that does not respond, without progress.
        """
        self._service = service
        self._stopping = stopping
        self._patience = patience
        self._observers = observers
        self._definition = definition
        self._id = row.id
        self._arguments = row.arguments
        self._created_at = row.created_at
        self._principal = Principal(row.actor, row.actor_crn, row.request_id, row.actor_administrator)
        self._resource = Resource(row.resource_type, row.resource_id, row.resource_name, row.registry_id)
        self._cancel = cancel
        self._state: dict[str, Any] = {}
        self._kept: dict[str, Any] = dict(row.state or {})
        self._cancellable = False
        self._progress: Progress | None = None
        self._progress_written = 0.0
        self._heard = 0.0
        self._error: str | None = None
        self._action: str | None = None

    def run(self, abandon: str | None = None) -> None:
        """Runs all steps; undoes them when one fails or the workflow is cancelled.

        `abandon`: only undoes, with this error, from the state in the workflow's row.
        """
        definition = self._definition
        if abandon is not None:
            self._state = self._kept
            self._end({"error": abandon}, len(definition.steps))
            return
        self._update(status=WorkflowStatus.CANCELLING if self._cancel.is_set() else WorkflowStatus.RUNNING)
        outcome = self._hook("on_start", definition.on_start)
        self._update(steps_done=0, state=dict(self._state))
        begun = 0
        while "result" in outcome and begun < len(definition.steps):
            step = definition.steps[begun]
            self._progress = None
            self._update(step=step.name, steps_done=begun, progress={})
            begun += 1
            outcome = self._durably(f"{begun} {step.name}", step.name, step.run, cancellable=step.cancellable)
            if "result" in outcome:
                self._state.update(outcome["result"])
                progress: dict[str, Any] = {} if self._progress is None else {"progress": self._progress.model_dump()}
                self._update(steps_done=begun, state=dict(self._state), **progress)
        if "result" in outcome:
            outcome = self._hook("on_success", definition.on_success)
        if "result" in outcome:
            self._finish(WorkflowStatus.SUCCEEDED)
        else:
            self._end(outcome, begun)

    def _end(self, outcome: Outcome, begun: int) -> None:
        """Undoes the first `begun` steps in reverse; the last one may be incomplete."""
        cancelled = "cancelled" in outcome
        status = WorkflowStatus.CANCELLED if cancelled else WorkflowStatus.FAILED
        self._error, self._action = outcome.get("error"), outcome.get("action")
        self._update(outcome=status.value, error=self._error, action=self._action, progress={})
        for step in reversed(self._definition.steps[:begun]):
            if step.undo is not None:
                self._update(step=f"undo {step.name}")
                self._clean_up(f"undo {step.name}", step.undo)
        if cancelled:
            self._clean_up("on_cancel", self._definition.on_cancel)
        else:
            self._clean_up("on_failure", self._definition.on_failure)
        self._finish(status)

    def _clean_up(self, name: str, function: StepFunction | None) -> None:
        outcome = self._hook(name, function)
        if "result" not in outcome:
            logger.error("workflow %s: %s: %s", self._id, name, outcome.get("error"))

    def _hook(self, name: str, function: StepFunction | None) -> Outcome:
        if function is None:
            return {"result": {}}
        outcome = self._durably(name, name, function, cancellable=False)
        self._state.update(outcome.get("result", {}))
        return outcome

    # -- one step ----------------------------------------------------------------------------------

    def _durably(self, label: str, name: str, function: StepFunction, *, cancellable: bool) -> Outcome:
        # As in `Engine.launch`.
        from dbos import DBOS

        self._cancellable = cancellable

        def attempt() -> Outcome:
            self._observe("before", name)
            outcome = self._attempt(name, function)
            self._observe("after", name)
            return outcome

        outcome: Outcome = DBOS.run_step({"name": label}, attempt)
        return outcome

    def _attempt(self, name: str, function: StepFunction) -> Outcome:
        """Runs a step until it is done, has failed, or is cancelled. Raises Interrupted."""
        context = StepContext(
            service=self._service,
            principal=self._principal,
            workflow_id=self._id,
            resource=self._resource,
            arguments=self._arguments,
            state=dict(self._state),
            reporter=self,
            error=self._error,
            action=self._action,
        )
        patience = Patience(self._patience)
        while True:
            try:
                self.check_cancelled()
                result = dict(function(context) or {})
                return {"result": result}
            except Cancelled:
                self.log(f"{name}: cancelled", "warning")
                return {"cancelled": True}
            except PartUnavailable as error:
                detail, action = error.detail, error.action
            except ServiceError as error:
                return self._failed(name, error.detail, error.action)
            except Exception as error:
                if (fault := database_fault(error)) is None:
                    logger.exception("workflow %s, step %s", self._id, name)
                    detail = f"Step “{name}” failed because of an error of the service itself ({type(error).__name__})"
                    return self._failed(name, detail, "See `registry-tui logs service`, then retry the workflow")
                detail, action = fault.detail, fault.action
                if fault.final:
                    return self._failed(name, detail, action)
            if (pause := patience.next_pause(self._progress)) is None:
                return self._failed(name, detail, action)
            self.log(f"{name}: {detail}; trying again", "warning")
            self._pause(pause)

    def _failed(self, name: str, detail: str, action: str | None) -> Outcome:
        self.log(f"{name}: {detail}", "error")
        return {"error": detail, "action": action}

    def _pause(self, seconds: float) -> None:
        if self._cancellable:
            self._cancel.wait(seconds)
        else:
            self._stopping.wait(seconds)

    def _observe(self, moment: str, name: str) -> None:
        for observer in self._observers:
            observer(moment, self._definition.kind, name)

    # -- the reports of a step (steps.Reporter) --------------------------------------------------------

    def log(self, text: str, level: str) -> None:
        logger.log(logging.getLevelNamesMapping().get(level.upper(), logging.INFO), "workflow %s: %s", self._id, text)
        facts = {"request_id": self._principal.request_id, "workflow_id": self._id, "level": level, "text": text}
        self._write(lambda session: session.add(LogLineRow(**facts)))

    def progress(self, progress: Progress) -> None:
        self._progress = progress
        moment = time.monotonic()
        if moment - self._progress_written >= PROGRESS_EVERY:
            self._progress_written = moment
            self._update(progress=progress.model_dump())

    def check_cancelled(self) -> None:
        if self._stopping.is_set():
            raise Interrupted
        if self._cancellable and self._service.database.shared:
            self._hear_others()
        if self._cancellable and self._cancel.is_set():
            raise Cancelled

    def _hear_others(self) -> None:
        """Polls whether another process was asked to cancel this workflow."""
        moment = time.monotonic()
        if self._cancel.is_set() or moment - self._heard < HEAR_EVERY:
            return
        self._heard = moment

        def read() -> bool:
            with self._service.database.reading() as session:
                return session.get_one(WorkflowRow, self._id).cancel_requested

        if patiently(read, self._stopping):
            self._cancel.set()

    # -- the workflow's row ----------------------------------------------------------------------------

    def _write(self, write: Callable[[Session], None]) -> None:
        """Writes in a transaction of its own, which may run again. Waits while the database is unavailable."""

        def transaction() -> None:
            with self._service.database.session() as session:
                write(session)

        patiently(transaction, self._stopping)

    def _update(self, **values: Any) -> None:
        def write(session: Session) -> None:
            row = session.get_one(WorkflowRow, self._id)
            if row.finished_at is not None:
                return  # it goes through its steps again, because DBOS did not learn that it had ended
            for name, value in values.items():
                # A workflow that resumes after a kill passes its finished steps again, and never goes back.
                if name == "steps_done" and value < row.steps_done:
                    return
                if name == "status" and row.cancel_requested:
                    continue
                setattr(row, name, value)
            row.updated_at = now()

        self._write(write)

    def _finish(self, status: WorkflowStatus) -> None:
        def write(session: Session) -> None:
            row = session.get_one(WorkflowRow, self._id)
            if row.finished_at is not None:
                return
            row.status = status.value
            row.lock = row.step = None
            row.finished_at = row.updated_at = now()
            session.add(
                events.event_row(
                    self._principal,
                    action=self._definition.action or f"{row.resource_type}.{row.kind}",
                    resource=self._resource,
                    outcome=EventOutcome(status.value),
                    workflow_id=self._id,
                    duration_ms=round((row.finished_at - self._created_at).total_seconds() * 1000),
                    detail=self._error or "",
                )
            )

        self._write(write)
