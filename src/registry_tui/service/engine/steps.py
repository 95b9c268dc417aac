"""The parts of a durable workflow: a definition of steps, and the context of each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from registry_tui.schemas.operations import Progress, WorkflowKind
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.errors import NotPermitted

#: The type of a step, an undo, and a hook. A step's result is merged into `StepContext.state`.
StepFunction = Callable[["StepContext"], Mapping[str, Any] | None]


class Cancelled(Exception):
    """A person cancelled the workflow."""


class Interrupted(BaseException):
    """The service is stopping; the step is left unfinished and runs again at the next start.

    Not an Exception, so that neither a step nor DBOS takes it for a failure.
    """


@dataclass(frozen=True)
class Work:
    """The resource and arguments of a workflow."""

    resource: Resource
    arguments: Mapping[str, Any]


#: Raises NotPermitted or Missing unless the principal may begin the work now.
Permit = Callable[[Service, Principal, Work], None]


def only_administrator(service: Service, principal: Principal, work: Work) -> None:
    """The permit of kinds that name none. Raises NotPermitted."""
    if not principal.administrator:
        raise NotPermitted(
            f"{principal.name} may not begin the work on {work.resource.name} again", action="Ask the administrator"
        )


@dataclass(frozen=True)
class Step:
    """One idempotent piece of work: it may run again after a kill. `undo` must cope with work half or not done."""

    name: str
    run: StepFunction
    undo: StepFunction | None = None
    #: Whether this step may be cancelled. False once earlier steps can no longer be undone.
    cancellable: bool = True


@dataclass(frozen=True)
class Definition:
    """A kind of workflow. The hooks are durable steps too: `on_start` before all steps, one of the others at the end.

    The engine records the workflow's events, one when it starts and one when it ends; `action` names them, e.g.
    `registry.create` (default: the resource's type and the kind). `permit` decides who may begin the work again: the
    person who began it may have lost the role since.
    """

    kind: WorkflowKind
    steps: tuple[Step, ...]
    action: str = ""
    permit: Permit = only_administrator
    on_start: StepFunction | None = None
    on_success: StepFunction | None = None
    on_failure: StepFunction | None = None
    on_cancel: StepFunction | None = None


class Reporter(Protocol):
    """Passes a step's log lines, progress and checks to the engine."""

    def log(self, text: str, level: str) -> None: ...

    def progress(self, progress: Progress) -> None: ...

    def check_cancelled(self) -> None: ...


@dataclass(frozen=True)
class StepContext:
    """The context of a step."""

    service: Service
    #: The person who started the workflow, with the request's ID.
    principal: Principal
    workflow_id: str
    resource: Resource
    #: JSON objects: the arguments of the workflow, and the merged results of the steps so far.
    arguments: Mapping[str, Any]
    state: Mapping[str, Any]
    reporter: Reporter = field(repr=False)
    #: The workflow's error and the action to take, for `undo` and `on_failure`.
    error: str | None = None
    action: str | None = None

    def log(self, text: str, level: str = "info") -> None:
        """Adds a line to the workflow's log, which people read: no secrets."""
        self.reporter.log(text, level)

    def progress(self, progress: Progress) -> None:
        """Reports the progress of this step; call it as often as you like."""
        self.reporter.progress(progress)

    def check_cancelled(self) -> None:
        """Call it between pieces of long work. Raises Cancelled, or Interrupted when the service stops."""
        self.reporter.check_cancelled()
